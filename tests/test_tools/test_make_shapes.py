"""Generated shapes: same seed, same files; held-out pairs; a vocabulary of complete words."""

import json

import numpy as np
import pytest

from glip.datasets import CocoDataset, Flickr30kDataset
from glip.testing.shapes import HELD_OUT, all_words, class_name
from glip.text.tokenizer import load_tokenizer
from glip.utils.errors import ConfigError
from tests.test_tools.commands import tool

TOOL = "dataset_converters/make_shapes.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("shapes")
    tool(TOOL).main([str(out), "--seed", "3", "--num-images", "12"])
    return out


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_seeds(made, tmp_path):
    make = tool(TOOL)
    make.main([str(tmp_path / "same"), "--seed", "3", "--num-images", "12"])
    make.main([str(tmp_path / "other"), "--seed", "4", "--num-images", "12"])
    assert files(tmp_path / "same") == files(made)
    other = files(tmp_path / "other")
    assert other["images/000000.jpg"] != files(made)["images/000000.jpg"]
    assert other["vocabulary/vocab.txt"] == files(made)["vocabulary/vocab.txt"]


def test_held_out_pairs_are_left_out(tmp_path):
    tool(TOOL).main([str(tmp_path), "--num-images", "5", "--without-held-out"])
    content = json.loads((tmp_path / "annotations/detection.json").read_text())
    names = {category["name"] for category in content["categories"]}
    assert len(names) == 56
    assert not names & {class_name(pair) for pair in HELD_OUT}


def test_words_sizes_and_numbers_can_be_chosen(tmp_path):
    words = ["red", "pink", "star", "moon"]
    options = ["--words", *words, "--side", "128", "--max-objects", "2", "--num-images", "30"]
    tool(TOOL).main([str(tmp_path), *options])
    names = {}
    for file in ("detection", "colors", "shapes"):
        content = json.loads((tmp_path / f"annotations/{file}.json").read_text())
        names[file] = [category["name"] for category in content["categories"]]
        assert {each["category_id"] for each in content["annotations"]} == set(
            range(1, len(names[file]) + 1)
        )
        for each in content["annotations"]:
            assert min(each["bbox"]) >= 0
            assert max(np.add(each["bbox"][:2], each["bbox"][2:])) <= 128
        images = [each["image_id"] for each in content["annotations"]]
        assert max(map(images.count, images)) == 2
    assert names["colors"] == ["red", "pink"]
    assert names["shapes"] == ["star", "moon"]
    assert names["detection"] == ["red star", "red moon", "pink star", "pink moon"]
    assert {max(each["width"], each["height"]) for each in content["images"]} == {128}
    text = (tmp_path / "annotations/pairs.jsonl").read_text()
    assert not any(word in text for word in ("blue", "green", "circle", "square"))


def test_pairs_are_images_and_captions(made):
    pairs = [json.loads(line) for line in (made / "annotations/pairs.jsonl").open()]
    content = json.loads((made / "annotations/grounding.json").read_text())
    assert [pair["caption"] for pair in pairs] == [each["caption"] for each in content["images"]]
    assert all((made / "images" / pair["filename"]).is_file() for pair in pairs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--words", "red", "blue"], "a colour and a shape"),
        (["--words", "red", "square", "--without-held-out"], "a colour and a shape"),
    ],
)
def test_words_that_make_no_pair(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        tool(TOOL).main([str(tmp_path / "out"), *options])


@pytest.mark.parametrize("option", [("--side", "127"), ("--max-objects", "11")])
def test_numbers_out_of_range(tmp_path, option, capsys):
    with pytest.raises(SystemExit):
        tool(TOOL).main([str(tmp_path / "out"), *option])
    assert f"expected {option[0]}" in capsys.readouterr().err


def test_data_sets_read_them(made):
    content = json.loads((made / "annotations/detection.json").read_text())
    classes = tuple(category["name"] for category in content["categories"])
    common = dict(data_root=str(made), data_prefix=dict(img="images/"))
    detection = CocoDataset("annotations/detection.json", metainfo=dict(classes=classes), **common)
    grounding = Flickr30kDataset("annotations/grounding.json", test_mode=False, **common)
    assert len(detection) == len(grounding) == 12
    objects = sum(len(detection.get_data_info(at)["instances"]) for at in range(12))
    assert objects == len(content["annotations"])
    for at in range(12):
        info = grounding.get_data_info(at)
        boxes = {tuple(each["bbox"]) for each in detection.get_data_info(at)["instances"]}
        assert {tuple(each["bbox"]) for each in info["instances"]} <= boxes
        assert len(info["phrases"]) == max(each["bbox_label"] for each in info["instances"]) + 1


def test_every_word_is_one_token(made):
    tokenizer = load_tokenizer(str(made / "vocabulary"))
    for word in all_words():
        assert tokenizer.tokenize(word) == [word]
    assert "[UNK]" not in tokenizer.tokenize("A zebra's 3rd jump, crimson!")


def test_no_backgrounds(tmp_path):
    with pytest.raises(FileNotFoundError, match="photographs"):
        tool(TOOL).main([str(tmp_path / "out"), "--backgrounds", str(tmp_path)])
