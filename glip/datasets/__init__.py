"""Data sets and the transforms that prepare them."""
