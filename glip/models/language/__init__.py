"""The language encoder."""

from glip.models.language.bert import BertModel, TextFeatures
from glip.models.language.cache import TextCache
from glip.models.language.captions import CaptionEncoder

__all__ = ["BertModel", "CaptionEncoder", "TextCache", "TextFeatures"]
