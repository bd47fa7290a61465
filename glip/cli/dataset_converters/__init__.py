"""Commands that convert and generate data sets."""
