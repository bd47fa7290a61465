"""Detectors."""

from glip.models.detectors.encoded_prompt import EncodedPrompt
from glip.models.detectors.glip import GLIP
from glip.models.detectors.prompt_result import PromptResult
from glip.models.detectors.text_feature_cache import TextFeatureCache
from glip.models.detectors.tta import DetTTAModel

__all__ = ["GLIP", "DetTTAModel", "EncodedPrompt", "PromptResult", "TextFeatureCache"]
