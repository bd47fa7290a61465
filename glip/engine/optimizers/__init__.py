"""Optimizer wrappers and the constructor that gives them parameters."""
