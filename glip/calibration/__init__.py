"""Calibrate a class file: thresholds and probabilities from labelled images.

Read in this order: ``labelled_images.py`` detects in them, ``matching.py`` tells right detections
from wrong ones, ``thresholds.py`` chooses the threshold of a class, ``score_maps.py`` fits the
functions from scores to probabilities, ``calibrating.py`` does this for all classes, ``advice.py``
tries other prompts and competing phrases, and ``report_page.py`` writes the report.
:mod:`glip.classes` applies the result; it needs neither this package nor scikit-learn.
"""

from typing import TYPE_CHECKING

from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.calibration.advice import prompt_effects, suggest_competitors, with_competitors
    from glip.calibration.calibrating import (
        ClassCalibration,
        LabelledImages,
        calibrate,
        with_calibration,
    )
    from glip.calibration.labelled_images import detect_in_labelled, read_labels
    from glip.calibration.report_page import format_report, report_page
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "glip.calibration.advice": (
                "prompt_effects",
                "suggest_competitors",
                "with_competitors",
            ),
            "glip.calibration.calibrating": (
                "ClassCalibration",
                "LabelledImages",
                "calibrate",
                "with_calibration",
            ),
            "glip.calibration.labelled_images": ("detect_in_labelled", "read_labels"),
            "glip.calibration.report_page": ("format_report", "report_page"),
        },
    )

__all__ = [
    "ClassCalibration",
    "LabelledImages",
    "calibrate",
    "detect_in_labelled",
    "format_report",
    "prompt_effects",
    "read_labels",
    "report_page",
    "suggest_competitors",
    "with_calibration",
    "with_competitors",
]
