"""Fonts for labels in any script.

DejaVu Sans, which comes with matplotlib, has Latin, Greek, Cyrillic, Arabic and symbols. Characters
that it lacks are drawn with an installed font that has them, and a given font is asked first.
"""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import ImageDraw, ImageFont

from glip.utils.errors import ConfigError
from glip.utils.messages import shorten
from glip.visualization.palette import RGB

_logger = logging.getLogger("glip")

#: Names of font files that go well with DejaVu Sans, the best first; others come after them.
_PREFERRED = (
    "notosanscjk-regular",
    "notosanscjk",
    "notosans",
    "sourcehansans",
    "wqy",
    "droidsansfallback",
    "msyh",
    "pingfang",
    "hiragino",
    "yugoth",
    "malgun",
    "arialuni",
    "unifont",
    "symbola",
    "notoemoji",
)
#: Characters that change how their neighbours look and have no glyph of their own.
_INVISIBLE = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


class TextFont:
    """A font of a size that draws each character with the first file that has it.

    Args:
        files: font files, the preferred one first; there is at least one.
        size: in pixels.

    Attributes:
        files: as given.
        size: as given.
    """

    def __init__(self, files: tuple[str, ...], size: int) -> None:
        self.size = size
        self.files = files
        self._main = _load(files[0], size)

    def getlength(self, text: str) -> float:
        """Return the width of a text in pixels."""
        return _length(self, text)

    def draw(
        self, pen: ImageDraw.ImageDraw, start: tuple[float, float], text: str, fill: RGB
    ) -> None:
        """Draw a text.

        Args:
            pen: of the image.
            start: left end of the base line.
            text: one line.
            fill: its colour.
        """
        x, y = start
        for font, part in self._runs(text):
            pen.text((x, y), part, font=font, fill=fill, anchor="ls")
            x += font.getlength(part)

    def _runs(self, text: str) -> Iterator[tuple[Any, str]]:
        """Yield the parts of a text with their fonts."""
        text = "".join(char for char in text if char not in _INVISIBLE)
        if text.isascii():
            yield self._main, text
            return
        files = choose_files(text, self.files)
        for file, run in groupby(zip(files, text, strict=True), key=lambda pair: pair[0]):
            yield _load(file, self.size), "".join(char for _, char in run)


@lru_cache(maxsize=4096)
def _length(font: TextFont, text: str) -> float:
    """Return the width of a text in pixels: the labels of an image, and of a video, repeat."""
    return sum(each.getlength(part) for each, part in font._runs(text))


@lru_cache(maxsize=32)
def load_font(size: int, font: str | None = None) -> TextFont:
    """Return the font for labels.

    Args:
        size: in pixels.
        font: a font file to use first; see :func:`check_font`.
    """
    bundled = _bundled_file()
    return TextFont((bundled,) if font is None else (font, bundled), size)


def check_font(font: str | os.PathLike | None) -> str | None:
    """Return the path of a font file that can be read, or None.

    Raises:
        ConfigError: it is no font file.
    """
    if font is None:
        return None
    expected = "expected font as a font file (.ttf, .otf or .ttc)"
    if not isinstance(font, (str, os.PathLike)) or "\0" in str(font) or not Path(font).is_file():
        raise ConfigError(f"{expected}, got {shorten(str(font))}, which is no file")
    try:
        ImageFont.truetype(str(font), 12)
    except (OSError, ValueError, MemoryError):
        raise ConfigError(f"{expected}, got {shorten(str(font))}, which cannot be read") from None
    return str(font)


