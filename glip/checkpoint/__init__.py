"""Read, convert, load and write checkpoints."""

from glip.checkpoint.formats import Conversion, convert, detect_naming, find_state_dict
from glip.checkpoint.identify import ModelMatch, identify
from glip.checkpoint.loading import load_checkpoint, load_into, open_checkpoint
from glip.checkpoint.no_init import NoInit
from glip.checkpoint.reading import read_checkpoint
from glip.checkpoint.report import KeyReport, compare, fitting_configs
from glip.checkpoint.weights import check_finite, check_weights
from glip.checkpoint.writing import write_checkpoint
from glip.utils.errors import CheckpointError

__all__ = [
    "CheckpointError",
    "Conversion",
    "KeyReport",
    "ModelMatch",
    "NoInit",
    "check_finite",
    "check_weights",
    "compare",
    "convert",
    "detect_naming",
    "find_state_dict",
    "fitting_configs",
    "identify",
    "load_checkpoint",
    "load_into",
    "open_checkpoint",
    "read_checkpoint",
    "write_checkpoint",
]
