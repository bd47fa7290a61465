"""Drawing of detections and captions."""

from typing import TYPE_CHECKING

from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.visualization.draw import draw_detections
    from glip.visualization.local_visualizer import DetLocalVisualizer
    from glip.visualization.palette import get_palette, label_color
    from glip.visualization.style import DrawStyle
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "glip.visualization.draw": ("draw_detections",),
            "glip.visualization.local_visualizer": ("DetLocalVisualizer",),
            "glip.visualization.palette": ("get_palette", "label_color"),
            "glip.visualization.style": ("DrawStyle",),
        },
    )

__all__ = ["DetLocalVisualizer", "DrawStyle", "draw_detections", "get_palette", "label_color"]
