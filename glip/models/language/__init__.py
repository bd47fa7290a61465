"""The language encoder."""

from .bert import BertModel, TextFeatures
from .cache import TextCache
from .captions import CaptionEncoder

__all__ = ["BertModel", "CaptionEncoder", "TextCache", "TextFeatures"]
