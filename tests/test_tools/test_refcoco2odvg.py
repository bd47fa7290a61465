"""RefCOCO's files (MDETR's format) to lines."""

from __future__ import annotations

import pytest

from tests.test_tools.converting import convert, write_json

NAME = "COCO_train2014_000000581857.jpg"


@pytest.fixture
def path(tmp_path):
    captions = [("the lady with the blue shirt", [[4, 8]]), ("guy in red", []), ("crowd", [[0, 5]])]
    images = [
        dict(
            file_name=NAME if key else "COCO_train2014_000000000009.jpg",
            height=640,
            width=427,
            id=100 + key,
            original_id=581857 if key else 9,
            caption=caption,
            dataset_name="refcoco",
            tokens_negative=[[0, 3]],
        )
        for key, (caption, _) in enumerate(captions)
    ]
    annotations = [
        dict(
            area=1.0,
            iscrowd=int(key == 2),
            image_id=100 + key,
            category_id=1,
            id=key,
            bbox=[103.93, 299.99, 134.22, 177.42],
            original_id=1719310,
            tokens_positive=spans,
        )
        for key, (_, spans) in enumerate(captions)
    ]
    content = dict(
        info={}, licenses=[], images=images, annotations=annotations, categories=[dict(id=1)]
    )
    return write_json(tmp_path / "finetune_refcoco_train.json", content)


def test_whole_expressions(path, tmp_path, capsys):
    lines = convert("refcoco2odvg", path, tmp_path / "o.jsonl")
    assert [line["grounding"] for line in lines] == [
        dict(
            caption=caption,
            regions=[
                dict(
                    bbox=[103.93, 299.99, 238.15, 477.41],
                    phrase=caption,
                    tokens_positive=[[0, len(caption)]],
                )
            ],
        )
        for caption in ("the lady with the blue shirt", "guy in red")
    ]
    assert lines[1]["filename"] == NAME
    assert lines[1]["original_id"] == 581857
    assert "1 box of a crowd (id 2)" in capsys.readouterr().out


def test_heads(path, tmp_path, capsys):
    (line,) = convert("refcoco2odvg", path, tmp_path / "o.jsonl", "--phrase", "head")
    (region,) = line["grounding"]["regions"]
    assert region["phrase"] == "lady"
    assert region["tokens_positive"] == [[4, 8]]
    assert "1 box without the spans of a phrase (id 1)" in capsys.readouterr().out


def test_without_the_test_images_of_another(path, tmp_path):
    """Ids are numbers of captions in MDETR's files; the images are told by their files."""
    other = dict(images=[dict(id=5, file_name=NAME, caption="man", original_id=581857)])
    lines = convert(
        *("refcoco2odvg", path, tmp_path / "o.jsonl"),
        *("--exclude-images", write_json(tmp_path / "finetune_refcocog_test.json", other)),
    )
    assert [line["filename"] for line in lines] == ["COCO_train2014_000000000009.jpg"]
