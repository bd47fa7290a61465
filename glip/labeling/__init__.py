"""Pseudo-labeling: a teacher model grounds the noun phrases of captions that have no boxes.

``pairs.py`` reads images and captions, ``labeler.py`` runs the teacher, ``output.py`` writes the
records so that a run can be resumed, ``shards.py`` divides a run and merges its parts,
``statistics.py`` counts, and ``report.py`` shows the counts.
"""

from glip.labeling.labeler import BatchLabels, CaptionDataset, Labeler, label_pairs
from glip.labeling.output import ResumableOutput
from glip.labeling.pairs import Caption, CaptionedImage, Pairs, open_pairs
from glip.labeling.report import write_report
from glip.labeling.shards import Shard, merge_shards
from glip.labeling.statistics import Statistics

__all__ = [
    "BatchLabels",
    "Caption",
    "CaptionDataset",
    "CaptionedImage",
    "Labeler",
    "Pairs",
    "ResumableOutput",
    "Shard",
    "Statistics",
    "label_pairs",
    "merge_shards",
    "open_pairs",
    "write_report",
]
