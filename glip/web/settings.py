"""What a page serves, and the limits of what its visitors send."""

from __future__ import annotations

from dataclasses import dataclass, fields

from glip.utils.image_files import ImageLimits
from glip.utils.options import check_int
from glip.weights import SMALL_MODEL

_MIB = 1024**2


@dataclass(frozen=True)
class WebSettings:
    """Settings of the page.

    Attributes:
        weights: checkpoints to choose from: files, URLs, or names such as ``'glip_tiny_a'``.
        device: where the models run; ``None`` for the first GPU, or the CPU without one.
        host: address to listen on; 127.0.0.1 is this computer only.
        port: to listen on.
        classes: class names that are in the text box at the start, empty for an example.
        max_pixels: largest image, height times width; checked before it is decoded.
        max_bytes: largest upload, an image or a zip file, and largest request.
        max_queue: requests that wait; more are refused.
        max_visitors: visitors whose encoded image is kept; that of the one who was away longest is
            encoded again when needed.
        max_characters: longest text of a request.
        max_phrases: phrases of a request.
        max_prompts: prompts of a request.
        max_folder_images: images of a zip file.
        max_folder_bytes: size of the content of a zip file.

    Raises:
        ConfigError: a number is not an integer of 1 or more, or the port is none.
    """

    weights: tuple[str, ...] = (SMALL_MODEL,)
    device: str | None = None
    host: str = "127.0.0.1"
    port: int = 7860
    classes: str = ""
    max_pixels: int = 25_000_000
    max_bytes: int = 32 * _MIB
    max_queue: int = 32
    max_visitors: int = 64
    max_characters: int = 4000
    max_phrases: int = 200
    max_prompts: int = 8
    max_folder_images: int = 200
    max_folder_bytes: int = 256 * _MIB

    def __post_init__(self) -> None:
        check_int("port", self.port, low=1, high=65535)
        for each in fields(self):
            if each.name.startswith("max_"):
                check_int(each.name, getattr(self, each.name), low=1)

    @property
    def image_limits(self) -> ImageLimits:
        """The limits of an image."""
        return ImageLimits(self.max_pixels, self.max_bytes)
