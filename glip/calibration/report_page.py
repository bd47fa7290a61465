"""The report of a calibration: a text table, and one HTML page with everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from glip.calibration.advice import Competitor, PromptEffect
from glip.calibration.calibrating import ClassCalibration, overall_reliability
from glip.calibration.score_maps import Reliability
from glip.calibration.thresholds import COVERAGE, curve
from glip.utils.tables import format_table

_SIDE, _MARGIN = 220, 34
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1000px; padding: 0 1em;
  color: #1b1f24; background: #fff }
table { border-collapse: collapse; margin: 1em 0 }
td, th { padding: .25em .7em; border-bottom: 1px solid #d8dee4; text-align: right }
td:first-child, th:first-child { text-align: left }
figure { display: inline-block; margin: 0 1em 1em 0 }
figcaption { font-weight: 600 }
svg text { font: 11px system-ui, sans-serif; fill: #57606a }
.warning { color: #9a3412 }
"""


def format_report(
    calibrated: Sequence[ClassCalibration],
    effects: Sequence[PromptEffect],
    competitors: Sequence[Competitor],
) -> str:
    """Return the report as a text."""
    lines = [format_table(*_class_table(calibrated))]
    lines += ["", *_reliability_lines(calibrated)]
    for each in calibrated:
        lines += [f"warning: {each.name}: {warning}" for warning in each.warnings]
    lines += [_describe_effect(each) for each in effects]
    lines += [_describe_competitor(each) for each in competitors]
    return "\n".join(lines)


def report_page(
    calibrated: Sequence[ClassCalibration],
    effects: Sequence[PromptEffect],
    competitors: Sequence[Competitor],
    facts: Sequence[tuple[str, object]],
) -> str:
    """Return the report as an HTML page without scripts or other files.

    Args:
        calibrated: the classes.
        effects: of the prompts.
        competitors: the suggested competing phrases.
        facts: names and values of what was calibrated, to print above.
    """
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Calibration</title>",
        f"<style>{_STYLE}</style><h1>Calibration</h1>",
        _table(["", ""], [[name, value] for name, value in facts]),
        "<h2>Thresholds</h2>",
        "<p>Precision, recall and F1 at IoU 0.5. <i>Held out</i>: on images that the threshold was "
        f"not chosen on (folds). The interval covers {COVERAGE:.0%} of resampled images.</p>",
        _table(*_class_table(calibrated)),
    ]
    warnings = [f"{each.name}: {text}" for each in calibrated for text in each.warnings]
    parts += [f"<p class=warning>{escape(text)}</p>" for text in warnings]
    overall = overall_reliability(calibrated)
    if overall is not None:
        parts += [
            "<h2>Reliability</h2>",
            "<p>Of the detections with a predicted probability of 0.7, how many are right? On the "
            "diagonal seven of ten. Probabilities are held out; raw scores as they are.</p>",
            _figure("raw scores", _reliability_svg(overall[0])),
            _figure("probabilities, held out", _reliability_svg(overall[1])),
            *(f"<p>{escape(line)}</p>" for line in _reliability_lines(calibrated)),
        ]
    parts.append("<h2>Precision and recall</h2>")
    parts.append("<p>Red: the chosen threshold. Grey: the threshold before.</p>")
    parts += [_figure(each.name, _curve_svg(each)) for each in calibrated if each.threshold]
    if effects:
        header = ["class", "prompt", "best F1 with it", "without it", ""]
        rows = [
            [each.class_name, each.prompt, each.with_it, each.without_it, each.verdict]
            for each in effects
        ]
        parts += ["<h2>Prompts</h2>", _table(header, rows)]
    if competitors:
        header = ["class", "competing phrases", "confused boxes", "best F1 before", "after"]
        rows = [
            [each.class_name, ", ".join(each.phrases), each.confused, each.before, each.after]
            for each in competitors
        ]
        parts += ["<h2>Suggested competing phrases (not)</h2>", _table(header, rows)]
    return "\n".join(parts) + "\n"


