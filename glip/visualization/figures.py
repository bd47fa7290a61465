"""Class names in the figures of matplotlib: in any script, and never read as a formula."""

from __future__ import annotations

from collections.abc import Iterable

from glip.visualization.fonts import choose_files, load_font

#: Characters of a name that are drawn.
_MAX_LENGTH = 30


def label_text(name: str) -> str:
    """Return a name of bounded length for a figure; dollar signs would begin a formula."""
    shown = name if len(name) <= _MAX_LENGTH else f"{name[: _MAX_LENGTH - 1]}…"
    return shown.replace("$", r"\$")


def font_families(names: Iterable[str]) -> list[str]:
    """Return the fonts that draw all names, DejaVu Sans first, for ``fontfamily``.

    Those that are installed beside it are added to matplotlib's list. If none has a character,
    there is one warning.
    """
    from matplotlib.font_manager import FontProperties, fontManager

    files = load_font(12).files
    chars = "".join(sorted(set("".join(names))))
    families = []
    for file in dict.fromkeys((*files, *choose_files(chars, files))):
        fontManager.addfont(file)
        families.append(FontProperties(fname=file).get_name())
    return families
