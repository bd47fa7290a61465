"""The language encoder."""

from glip.models.language.bert import BertModel, TextFeatures
from glip.models.language.captions import encode_in_groups, pad_captions

__all__ = ["BertModel", "TextFeatures", "encode_in_groups", "pad_captions"]
