"""Visual Genome's files to lines."""

from __future__ import annotations

import pytest

from glip.datasets.odvg.records import boxes_of
from glip.utils.errors import USER_ERRORS
from tests.test_tools.converting import convert, label_map, write_json

URL = "https://cs.stanford.edu/people/rak248"


@pytest.fixture
def image_data(tmp_path):
    images = [
        dict(
            width=800,
            url=f"{URL}/VG_100K_2/1.jpg",
            height=600,
            image_id=1,
            coco_id=None,
            flickr_id=None,
        ),
        dict(
            width=640,
            url=f"{URL}/VG_100K/2.jpg",
            height=480,
            image_id=2,
            coco_id=30,
            flickr_id=7,
        ),
    ]
    return write_json(tmp_path / "image_data.json", images)


def regions(image, *described):
    return dict(
        id=image,
        regions=[
            dict(
                region_id=1382 + at,
                image_id=image,
                phrase=phrase,
                x=box[0],
                y=box[1],
                width=box[2],
                height=box[3],
            )
            for at, (phrase, box) in enumerate(described)
        ],
    )


@pytest.fixture
def descriptions(tmp_path):
    content = [
        regions(
            1,
            ("the clock is green  in colour.", [421, 57, 82, 139]),
            ("A man", [10, 10, 100, 200]),
            ("man in red", [12, 10, 100, 200]),  # the same place in other words
            ("a man", [500, 10, 100, 200]),  # the same words
            ("!", [1, 1, 5, 5]),
            ("a hat", [-5, -5, 5, 5]),
            ("a shoe", [5, 5, 0, 5]),
        ),
        regions(2, ("a dog", [1, 2, 30, 40])),
        regions(3, ("a cat", [1, 2, 30, 40])),
    ]
    return write_json(tmp_path / "region_descriptions.json", content)


def test_regions(descriptions, image_data, tmp_path, capsys):
    lines = convert("vg2odvg", descriptions, tmp_path / "o.jsonl", "--image-data", image_data)
    assert [(line["filename"], line["width"], line["height"]) for line in lines] == [
        ("VG_100K_2/1.jpg", 800, 600),
        ("VG_100K_2/1.jpg", 800, 600),
        ("VG_100K/2.jpg", 640, 480),
    ]
    captions = [line["grounding"]["caption"] for line in lines]
    assert captions == ["the clock is green in colour. A man.", "man in red.", "a dog."]
    for line in lines:
        for region in line["grounding"]["regions"]:
            ((start, end),) = region["tokens_positive"]
            assert line["grounding"]["caption"][start:end] == region["phrase"]
    boxes = {r["phrase"]: boxes_of(r) for line in lines for r in line["grounding"]["regions"]}
    assert boxes == {
        "the clock is green in colour": [[421, 57, 503, 196]],
        "A man": [[10, 10, 110, 210], [500, 10, 600, 210]],
        "man in red": [[12, 10, 112, 210]],
        "a dog": [[1, 2, 31, 42]],
    }
    printed = capsys.readouterr().out
    for reason in (
        "3 captions, 4 phrases, 5 boxes",
        "1 box without words",
        "1 box without area",
        "1 box outside the image",
        "1 image not in image_data.json (id 3)",
    ):
        assert reason in printed


def test_a_line_for_each_region(descriptions, image_data, tmp_path):
    lines = convert(
        *("vg2odvg", descriptions, tmp_path / "o.jsonl", "--image-data", image_data),
        *("--max-chars", "1", "--flat"),
    )
    assert [len(line["grounding"]["regions"]) for line in lines] == [1, 1, 1, 1]
    assert lines[0]["filename"] == "1.jpg"


def test_without_coco(descriptions, image_data, tmp_path):
    common = ("vg2odvg", descriptions, tmp_path / "o.jsonl", "--image-data", image_data)
    lines = convert(*common, "--exclude-coco")
    assert {line["img_id"] for line in lines} == {1}
    (tmp_path / "ids.txt").write_text("30")
    lines = convert(*common, "--overwrite", "--exclude-images", tmp_path / "ids.txt")
    assert {line["img_id"] for line in lines} == {1}


@pytest.fixture
def objects(tmp_path):
    content = [
        dict(
            image_id=image,
            image_url="",
            objects=[
                dict(
                    synsets=[],
                    h=57,
                    object_id=at,
                    merged_object_ids=[],
                    names=names,
                    w=79,
                    y=3,
                    x=9 * at,
                )
                for at, names in enumerate(listed)
            ],
        )
        for image, listed in ((1, [["Trees"], ["trees", "bush"], ["car"], []]), (2, [["man"]]))
    ]
    return write_json(tmp_path / "objects.json", content)


def test_objects(objects, image_data, tmp_path, capsys):
    out = tmp_path / "o.jsonl"
    common = ("vg2odvg", objects, out, "--image-data", image_data, "--as", "objects")
    lines = convert(*common, "--num-names", "2")
    assert label_map(out) == {"0": "trees", "1": "car"}  # as frequent as man, and before it
    assert [line["detection"]["instances"] for line in lines] == [
        [
            dict(bbox=[0, 3, 79, 60], label=0, category="trees"),
            dict(bbox=[9, 3, 88, 60], label=0, category="trees"),
            dict(bbox=[18, 3, 97, 60], label=1, category="car"),
        ],
        [],
    ]
    printed = capsys.readouterr().out
    assert "1 box of names after the 2 most frequent (man)" in printed
    assert "1 box without words" in printed


@pytest.mark.parametrize("content", ["objects", "regions"])
def test_the_other_file(descriptions, objects, image_data, tmp_path, content):
    path = dict(objects=descriptions, regions=objects)[content]
    with pytest.raises(USER_ERRORS, match=f"expected Visual Genome's format, .* '{content}'"):
        convert(
            *("vg2odvg", path, tmp_path / "o.jsonl", "--image-data", image_data, "--as", content)
        )


def test_files_that_are_wrong(descriptions, image_data, tmp_path):
    out = tmp_path / "o.jsonl"
    with pytest.raises(USER_ERRORS, match=r"expected Visual Genome's image_data\.json"):
        convert("vg2odvg", descriptions, out, "--image-data", descriptions)
    empty = write_json(tmp_path / "a.json", {})
    with pytest.raises(USER_ERRORS, match="another format: expected a list, got an object"):
        convert("vg2odvg", empty, out, "--image-data", image_data)
    nothing = write_json(tmp_path / "b.json", [])
    for content in ("regions", "objects"):
        with pytest.raises(USER_ERRORS, match=r"nothing of .* can be used"):
            convert("vg2odvg", nothing, out, "--image-data", image_data, "--as", content)
