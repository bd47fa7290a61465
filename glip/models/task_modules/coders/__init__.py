"""Box coders."""
