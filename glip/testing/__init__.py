"""Small models and reproducible weights, for tests and for demonstrations without a download."""

from typing import TYPE_CHECKING

from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.testing.models import tiny_config
    from glip.testing.weights import draw_parameter, draw_state_dict
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "glip.testing.models": ("tiny_config",),
            "glip.testing.weights": ("draw_parameter", "draw_state_dict"),
        },
    )

__all__ = ["draw_parameter", "draw_state_dict", "tiny_config"]
