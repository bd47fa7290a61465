"""GoldG's files (MDETR's format) to lines: Flickr30k Entities and the mixed data."""

from __future__ import annotations

import pytest

from glip.datasets import Flickr30kDataset, ODVGDataset
from glip.datasets.odvg.records import boxes_of
from glip.utils.errors import USER_ERRORS
from tests.test_tools.converting import convert, write_json


def flickr():
    """A caption as MDETR writes it: sizes are texts, a box may be of several phrases."""
    caption = "Two men in green shirts talk while a man in a hat looks at them"
    spans = {words: caption.index(words) for words in ("Two men", "green shirts", "a man", "a hat")}
    listed = [[[at, at + len(words)]] for words, at in spans.items()]
    images = [
        dict(
            file_name="1000092795.jpg",
            height="333",
            width="500",
            id=key,
            caption=text,
            dataset_name="flickr",
            tokens_negative=[[0, len(text)]],
            sentence_id=key,
            original_img_id=1000092795,
            tokens_positive_eval=positive,
        )
        for key, text, positive in ((0, caption, listed), (1, "It is late", []))
    ]
    boxes = [
        ([10.0, 20.0, 30.0, 40.0], listed[0]),
        ([100.0, 20.0, 30.0, 40.0], listed[0]),
        ([12.5, 30.0, 20.0, 20.0], listed[1]),
        ([300.0, 20.0, 300.0, 40.0], [*listed[2], *listed[3]]),  # both; over the border
        ([1.0, 1.0, 2.0, 2.0], [[24, 28]]),  # "talk", which is no phrase
    ]
    annotations = [
        dict(
            area=box[2] * box[3],
            iscrowd=0,
            image_id=0,
            category_id=1,
            id=key,
            bbox=box,
            tokens_positive=positive,
        )
        for key, (box, positive) in enumerate(boxes)
    ]
    categories = [dict(supercategory="object", id=1, name="object")]
    return dict(info=[], licenses=[], images=images, annotations=annotations, categories=categories)


def mixed():
    """Joined captions of a COCO image and one of Visual Genome, without a list of phrases."""
    captions = ["man on left. red car.", "the big old dog by a tree."]
    images = [
        dict(
            file_name=name,
            height=480,
            width=640,
            id=key,
            original_id=original,
            caption=captions[key],
            tokens_negative=[],
            data_source=source,
            dataset_name="mixed",
        )
        for key, (name, original, source) in enumerate(
            [
                ("COCO_train2014_000000581857.jpg", "581857", "coco"),
                ("2386621.jpg", "2386621", "vg"),
            ]
        )
    ]
    boxes = [
        (0, [1, 2, 30, 40], [[0, 3]]),
        (0, [50, 2, 30, 40], [[13, 20]]),
        (1, [5, 5, 50, 50], [[12, 15], [4, 7]]),  # "big" and "dog"
        (1, [105, 5, 50, 50], [[4, 7], [12, 15]]),
        (1, [200, 5, 50, 50], [[21, 25]]),
        (1, [0, 5, 50, 50], [[21, 99]]),  # outside the caption
        (1, [0, 5, 50, 50], [[3, 4]]),  # a space
        (1, [0, 5, 50, 50], []),
    ]
    annotations = [
        dict(
            area=1.0,
            iscrowd=0,
            image_id=image,
            category_id=1,
            id=key,
            bbox=box,
            tokens_positive=positive,
        )
        for key, (image, box, positive) in enumerate(boxes)
    ]
    return dict(info=[], licenses=[], images=images, annotations=annotations, categories=[])


def test_flickr(tmp_path, capsys):
    path = write_json(tmp_path / "final_flickr_separateGT_train.json", flickr())
    (line,) = convert("goldg2odvg", path, tmp_path / "o.jsonl")
    grounding = line.pop("grounding")
    assert line == dict(
        filename="1000092795.jpg",
        height=333,
        width=500,
        img_id=0,
        dataset_name="flickr",
        original_img_id=1000092795,
        sentence_id=0,
    )
    caption = grounding["caption"]
    for region in grounding["regions"]:
        ((start, end),) = region["tokens_positive"]
        assert caption[start:end] == region["phrase"]
    boxes = {region["phrase"]: boxes_of(region) for region in grounding["regions"]}
    assert boxes == {
        "Two men": [[10, 20, 40, 60], [100, 20, 130, 60]],
        "green shirts": [[12.5, 30, 32.5, 50]],
        "a man": [[300, 20, 500, 60]],
        "a hat": [[300, 20, 500, 60]],
    }
    printed = capsys.readouterr().out
    assert "1 caption, 4 phrases, 5 boxes" in printed
    assert "1 caption without a phrase to find (image 1)" in printed
    assert "1 box of no phrase of the caption (image 0)" in printed


