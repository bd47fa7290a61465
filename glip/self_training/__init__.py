"""Self-training: a teacher draws the boxes for the phrases of captions that have none.

``pairs.py`` reads pictures and their captions, ``labelling.py`` has the teacher look at them,
``output.py`` keeps what it found so that nothing is lost, ``shards.py`` divides the work and joins
its parts, ``tally.py`` counts, and ``report.py`` shows the counts.
"""

from .labelling import Teacher, label_pairs
from .output import OtherLabellingError, Output
from .pairs import Caption, Pairs, PairsError, Picture, open_pairs
from .report import write_report
from .shards import Shard, join_shards
from .tally import Tally

__all__ = [
    "Caption",
    "OtherLabellingError",
    "Output",
    "Pairs",
    "PairsError",
    "Picture",
    "Shard",
    "Tally",
    "Teacher",
    "join_shards",
    "label_pairs",
    "open_pairs",
    "write_report",
]
