"""Prompts on the command line of image_demo.py, before the model is loaded."""

import pytest

from glip.cli.detect import build_parser, find_image
from glip.cli.model_and_prompt import read_prompt, warn_of_unknown_words
from glip.config import demo_file
from glip.utils.errors import DependencyError, PromptError

CAPTION = ("--caption", "a red car")


def read(*arguments: str):
    return read_prompt(build_parser().parse_args(["image.jpg", *arguments]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--texts", ""), "empty"),
        (("--texts", " . "), "empty"),
        (("--texts", "dog . cat .", "bus"), "2 texts with ' . ' in them"),
        (("--texts", "$:", "coco"), "only if it is the whole prompt"),
        (("--texts", "$ coco"), r"write '\$: coco'"),
        (("--texts", "$: nosuch"), "vocabulary out of"),
        (("--texts", "dog", "\udcff\udcfe"), "lone surrogate"),
        (("--texts", "d\udce9g"), "lone surrogate"),
        (("--caption", "d\udce9g"), "lone surrogate"),
        (("--caption", ""), "empty"),
        (("--caption", "$: coco"), "goes with --texts"),
        (("--texts", "dog", "--tokens-positive", "-1"), "goes with --caption"),
        ((*CAPTION, "--tokens-positive", "[" * 100_000), "expected --tokens-positive"),
        ((*CAPTION, "--tokens-positive", "[" * 900 + "]" * 900), "expected the spans"),
        ((*CAPTION, "--tokens-positive", f"[[[0, {'9' * 5000}]]]"), "expected --tokens-positive"),
        ((*CAPTION, "--tokens-positive", f"[[[0, {'9' * 4000}]]]"), "not inside the caption"),
        ((*CAPTION, "--tokens-positive", "[[[false, true]]]"), "expected the spans"),
        ((*CAPTION, "--tokens-positive", "[[[NaN, 1]]]"), "expected the spans"),
        ((*CAPTION, "--tokens-positive", "null"), "expected --tokens-positive"),
        ((*CAPTION, "--tokens-positive", "2,5"), "expected --tokens-positive"),
        ((*CAPTION, "--tokens-positive", "{}"), "-1 for the whole caption"),
        ((*CAPTION, "--tokens-positive", "[]"), "-1 for the whole caption"),
        ((*CAPTION, "--tokens-positive", "-2"), "-1 for the whole caption"),
        ((*CAPTION, "--tokens-positive", "true"), "-1 for the whole caption"),
        ((*CAPTION, "--tokens-positive", "[[[2, 900]]]"), "not inside the caption"),
        ((*CAPTION, "--tokens-positive", "\udcff"), "expected --tokens-positive"),
    ],
)
def test_bad_prompts(arguments, message):
    with pytest.raises(PromptError, match=message) as error:
        read(*arguments)
    text = str(error.value)
    assert len(text) < 500
    text.encode()  # can be printed


def test_spacy_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    with pytest.raises(DependencyError, match="pip install spacy"):
        read(*CAPTION, "--np-extractor", "spacy")


@pytest.mark.parametrize(
    ("arguments", "unknown"),
    [
        (("--texts", "Red star . two small green triangles . ring ."), ""),
        (("--caption", "A dotted red star left of a green triangle."), ""),
        (("--texts", "red zebra . giraffe . giraffe"), "'zebra giraffe'"),
        (("--texts", "$: coco"), "'person bicycle"),
    ],
)
def test_words_that_the_small_model_does_not_know(arguments, unknown, capsys):
    warn_of_unknown_words(read(*arguments))
    printed = capsys.readouterr().err
    assert printed.count("\n") == bool(unknown)
    assert unknown in printed
    assert ("--weights glip_tiny_a" in printed) == bool(unknown)


def test_images_that_ship_with_the_library(tmp_path, monkeypatch):
    """Found outside a clone too; a file of the user's comes first."""
    monkeypatch.chdir(tmp_path)
    assert find_image("demo/shapes.jpg") == str(demo_file("shapes.jpg"))
    for other in ("demo/none.jpg", "shapes.jpg", "a/demo/shapes.jpg", "demo/", "demo/*.jpg"):
        assert find_image(other) == other
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "shapes.jpg").touch()
    assert find_image("demo/shapes.jpg") == "demo/shapes.jpg"
