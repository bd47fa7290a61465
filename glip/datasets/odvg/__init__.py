"""ODVG: detection and grounding data as JSON lines, in files or tar shards of any length."""

from glip.datasets.odvg.dataset import ODVGDataset
from glip.datasets.odvg.records import (
    Region,
    check_record,
    describe_problems,
    detection_record,
    grounding_record,
)
from glip.datasets.odvg.writing import RecordWriter, read_label_map, write_label_map
from glip.utils.errors import OdvgRecordError

__all__ = [
    "ODVGDataset",
    "OdvgRecordError",
    "RecordWriter",
    "Region",
    "check_record",
    "describe_problems",
    "detection_record",
    "grounding_record",
    "read_label_map",
    "write_label_map",
]
