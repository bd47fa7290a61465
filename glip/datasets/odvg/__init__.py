"""ODVG: detection and grounding data as JSON lines, in files or tar shards of any size."""

from glip.datasets.odvg.records import (
    Region,
    check_record,
    detection_record,
    grounding_record,
)
from glip.datasets.odvg.validation import Problem, find_problems
from glip.datasets.odvg.writing import RecordWriter, read_label_map, write_label_map
from glip.utils.errors import OdvgRecordError

__all__ = [
    "OdvgRecordError",
    "Problem",
    "RecordWriter",
    "Region",
    "check_record",
    "detection_record",
    "find_problems",
    "grounding_record",
    "read_label_map",
    "write_label_map",
]
