"""ODVG: detection and grounding data as JSON lines, in files or tar shards of any length."""

from glip.datasets.odvg.dataset import ODVGDataset
from glip.datasets.odvg.records import (
    Region,
    check_line,
    detection_line,
    grounding_line,
    problems_of,
)
from glip.datasets.odvg.writing import LineWriter, read_label_map, write_label_map
from glip.utils.errors import OdvgRecordError

__all__ = [
    "LineWriter",
    "ODVGDataset",
    "OdvgRecordError",
    "Region",
    "check_line",
    "detection_line",
    "grounding_line",
    "problems_of",
    "read_label_map",
    "write_label_map",
]
