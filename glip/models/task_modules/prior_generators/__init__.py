"""Prior generators."""
