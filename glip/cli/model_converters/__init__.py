"""Commands that write checkpoints."""
