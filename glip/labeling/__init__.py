"""Self-training: a teacher draws the boxes for the phrases of captions that have none.

``pairs.py`` reads pictures and their captions, ``labeling.py`` has the teacher look at them,
``output.py`` keeps what it found so that nothing is lost, ``shards.py`` divides the work and joins
its parts, ``tally.py`` counts, and ``report.py`` shows the counts.
"""

from glip.labeling.labeler import Labeler, label_pairs
from glip.labeling.output import Output
from glip.labeling.pairs import Caption, Pairs, Picture, open_pairs
from glip.labeling.report import write_report
from glip.labeling.shards import Shard, join_shards
from glip.labeling.statistics import Tally
from glip.utils.errors import DataError, LabelingMismatchError

__all__ = [
    "Caption",
    "DataError",
    "Labeler",
    "LabelingMismatchError",
    "Output",
    "Pairs",
    "Picture",
    "Shard",
    "Tally",
    "join_shards",
    "label_pairs",
    "open_pairs",
    "write_report",
]
