"""Plain-text tables for logs and terminals."""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Sequence

from tabulate import tabulate


def format_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format a table: strings on the left, numbers on the right, floats with three digits.

    A value that means "nothing to measure" (NaN, or the -1 of pycocotools) becomes a dash.

    Example:
        >>> print(format_table(["class", "AP"], [["cat", 0.5], ["dog", -1]]))
        class     AP
        ------------
        cat    0.500
        dog        -
    """
    alignment = [
        "right" if all(isinstance(value, (int, float)) for value in column) else "left"
        for column in zip(*rows, strict=True)
    ]
    cells = [list(header), *([_format_cell(value) for value in row] for row in rows)]
    lines = tabulate(
        cells,
        tablefmt="plain",
        disable_numparse=True,  # the cells are formatted already
        preserve_whitespace=True,  # rows may be indented
        colalign=alignment or None,
    ).splitlines()
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def log_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Log a table with mmengine's current logger; see :func:`format_table`."""
    from mmengine.logging import print_log

    print_log("\n" + format_table(header, rows), logger="current", level=logging.INFO)


def format_csv(rows: Sequence[Sequence[object]]) -> str:
    """Format rows as CSV (RFC 4180), for a spreadsheet."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _format_cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) or value == -1 else f"{value:.3f}"
    return "-" if value == -1 else str(value)
