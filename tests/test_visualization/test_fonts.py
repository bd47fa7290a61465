"""Labels are drawn with a font that has their characters."""

from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw

from glip.analysis import confusion_matrix, curves
from glip.apis import DetInferencer
from glip.utils.errors import ConfigError
from glip.visualization import DetLocalVisualizer, DrawStyle, draw_detections, figures, fonts

#: Private characters, which no installed font is likely to have.
FIRST, SECOND, THIRD = "\U000f1230", "\U000f1231", "\U000f1232"


def make_font(path: Path, chars: str) -> str:
    """Write a font whose characters are filled squares."""
    glyphs = [".notdef", *(f"g{at}" for at in range(len(chars)))]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap(
        {ord(char): name for char, name in zip(chars, glyphs[1:], strict=True)}
    )
    pen = TTGlyphPen(None)
    for start, *others in [[(0, 0), (0, 700), (900, 700), (900, 0)]]:
        pen.moveTo(start)
        for point in others:
            pen.lineTo(point)
        pen.closePath()
    square, empty = pen.glyph(), TTGlyphPen(None).glyph()
    builder.setupGlyf({name: empty if name == ".notdef" else square for name in glyphs})
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Two installed fonts, with one and with two of the private characters."""
    files = [
        make_font(tmp_path / "One.ttf", FIRST),
        make_font(tmp_path / "Two.ttf", FIRST + SECOND),
    ]
    damaged = tmp_path / "Damaged.ttf"
    damaged.write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_installed_files", lambda: (str(damaged), *files))
    monkeypatch.setattr(fonts, "missing_glyphs", fonts._MissingGlyphs())
    for function in (fonts.choose_files, fonts.find_files, fonts.load_font):
        function.cache_clear()
    yield files
    for function in (fonts.choose_files, fonts.find_files, fonts.load_font):
        function.cache_clear()


def drawn(text: str, font: str | None = None) -> np.ndarray:
    image = Image.new("RGB", (200, 30), (255, 255, 255))
    fonts.load_font(20, font).draw(ImageDraw.Draw(image), (5, 22), text, (0, 0, 0))
    return np.array(image)


def test_the_bundled_font_is_used_where_it_can(installed):
    text_font = fonts.load_font(20)
    assert [part for _, part in text_font._runs("déjà")] == ["déjà"]
    assert {Path(file).stem for file in fonts.choose_files("déjà", text_font.files)} == {
        "DejaVuSans"
    }


def test_installed_fonts_are_searched(installed, caplog):
    (bundled,) = fonts.load_font(20).files
    one, two = installed
    assert fonts.choose_files(f"a{FIRST}", (bundled,)) == (bundled, one)
    # One font for the whole text where there is one.
    assert fonts.choose_files(f"a{FIRST}{SECOND}", (bundled,)) == (bundled, two, two)
    ink = (drawn(FIRST) < 128).all(axis=2).sum()
    assert ink == pytest.approx(18 * 14, abs=40)  # a filled square, not an empty box
    assert not caplog.messages


def test_one_warning_for_characters_that_no_font_has(installed, caplog):
    for text in (THIRD, f"dog {THIRD}", "\U000f9999"):
        drawn(text)
    (message,) = caplog.messages
    assert "U+F1232" in message
    assert "--font" in message
    assert "fonts-noto-cjk" in message


def test_a_given_font_comes_first(installed, tmp_path, caplog):
    given = make_font(tmp_path / "Given.ttf", THIRD + "x")
    (_, bundled) = fonts.load_font(20, given).files
    assert fonts.choose_files(f"xé{THIRD}y", (given, bundled)) == (given, bundled, given, bundled)
    assert (drawn("xy", given) != drawn("xy")).any()
    drawn(f"dog {THIRD}", given)
    assert not caplog.messages


def test_width_is_that_of_the_parts(installed):
    font = fonts.load_font(20)
    assert font.getlength(f"ab{FIRST}c") == pytest.approx(font.getlength("abc") + 20, abs=1)
    assert font.getlength("") == 0


@pytest.mark.parametrize(
    "text",
    [
        "مرحبا بالعالم",
        "עברית",
        "cafe\u0301 a\u0300\u0301\u0302",
        "\u0301 alone",
        "हिन्दी",
        "❤\ufe0f",
        "\U000e0041",
        "红色星",
        "👨\u200d👩\u200d👧",
        "\u202eright to left",
        "a\tb\nc",
        "\ud800",
        "",
        " ",
        "\0",
    ],
)
def test_any_text_is_drawn(text):
    image = np.full((60, 200, 3), 200, np.uint8)
    draw_detections(image, np.array([[10, 30, 150, 50]]), [text], [0.5])


@pytest.mark.parametrize("kind", ["text", "empty", "image", "folder", "missing", "number", "null"])
def test_what_is_no_font(kind, tmp_path, photo):
    path: object = tmp_path / "font.ttf"
    if kind in ("text", "empty"):
        (tmp_path / "font.ttf").write_text("" if kind == "empty" else "no font")
    path = {"image": photo, "folder": tmp_path, "number": 5, "null": "a\0b"}.get(kind, path)
    with pytest.raises(ConfigError, match="expected font as a font file"):
        DetLocalVisualizer(font=path)
    with pytest.raises(ConfigError, match="expected font as a font file"):
        DrawStyle(font=path)


def test_the_option_reaches_the_image(installed, tmp_path, tiny_model, photo):
    given = make_font(tmp_path / "Given.ttf", "bench")
    call = dict(texts=["bench"], return_vis=True, pred_score_thr=0.0)
    plain = DetInferencer(tiny_model)(str(photo), **call)["visualization"][0]
    other = DetInferencer(tiny_model, style=DrawStyle(font=given))(str(photo), **call)[
        "visualization"
    ][0]
    assert (plain != other).any()


def test_chinese_labels():
    """With a font as it is installed."""
    if not fonts.find_files(frozenset("红色星")):
        pytest.skip("no installed font has Chinese characters (fonts-noto-cjk has)")
    assert (drawn("红") != drawn("色")).any()


@pytest.mark.filterwarnings("error:Glyph")  # of matplotlib, when a font lacks a character
def test_figures_have_names_in_any_script(installed, tmp_path):
    names = [FIRST, "tree", SECOND + "é"]
    confusion_matrix.draw(np.eye(3, dtype=int), names, tmp_path / "matrix.png")
    curves._draw_table([[name, 0.5, 0.6, 0.4, 0.7, 3] for name in names])
    assert figures.font_families(names)[0] == "DejaVu Sans"


@pytest.mark.parametrize("name", [r"$\frac$", "$5 bill$", "$"])
def test_dollar_signs_in_figures_are_no_formula(name, tmp_path):
    confusion_matrix.draw(np.eye(1, dtype=int), [name], tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").stat().st_size > 0


def test_a_character_that_no_font_has_is_warned_of(installed, caplog):
    figures.font_families([THIRD])
    assert "no installed font has the character" in caplog.text
