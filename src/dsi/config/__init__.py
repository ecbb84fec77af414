"""The configuration: files → one tree with positions → references → typed models."""
