"""How boxes and their labels are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from glip.utils.options import check_bool, check_int
from glip.visualization.fonts import check_font


@dataclass(frozen=True, kw_only=True)
class DrawStyle:
    """How boxes and their labels are drawn.

    Attributes:
        line_width: of the boxes, in pixels; ``None``: it scales with the image.
        font_size: of the labels, in pixels; ``None``: it scales with the image, and is reduced if
            the labels of all boxes have no room.
        font: font file of the labels; ``None``: DejaVu Sans, and for the characters that it lacks
            an installed font.
        hide_labels: write no names.
        hide_scores: write no scores.

    Raises:
        ConfigError: a value is invalid, or ``font`` is no font file.
    """

    line_width: int | None = None
    font_size: int | None = None
    font: str | None = None
    hide_labels: bool = False
    hide_scores: bool = False

    def __post_init__(self) -> None:
        check_int("line_width", self.line_width, low=1, high=1000, none=True)
        check_int("font_size", self.font_size, low=1, high=1000, none=True)
        check_bool("hide_labels", self.hide_labels)
        check_bool("hide_scores", self.hide_scores)
        object.__setattr__(self, "font", check_font(self.font))

    def over(self, visualizer: Mapping[str, Any] | None) -> DrawStyle:
        """Return a style whose unset values are those of a config's ``visualizer``."""
        values = dict(visualizer or {})
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return DrawStyle(**{name: value or values.get(name, value) for name, value in own.items()})