@lru_cache(maxsize=4096)
def choose_files(text: str, files: tuple[str, ...]) -> tuple[str, ...]:
    """Choose a font file for each character of a text.

    A combining mark stays in the font of its base. The first installed font is used that
    has every character that is missing in ``files``, so that a word has one style; if there is
    none, the first for each character.

    Args:
        text: the text.
        files: the preferred files; the first is used for characters that no font has, and there is
            one warning for all of these.
    """
    missing = [char for char in text if not _is_drawn_by(char, files)]
    installed = find_files(frozenset(missing)) if missing else ()
    lacking = [char for char in missing if not _is_drawn_by(char, installed)]
    if lacking:
        missing_glyphs.warn(lacking[0])
    chosen: list[str] = []
    for char in text:
        if chosen and unicodedata.category(char).startswith("M"):
            chosen.append(chosen[-1])
            continue
        owner = next((file for file in (*files, *installed) if _has(file, char)), files[0])
        chosen.append(chosen[-1] if chosen and char == " " else owner)
    return tuple(chosen)


@lru_cache(maxsize=1024)
def find_files(chars: frozenset[str]) -> tuple[str, ...]:
    """Find installed fonts that have these characters, the best one first; maybe not all."""
    found: list[str] = []
    lacking = chars
    for file in _installed_files():
        own = {char for char in chars if _has(file, char)}
        if own == chars:
            return (file,)
        if own & lacking:
            found.append(file)
            lacking -= own
    return tuple(found)


def _is_drawn_by(char: str, files: tuple[str, ...]) -> bool:
    # A mark that a font lacks is left out by it, or hidden in its base.
    is_mark = unicodedata.category(char).startswith("M")
    return is_mark or char.isspace() or any(_has(file, char) for file in files)


@lru_cache(maxsize=65536)
def _has(file: str, char: str) -> bool:
    face = _open_face(file)
    return face is not None and face.get_char_index(ord(char)) != 0


@lru_cache(maxsize=512)
def _open_face(file: str) -> Any:
    """Open a font to look up characters; None for one that Pillow cannot draw with."""
    from matplotlib.ft2font import FT2Font

    try:
        ImageFont.truetype(file, 12)  # fails for bitmap fonts of one size (NotoColorEmoji)
        return FT2Font(file)
    except Exception:  # an installed font may be damaged in any way
        return None


@lru_cache
def _installed_files() -> tuple[str, ...]:
    """List the installed fonts, those that go well with DejaVu Sans first."""
    from matplotlib.font_manager import findSystemFonts

    def rank(file: str) -> tuple:
        name = Path(file).stem.lower().replace("-", "").replace("_", "")
        wanted = [part.replace("-", "") for part in _PREFERRED]
        first = next((at for at, part in enumerate(wanted) if name.startswith(part)), len(wanted))
        styled = any(word in name for word in ("bold", "italic", "oblique", "light", "thin"))
        return first, styled, "mono" in name or "serif" in name, name, file

    try:
        return tuple(sorted(findSystemFonts(), key=rank))
    except Exception:  # the search reads folders, the registry or fc-list
        return ()


@lru_cache
def _bundled_file() -> str:
    import matplotlib

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    if not path.is_file():  # some distributions move the fonts of matplotlib
        from matplotlib.font_manager import findfont

        path = Path(findfont("DejaVu Sans"))
    return str(path)


@lru_cache(maxsize=256)
def _load(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


class _MissingGlyphs:
    """Warns once in a process, since one font serves all labels of a run."""

    def __init__(self) -> None:
        self.warned = False

    def warn(self, char: str) -> None:
        """Log that no font has a character."""
        if self.warned:
            return
        self.warned = True
        is_symbol = unicodedata.category(char).startswith("S")
        package = "fonts-symbola" if is_symbol else "fonts-noto-cjk or fonts-noto-core"
        _logger.warning(
            "no installed font has the character %s (U+%04X, %s), so it and maybe others are drawn "
            "as empty boxes: install a font (on Debian and Ubuntu: %s), or name a font file with "
            "the option font (--font)",
            shorten(char),
            ord(char),
            unicodedata.name(char, "unnamed"),
            package,
        )


missing_glyphs = _MissingGlyphs()
