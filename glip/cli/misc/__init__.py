"""Commands that print configs and validate data."""
