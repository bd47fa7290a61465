"""Drawing of detections and captions."""

from glip.visualization.draw import draw_detections
from glip.visualization.local_visualizer import DetLocalVisualizer
from glip.visualization.palette import get_palette, label_color

__all__ = ["DetLocalVisualizer", "draw_detections", "get_palette", "label_color"]
