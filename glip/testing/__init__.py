"""Small models and reproducible weights, for tests and for demonstrations without a download."""

from glip.testing.models import tiny_config
from glip.testing.weights import draw_parameter, draw_state_dict

__all__ = ["draw_parameter", "draw_state_dict", "tiny_config"]
