"""Tables in plain text, for logs and terminals."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from mmengine.logging import print_log


def format_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Draw a table: texts to the left, numbers to the right with three digits.

    Numbers that mean "nothing to measure" (NaN, and the -1 of COCO's tools) are drawn as a dash.

    Example:
        >>> print(format_table(["class", "AP"], [["cat", 0.5], ["dog", -1]]))
        class     AP
        ------------
        cat    0.500
        dog        -
    """
    cells = [[_cell(value) for value in row] for row in rows]
    numeric = [all(isinstance(row[at], (int, float)) for row in rows) for at in range(len(header))]
    columns = zip(header, *cells, strict=True)
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = [_line(header, widths, numeric), *(_line(row, widths, numeric) for row in cells)]
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join(lines)


def log_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Log a table, see :func:`format_table`."""
    print_log("\n" + format_table(header, rows), logger="current", level=logging.INFO)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) or value == -1 else f"{value:.3f}"
    return "-" if value == -1 else str(value)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    ]
    return "  ".join(padded).rstrip()
