"""The stages of the lifecycle, one file each."""
