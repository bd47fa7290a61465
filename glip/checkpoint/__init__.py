"""Reading, recognising, converting and writing checkpoints."""

from .formats import CheckpointError, Conversion, convert, find_state_dict, recognise
from .fresh import Undrawn
from .loading import load_checkpoint, load_into, open_checkpoint
from .reading import read_checkpoint
from .report import KeyReport, compare, fitting_configs
from .writing import write_checkpoint

__all__ = [
    "CheckpointError",
    "Conversion",
    "KeyReport",
    "Undrawn",
    "compare",
    "convert",
    "find_state_dict",
    "fitting_configs",
    "load_checkpoint",
    "load_into",
    "open_checkpoint",
    "read_checkpoint",
    "recognise",
    "write_checkpoint",
]
