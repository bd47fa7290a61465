"""ODVG: detection and grounding data as JSON lines, in files or tar shards of any length."""

from .dataset import ODVGDataset
from .lines import OdvgLineError, Region, check_line, detection_line, grounding_line, problems_of
from .writing import LineWriter, read_label_map, write_label_map

__all__ = [
    "LineWriter",
    "ODVGDataset",
    "OdvgLineError",
    "Region",
    "check_line",
    "detection_line",
    "grounding_line",
    "problems_of",
    "read_label_map",
    "write_label_map",
]
