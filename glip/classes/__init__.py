"""Classes to detect, described by several prompts each, with their own thresholds.

``class_file.py`` describes and checks them, ``reading.py`` reads a class file, ``writing.py``
writes one, ``calibration.py`` holds the calibration that a file may have, and ``combining.py``
makes the detections of classes from those of their prompts.
"""

from typing import TYPE_CHECKING

from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.classes.calibration import Calibration, ScoreMap
    from glip.classes.class_file import ClassFile, LabelClass
    from glip.classes.reading import load_classes, read_class_file
    from glip.classes.writing import to_yaml, write_class_file
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "glip.classes.calibration": ("Calibration", "ScoreMap"),
            "glip.classes.class_file": ("ClassFile", "LabelClass"),
            "glip.classes.reading": ("load_classes", "read_class_file"),
            "glip.classes.writing": ("to_yaml", "write_class_file"),
        },
    )

__all__ = [
    "Calibration",
    "ClassFile",
    "LabelClass",
    "ScoreMap",
    "load_classes",
    "read_class_file",
    "to_yaml",
    "write_class_file",
]
