"""Pseudo-labeling: a teacher model grounds the noun phrases of captions that have no boxes.

``pairs.py`` reads images and captions, ``labeler.py`` runs the teacher, ``output.py`` writes the
records so that a run can be resumed, ``shards.py`` divides a run, ``merging.py`` merges its shards,
``statistics.py`` counts, and ``report.py`` shows the counts.
"""

from typing import TYPE_CHECKING

from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.labeling.labeler import BatchLabels, CaptionDataset, Labeler, label_pairs
    from glip.labeling.merging import merge_shards
    from glip.labeling.output import ResumableOutput
    from glip.labeling.pairs import Caption, CaptionedImage, Pairs, open_pairs
    from glip.labeling.report import write_report
    from glip.labeling.shards import Shard
    from glip.labeling.statistics import Statistics
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "glip.labeling.labeler": ("BatchLabels", "CaptionDataset", "Labeler", "label_pairs"),
            "glip.labeling.merging": ("merge_shards",),
            "glip.labeling.output": ("ResumableOutput",),
            "glip.labeling.pairs": ("Caption", "CaptionedImage", "Pairs", "open_pairs"),
            "glip.labeling.report": ("write_report",),
            "glip.labeling.shards": ("Shard",),
            "glip.labeling.statistics": ("Statistics",),
        },
    )

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
