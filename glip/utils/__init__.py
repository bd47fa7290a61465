"""Errors, atomic writes and precision, shared by all packages."""
