"""ODVG: detection and grounding data as JSON lines."""