def _class_table(calibrated: Sequence[ClassCalibration]) -> tuple[list[str], list[list[object]]]:
    header = [
        "class", "boxes", "images", "threshold", "interval", "precision", "recall", "F1",
        "held out P", "R", "F1", "before: at", "F1",
    ]  # fmt: skip
    rows: list[list[object]] = []
    for each in calibrated:
        row: list[object] = [each.name, each.num_boxes, each.num_images]
        if each.threshold is None or each.held_out is None:
            row += ["-"] * 8
        else:
            measures, held_out = each.threshold.measures, each.held_out
            low, high = each.intervals["threshold"]
            row += [f"{each.threshold.value:.3f}", f"{low:.2f} to {high:.2f}"]
            for own in (measures, held_out):
                row += [f"{own.precision:.3f}", f"{own.recall:.3f}", f"{own.f1:.3f}"]
        rows.append([*row, f"{each.old_threshold:.2f}", f"{each.before.f1:.3f}"])
    return header, rows


def _reliability_lines(calibrated: Sequence[ClassCalibration]) -> list[str]:
    overall = overall_reliability(calibrated)
    if overall is None:
        return []
    raw, fitted = overall
    return [
        f"expected calibration error over {int(raw.counts.sum())} detections: raw scores "
        f"{raw.error:.3f}, held-out probabilities {fitted.error:.3f}; Brier score {raw.brier:.3f} "
        f"and {fitted.brier:.3f}"
    ]


def _describe_effect(each: PromptEffect) -> str:
    return (
        f"prompt {each.prompt!r} of {each.class_name}: {each.verdict} (best F1 {each.with_it:.3f} "
        f"with it, {each.without_it:.3f} without)"
    )


def _describe_competitor(each: Competitor) -> str:
    return (
        f"suggestion: {each.class_name}: not: [{', '.join(each.phrases)}] (confused "
        f"{each.confused} times; best F1 {each.before:.3f} without, {each.after:.3f} with it)"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    def cell(value: object) -> str:
        return escape(f"{value:.3f}" if isinstance(value, float) else str(value))

    top = "".join(f"<th>{cell(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell(value)}</td>" for value in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def _figure(caption: str, svg: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{svg}</figure>"


def _curve_svg(each: ClassCalibration) -> str:
    _, precision, recall = curve(each.outcomes)
    steps = np.unique(np.linspace(0, len(recall) - 1, 200).astype(int))
    shapes = [_line(recall[steps], precision[steps], "#0969da")]
    if each.threshold is not None:
        at = each.threshold.measures
        shapes.append(_dot(at.recall, at.precision, "#cf222e"))
        shapes.append(_dot(each.before.recall, each.before.precision, "#8c959f"))
    return _axes("recall", "precision", shapes)


def _reliability_svg(each: Reliability) -> str:
    diagonal = _line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "#d0d7de")
    dots = [
        _dot(x, y, "#0969da", f"{count} detections")
        for x, y, count in zip(each.predicted, each.observed, each.counts, strict=True)
    ]
    return _axes(
        "predicted", "right", [diagonal, _line(each.predicted, each.observed, "#0969da"), *dots]
    )


def _axes(x_name: str, y_name: str, shapes: Sequence[str]) -> str:
    size, end = _SIDE + 2 * _MARGIN, _SIDE + _MARGIN
    ticks = "".join(
        f'<text x="{_x(at)}" y="{end + 14}" text-anchor="middle">{at:g}</text>'
        f'<text x="{_MARGIN - 5}" y="{_y(at) + 4}" text-anchor="end">{at:g}</text>'
        for at in (0, 0.5, 1)
    )
    return (
        f'<svg width="{size}" height="{size}" role="img">'
        f'<rect x="{_MARGIN}" y="{_MARGIN}" width="{_SIDE}" height="{_SIDE}" fill="none" '
        f'stroke="#8c959f"/>{ticks}<text x="{size / 2}" y="{size - 4}" text-anchor="middle">'
        f'{x_name}</text><text x="{_MARGIN}" y="{_MARGIN - 8}">{y_name}</text>{"".join(shapes)}'
        "</svg>"
    )


def _line(x: np.ndarray, y: np.ndarray, color: str) -> str:
    points = " ".join(f"{_x(a):.1f},{_y(b):.1f}" for a, b in zip(x, y, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'


def _dot(x: float, y: float, color: str, title: str = "") -> str:
    shown = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="4" fill="{color}">{shown}</circle>'


def _x(value: float) -> float:
    return _MARGIN + _SIDE * float(value)


def _y(value: float) -> float:
    return _MARGIN + _SIDE * (1 - float(value))
