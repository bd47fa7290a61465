"""Arrange the metrics of several data sets as a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

#: Number of metrics in the table.
_MAX_COLUMNS = 6


def dataset_table(
    metrics: Mapping[str, float], names: Sequence[str], absent: Collection[str]
) -> tuple[list[str], list[list[object]]]:
    """Arrange the metrics of several data sets, one data set a row.

    The first few metrics get a column each. Metrics of all phrases (``..._all``) come before those
    of one phrase type; metrics of a single class have no column (each metric logs its own table of
    them). The columns have short names: ``mAP`` for ``bbox_mAP``, and ``precision@1`` for
    ``refcoco_precision@1`` of ``refcoco_val``.

    Args:
        metrics: values by name, ``<data set>/<metric>/<name>``; other names are skipped.
        names: the data sets in the order of the rows; ``average`` is the last row, if there are
            averages.
        absent: the data sets that are absent.

    Returns:
        The header and the rows, for :func:`glip.utils.tables.format_table`.
    """
    found: dict[str, dict[str, float]] = {name: {} for name in (*names, "average")}
    for key, value in metrics.items():
        dataset, name = key.split("/")[0], key.split("/")[-1]
        of_class = name.endswith("_precision") and name != "mean_precision"
        if dataset in found and not of_class:
            short = name.removeprefix("bbox_").removeprefix(dataset.split("_")[0] + "_")
            found[dataset][short] = value
    if not found["average"]:
        del found["average"]
    columns = list(dict.fromkeys(key for values in found.values() for key in values))
    columns = sorted(columns, key=lambda column: not column.endswith("_all"))[:_MAX_COLUMNS]
    rows: list[list[object]] = [
        [
            f"{name} (absent)" if name in absent else name,
            *(values.get(key, -1.0) for key in columns),
        ]
        for name, values in found.items()
    ]
    return ["data set", *columns], rows