def test_flickr_is_what_the_data_set_reads(tmp_path):
    """The same phrases, spans and boxes as evaluation reads, but for boxes over the border."""
    content = flickr()
    content["images"][0]["width"] = "1000"
    path = write_json(tmp_path / "a.json", content)
    (line,) = convert("goldg2odvg", path, tmp_path / "o.jsonl")
    info = Flickr30kDataset(str(path)).get_data_info(0)
    regions = line["grounding"]["regions"]
    assert line["grounding"]["caption"] == info["text"]
    assert [region["phrase"] for region in regions] == info["phrases"]
    assert [region["tokens_positive"] for region in regions] == info["tokens_positive"]
    assert [boxes_of(region) for region in regions] == info["phrase_boxes"]


def test_the_lines_can_be_trained_on(tmp_path):
    for name, content in (("flickr", flickr()), ("mixed", mixed())):
        out = tmp_path / f"{name}.jsonl"
        convert("goldg2odvg", write_json(tmp_path / f"{name}.json", content), out)
    dataset = ODVGDataset(["flickr.jsonl", "mixed.jsonl"], data_root=str(tmp_path))
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [info["phrases"] for info in infos] == [
        ["Two men", "green shirts", "a man", "a hat"],
        ["man", "red car"],
        ["big dog", "tree"],
    ]
    assert [info["phrase_ids"] for info in infos] == [[0, 0, 1, 2, 3], [0, 1], [0, 0, 1]]


def test_mixed(tmp_path, capsys):
    path = write_json(tmp_path / "final_mixed_train.json", mixed())
    coco, vg = convert(
        *("goldg2odvg", path, tmp_path / "o.jsonl"),
        *("--coco-folder", "coco/train2014/", "--vg-folder", "gqa/images"),
    )
    assert coco["filename"] == "coco/train2014/COCO_train2014_000000581857.jpg"
    assert vg["filename"] == "gqa/images/2386621.jpg"
    assert coco["grounding"]["regions"] == [
        dict(bbox=[1, 2, 31, 42], phrase="man", tokens_positive=[[0, 3]]),
        dict(bbox=[50, 2, 80, 42], phrase="red car", tokens_positive=[[13, 20]]),
    ]
    assert vg["grounding"]["regions"] == [
        dict(
            bbox=[[5, 5, 55, 55], [105, 5, 155, 55]],
            phrase="big dog",
            tokens_positive=[[4, 7], [12, 15]],
        ),
        dict(bbox=[200, 5, 250, 55], phrase="tree", tokens_positive=[[21, 25]]),
    ]
    printed = capsys.readouterr().out
    assert "1 box without the spans of a phrase (id 7)" in printed
    assert "1 phrase outside the caption (image 1, number 2)" in printed
    assert "1 phrase without words (image 1)" in printed


def test_without_coco(tmp_path, capsys):
    path = write_json(tmp_path / "a.json", mixed())
    (line,) = convert("goldg2odvg", path, tmp_path / "o.jsonl", "--exclude-coco")
    assert line["data_source"] == "vg"
    assert "1 image of COCO" in capsys.readouterr().out


def test_without_coco_by_the_source(tmp_path):
    """Also where the file name does not tell."""
    content = mixed()
    content["images"][0]["file_name"] = "renamed.jpg"
    path = write_json(tmp_path / "a.json", content)
    (line,) = convert("goldg2odvg", path, tmp_path / "o.jsonl", "--exclude-coco")
    assert line["data_source"] == "vg"
    (tmp_path / "ids.txt").write_text("581857\n")
    (line,) = convert(
        *("goldg2odvg", path, tmp_path / "o.jsonl", "--overwrite"),
        *("--exclude-images", tmp_path / "ids.txt"),
    )
    assert line["data_source"] == "vg"


def test_without_cocos_validation_images(tmp_path):
    path = write_json(tmp_path / "a.json", mixed())
    for number, sources in ((581857, ["vg"]), (1, ["coco", "vg"])):
        listed = dict(images=[dict(id=number, file_name=f"{number:012}.jpg")])
        lines = convert(
            *("goldg2odvg", path, tmp_path / "o.jsonl", "--overwrite"),
            *("--exclude-images", write_json(tmp_path / "val2017.json", listed)),
        )
        assert [line["data_source"] for line in lines] == sources


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("caption", None, "2 captions without words"),
        ("caption", 5, "2 captions without words"),
        ("height", "tall", "2 images of unknown size"),
        ("tokens_positive_eval", [[[0]], "x", [[0, "3"]]], "outside the caption"),
    ],
)
def test_entries_that_are_wrong(tmp_path, key, value, message):
    content = mixed()
    content["images"] = [{**image, key: value} for image in content["images"]]
    with pytest.raises(USER_ERRORS, match=message):
        convert("goldg2odvg", write_json(tmp_path / "a.json", content), tmp_path / "o.jsonl")
