"""Reading, recognising, converting and writing checkpoints."""
