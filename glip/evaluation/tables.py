"""Tables in plain text, for logs and terminals."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence

from mmengine.logging import print_log

#: Numbers in a line of the table of several data sets.
_COLUMNS = 6


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


def table_of_data_sets(
    numbers: Mapping[str, float], names: Sequence[str], absent: Collection[str]
) -> tuple[list[str], list[list[object]]]:
    """Arrange the numbers of several data sets, one a line.

    The first few numbers get a column each: of all phrases before those of a kind of them, none of
    a single class (metrics log tables of their own about those). Columns have short names:
    ``mAP``, and ``precision@1`` for what is ``refcoco_precision@1`` of ``refcoco_val``.

    Args:
        numbers: by name, ``<data set>/<metric>/<name>``; others are left out.
        names: of the data sets, in the order of their lines; ``average`` comes last, if there are
            numbers of it.
        absent: the data sets that are not there.

    Returns:
        The header and the rows, for :func:`format_table`.
    """
    found: dict[str, dict[str, float]] = {name: {} for name in (*names, "average")}
    for key, value in numbers.items():
        name, number = key.split("/")[0], key.split("/")[-1]
        of_class = number.endswith("_precision") and number != "mean_precision"
        if name in found and not of_class:
            short = number.removeprefix("bbox_").removeprefix(name.split("_")[0] + "_")
            found[name][short] = value
    if not found["average"]:
        del found["average"]
    columns = list(dict.fromkeys(key for each in found.values() for key in each))
    columns = sorted(columns, key=lambda column: not column.endswith("_all"))[:_COLUMNS]
    rows: list[list[object]] = [
        [f"{name} (absent)" if name in absent else name, *(each.get(key, -1.0) for key in columns)]
        for name, each in found.items()
    ]
    return ["data set", *columns], rows


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
