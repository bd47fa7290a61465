"""Plain-text tables."""

from glip.utils.tables import format_table


def test_table():
    table = format_table(
        ["class", "AP", "n"], [["cat", 0.5, 7], ["dog", -1.0, 12], ["", float("nan"), 1]]
    )
    assert table.splitlines() == [
        "class     AP   n",
        "----------------",
        "cat    0.500   7",
        "dog        -  12",
        "           -   1",
    ]


def test_indented_rows():
    table = format_table(["", "number"], [["images", 12], ["  unreadable", 1]])
    assert [line.rstrip() for line in table.splitlines()[2:]] == [
        "images            12",
        "  unreadable       1",
    ]


def test_no_rows():
    assert format_table(["a", "b"], []).splitlines()[0] == "a  b"
