"""Labeling: a model labels images with classes, or grounds the noun phrases of captions.

Classes: ``image_list.py`` lists the images, ``class_labeler.py`` runs the model, ``folder.py`` is
the run, ``formats/`` writes its labels, ``class_report.py`` counts, ``preview.py`` shows a sample,
and ``review.py`` writes the page for corrections.

Captions: ``pairs.py`` reads images and captions, ``labeler.py`` runs the model, ``statistics.py``
counts, and ``report.py`` shows the counts.

Both: ``output.py`` writes records so that a run can be resumed, ``shards.py`` divides a run, and
``merging.py`` merges its shards.
"""

from typing import TYPE_CHECKING

from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.labeling.class_labeler import ClassLabeler, ImageLabels, label_images
    from glip.labeling.files import OutputFiles
    from glip.labeling.folder import FolderRun, label_folder
    from glip.labeling.image_list import ImageList
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
            "glip.labeling.class_labeler": ("ClassLabeler", "ImageLabels", "label_images"),
            "glip.labeling.files": ("OutputFiles",),
            "glip.labeling.folder": ("FolderRun", "label_folder"),
            "glip.labeling.image_list": ("ImageList",),
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
    "ClassLabeler",
    "FolderRun",
    "ImageLabels",
    "ImageList",
    "Labeler",
    "OutputFiles",
    "Pairs",
    "ResumableOutput",
    "Shard",
    "Statistics",
    "label_folder",
    "label_images",
    "label_pairs",
    "merge_shards",
    "open_pairs",
    "write_report",
]
