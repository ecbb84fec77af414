"""What came out, shown to people and written for programs."""
