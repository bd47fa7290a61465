"""Pictures of detections."""

from .draw import draw_detections
from .hook import DetVisualizationHook
from .local_visualizer import DetLocalVisualizer
from .palette import get_palette, label_color

__all__ = [
    "DetLocalVisualizer",
    "DetVisualizationHook",
    "draw_detections",
    "get_palette",
    "label_color",
]
