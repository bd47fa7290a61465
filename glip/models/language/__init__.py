"""The language encoder."""

from .bert import BertModel, TextFeatures
from .cache import TextCache

__all__ = ["BertModel", "TextCache", "TextFeatures"]
