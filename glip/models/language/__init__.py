"""The language encoder."""

from .bert import BertModel, TextFeatures

__all__ = ["BertModel", "TextFeatures"]
