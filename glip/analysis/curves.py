"""Draw precision-recall curves and a table of the classes, from stored predictions.

Letters: T IoU thresholds, R recalls, K classes.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from glip.evaluation.base_ap_metric import BaseAPMetric, ClassCurves, mean_of
from glip.evaluation.predictions import read_predictions
from glip.utils.atomic_write import make_folder, write_new_file
from glip.utils.errors import ConfigError
from glip.utils.tables import format_csv
from glip.visualization.figures import font_families, label_text

#: More classes are drawn in gray, without names.
_MAX_NAMED = 12
#: Rows of the drawn table; of more classes those with the highest and the lowest AP.
_MAX_ROWS = 60
_COLUMNS = ("AP", "AP50", "AP75", "recall", "boxes")


def find_ap_metric(evaluator: Any) -> BaseAPMetric:
    """Return the metric of an evaluator that has precision-recall curves.

    Raises:
        ConfigError: there is none, or there are several data sets.
    """
    metrics = evaluator.metrics
    found = [each for each in metrics if isinstance(each, BaseAPMetric)]
    if len(found) != 1:
        kinds = ", ".join(type(each).__name__ for each in metrics)
        raise ConfigError(
            "curves are drawn of one data set with a test_evaluator of CocoMetric, LVISMetric or "
            f"LVISFixedAPMetric, got {kinds}"
        )
    return found[0]


def write_curves(metric: BaseAPMetric, predictions: list[dict], folder: Path) -> list[Path]:
    """Write ``curves.png``, ``classes.png`` and ``classes.csv``.

    Args:
        metric: with its ``dataset_meta``.
        predictions: result of :func:`glip.evaluation.load_predictions`.
        folder: where to write; it is created.

    Returns:
        The files.

    Raises:
        StorageError: a file cannot be written.
    """
    images = {each["img_id"]: read_predictions(each)[0] for each in predictions}
    curves = metric.compute_curves(images)
    rows = class_rows(curves)
    make_folder(folder)
    contents: dict[str, str | bytes] = {
        "curves.png": _draw_curves(curves),
        "classes.png": _draw_table(rows),
        "classes.csv": format_csv([["class", *_COLUMNS], *rows]),
    }
    for name, content in contents.items():
        write_new_file(folder / name, content)
    return [folder / name for name in contents]


def class_rows(curves: ClassCurves) -> list[list[Any]]:
    """Return name, AP, AP50, AP75, recall and number of boxes of each class, the best AP first.

    The recall is the mean over the IoU thresholds. A value that cannot be measured is ``None``: of
    a class without boxes, or without such an IoU threshold.
    """
    rows = []
    for index, name in enumerate(curves.names):
        precision = curves.precision[:, :, index]
        values = [precision]
        values += [precision[np.isclose(curves.iou_thrs, each)] for each in (0.5, 0.75)]
        values.append(curves.recall[:, index])
        numbers = [None if (mean := mean_of(each)) == -1 else round(mean, 4) for each in values]
        rows.append([name, *numbers, int(curves.num_boxes[index])])
    return sorted(rows, key=lambda row: -1.0 if row[1] is None else row[1], reverse=True)


def _draw_curves(curves: ClassCurves) -> bytes:
    """Draw the mean over the classes at each IoU threshold, and each class at the lowest one."""
    from matplotlib import colormaps

    figure = _figure(12, 4)
    left, right = figure.subplots(1, 2)
    measured = [k for k in range(len(curves.names)) if curves.precision[0, 0, k] != -1]
    steps = np.linspace(0.0, 0.9, len(curves.iou_thrs))
    for at, threshold in enumerate(curves.iou_thrs):
        if measured:
            mean = curves.precision[at][:, measured].mean(axis=1)
            label = f"IoU {threshold:.2f}: {mean.mean():.3f}"
            left.plot(curves.recalls, mean, color=colormaps["viridis"](steps[at]), label=label)
    left.set_title("mean of the classes, and its AP")
    named = len(measured) <= _MAX_NAMED
    measured.sort(key=lambda k: -curves.precision[0, :, k].mean())
    for at, k in enumerate(measured):
        curve = curves.precision[0, :, k]
        style: dict[str, Any] = dict(color="#777", alpha=0.3, linewidth=0.8)
        if named:
            name = label_text(curves.names[k])
            style = dict(color=colormaps["tab20"](at % 20), label=f"{name}: {curve.mean():.3f}")
        right.plot(curves.recalls, curve, **style)
    if measured and not named:
        mean = curves.precision[0][:, measured].mean(axis=1)
        label = f"mean of {len(measured)} classes: {mean.mean():.3f}"
        right.plot(curves.recalls, mean, color="black", linewidth=2, label=label)
    right.set_title(f"classes at IoU {curves.iou_thrs[0]:.2f}, and their AP")
    families = font_families(curves.names)
    for axes in (left, right):
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        if axes.lines:
            font = dict(size=8, family=families)
            axes.legend(prop=font, loc="upper left", bbox_to_anchor=(1, 1))
    return _png(figure)


def _draw_table(rows: list[list[Any]]) -> bytes:
    """Draw the rows of :func:`class_rows`, with a bar of each AP."""
    shown, gap = rows, ""
    if len(rows) > _MAX_ROWS:
        half = _MAX_ROWS // 2
        gap = f"{len(rows) - 2 * half} more: classes.csv"
        shown = [*rows[:half], [gap, *[None] * 5], *rows[-half:]]
    figure = _figure(8, 0.9 + 0.24 * len(shown))
    axes = figure.add_subplot()
    axes.barh(range(len(shown)), [row[1] or 0.0 for row in shown], color="#3f51b5", height=0.7)
    places = (1.08, 1.24, 1.4, 1.56, 1.72)
    transform = axes.get_yaxis_transform()  # x in parts of the axes, y in rows
    for place, column in zip(places, _COLUMNS, strict=True):
        axes.text(place, 1.0, column, transform=axes.transAxes, ha="center", va="bottom")
    for at, row in enumerate(shown):
        for place, value in zip(places, row[1:], strict=True):
            text = f"{value:.3f}" if isinstance(value, float) else str(value)
            if row[0] != gap:
                text = "-" if value is None else text
                axes.text(place, at, text, transform=transform, ha="center", va="center")
    names = [label_text(row[0]) for row in shown]
    axes.set_yticks(range(len(shown)), names, fontfamily=font_families(names))
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.5, -0.5), xlabel="AP")
    axes.grid(axis="x", alpha=0.3)
    return _png(figure)


def _figure(width: float, height: float) -> Any:
    """Return a figure of a size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, dpi=110, bbox_inches="tight")
    return content.getvalue()
