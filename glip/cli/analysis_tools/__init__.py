"""Commands that analyze models, data and predictions."""
