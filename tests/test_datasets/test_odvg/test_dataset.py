"""The data set: prompts, invalid records, what a start reads, and the data loader."""

from __future__ import annotations

import copy
import json
import pickle
import random

import pytest
import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from torch.utils.data import DataLoader

from glip.datasets import AspectRatioBatchSampler, ConcatDataset, ODVGDataset
from glip.datasets.odvg import index, lazy_list, sources
from glip.engine.seeding import SeededDataLoader
from glip.registry import DATASETS
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError, DataError
from tests.test_datasets.test_odvg.files import (
    NAMES,
    make_lines,
    members_of,
    write_images,
    write_lines,
    write_shard,
)

LOADING = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="GTBoxSubOne"),
    dict(type="FixScaleResize", scale=(64, 96)),
    dict(type="RandomFlip_GLIP", prob=0.5),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1)),
]


def build(path, **others):
    arguments = dict(
        ann_file=path.name,
        data_root=str(path.parent),
        label_map_file="labels.json",
        data_prefix=dict(img="img"),
    )
    return ODVGDataset(**{**arguments, **others})


@pytest.fixture
def reads(monkeypatch):
    """The number of parsed records, while building an index and on access."""
    counted = dict(index=0, table=0)
    for module, name in ((sources, "index"), (lazy_list, "table")):

        def parse(content, name=name, whole=module.parse_record):
            counted[name] += 1
            return whole(content)

        monkeypatch.setattr(module, "parse_record", parse)
    return counted


def test_a_start_reads_no_line_twice(tmp_path, reads):
    path = write_lines(tmp_path, make_lines(3000))
    dataset = build(path)
    assert len(dataset) == 3000
    assert reads == dict(index=3000, table=0)
    again = build(path, filter_cfg=dict(filter_empty_gt=True, min_size=10))
    batches = AspectRatioBatchSampler(DefaultSampler(again, shuffle=True), 4)
    sizes = {index: again.get_image_size(index) for batch in batches for index in batch}
    assert len(sizes) == 3000
    assert reads == dict(index=3000, table=0)
    info = again.get_data_info(1234)
    assert reads == dict(index=3000, table=1)
    assert (info["img_path"], info["sample_idx"]) == (f"{tmp_path}/img/01234.png", 1234)
    assert sizes[1234] == (info["width"], info["height"])


def test_detection_line(tmp_path):
    dataset = build(write_lines(tmp_path, make_lines(4)))
    info = dataset.get_data_info(2)
    assert info["text"] == NAMES
    assert info["custom_entities"] is True
    # The box of half a pixel is excluded.
    assert info["instances"] == [dict(bbox=[1.0, 2.0, 13.0, 22.0], bbox_label=2, ignore_flag=0)]
    assert (info["width"], info["height"]) == (60, 40)
    assert dataset.metainfo["classes"] == NAMES
    assert dataset.get_cat_ids(2) == [2]
    assert "text" not in build(tmp_path / "train.jsonl", need_text=False).get_data_info(2)


def test_grounding_line(tmp_path):
    info = build(write_lines(tmp_path, make_lines(4))).get_data_info(1)
    assert info["text"] == "a dog on a red sofa"
    assert info["custom_entities"] is False
    # The two regions with one span are one phrase; missing spans are searched for.
    assert info["tokens_positive"] == [[[0, 5]], [[9, 19]]]
    assert info["phrases"] == ["a dog", "a red sofa"]
    assert info["phrase_ids"] == [0, 0, 0, 1]
    assert [each["bbox_label"] for each in info["instances"]] == [0, 0, 0, 1]
    assert info["instances"][1]["bbox"] == [3, 4, 30, 30]


def test_scores(tmp_path):
    lines = make_lines(4)
    for region in lines[3]["grounding"]["regions"]:
        region["score"] = [0.4] * 2 if isinstance(region["bbox"][0], list) else 0.4
    dataset = build(write_lines(tmp_path, lines), score_thr=0.7)
    assert len(dataset) == 3  # the last record has no box left
    info = dataset.get_data_info(1)
    assert info["phrase_ids"] == [0, 1]  # boxes without a score are kept
    assert info["instances"][0]["bbox"] == [1.0, 2.0, 12.0, 22.0]
    assert len(build(tmp_path / "train.jsonl", score_thr=0.4)) == 4  # the threshold is inclusive


def test_filters(tmp_path):
    lines = make_lines(6)
    lines[0]["detection"]["instances"] = lines[0]["detection"]["instances"][1:]  # half a pixel
    lines[2]["detection"]["instances"] = []
    lines[3]["grounding"]["regions"] = []
    lines[4]["width"] = 8
    lines[4]["detection"]["instances"][0]["bbox"] = [0, 0, 8, 8]
    path = write_lines(tmp_path, lines)
    names = lambda dataset: [info["img_path"][-5] for info in dataset.data_list]  # noqa: E731
    assert names(build(path)) == ["0", "1", "2", "4", "5"]
    empty = dict(filter_cfg=dict(filter_empty_gt=True))
    assert names(build(path, **empty)) == ["1", "4", "5"]
    assert names(build(path, **empty, test_mode=True)) == ["0", "1", "2", "4", "5"]
    assert names(build(path, filter_cfg=dict(min_size=9))) == ["0", "1", "2", "5"]
    assert names(build(path, indices=2)) == ["0", "1"]
    assert names(build(path, indices=-1)) == ["5"]
    assert names(build(path, indices=[3, 0])) == ["4", "0"]
    assert names(build(path).get_subset([1])) == ["1"]
    with pytest.raises(AnnotationFileError, match="the data set is empty"):
        build(path, filter_cfg=dict(min_size=999))


def test_invalid_records_are_skipped_and_named(tmp_path, monkeypatch):
    messages = []
    monkeypatch.setattr(
        "glip.datasets.odvg.dataset.print_log", lambda message, **_: messages.append(message)
    )
    lines = make_lines(20)
    lines[4]["detection"]["instances"][0]["bbox"] = [5, 5, 5, 9]
    lines[6]["detection"]["instances"][0]["label"] = 3
    lines.insert(3, "")  # counts as a line, but not as a record
    lines[9] = '{"filename": "half'
    path = write_lines(tmp_path, lines)
    for _ in range(2):  # also from the stored index
        dataset = build(path, max_invalid_records=3)
        assert len(dataset) == 17
        assert messages.pop() == (
            f"ODVGDataset skips invalid records: 3 of 20 records are invalid. '{path}': 1 x a box "
            "has no area (line 6); 1 x invalid JSON (line 10); 1 x a label is not in the label map "
            "(line 8)."
        )
    with pytest.raises(AnnotationFileError, match=r"3 of 20 records are invalid.*glip check"):
        build(path, max_invalid_records=0.1)
    with pytest.raises(AnnotationFileError, match="max_invalid_records"):
        build(path, max_invalid_records=2)


def test_label_maps(tmp_path):
    path = write_lines(tmp_path, make_lines(6))
    with pytest.raises(AnnotationFileError, match="label_map_file"):
        build(path, label_map_file=None)
    assert len(build(path, label_map_file=None, metainfo=dict(classes=NAMES))) == 6
    with pytest.raises(AnnotationFileError, match=r"label 0 is 'cat' in .* and 'dog' in"):
        build(path, label_map_file=None, metainfo=dict(classes=("dog", "cat", "traffic light")))
    with pytest.raises(DataError, match="give only one of them"):
        build(path, metainfo=dict(classes=("dog",)))
    with pytest.raises(AnnotationFileNotFoundError):
        build(path, label_map_file="none.json")
    path = write_lines(tmp_path / "captions", make_lines(6)[1::2])
    assert len(build(path, label_map_file=None)) == 3


def test_wrong_arguments(tmp_path):
    path = write_lines(tmp_path, make_lines(2))
    with pytest.raises(DataError, match="backend_args"):
        build(path, backend_args=dict(backend="petrel"))
    with pytest.raises(AnnotationFileNotFoundError, match=r"there is no annotation file '.*b\.jso"):
        build(path, ann_file="b.jsonl")
    absent = dict(type="ODVGDataset", ann_file="b.jsonl", data_root=str(tmp_path))
    there = build(path)
    assert len(ConcatDataset([there, absent], skip_missing=True)) == 2


def test_a_file_that_changes_is_an_error(tmp_path):
    path = write_lines(tmp_path, make_lines(4))
    dataset = build(path)
    path.write_bytes(path.read_bytes()[60:])
    with pytest.raises(AnnotationFileError, match=r"line 2 of .* start again"):
        dataset.get_data_info(1)


def test_copies_read_the_same(tmp_path):
    dataset = build(write_lines(tmp_path, make_lines(50)), indices=[7, 3])
    sent = pickle.dumps(dataset)
    assert len(sent) < 5000  # the rows are not in it
    for again in (pickle.loads(sent), copy.deepcopy(dataset)):
        assert again.get_data_info(1) == dataset.get_data_info(1)


@pytest.mark.parametrize(("shards", "start"), [(False, "fork"), (True, "spawn")])
def test_training_loader(tmp_path, vocabulary, shards, start):
    """Workers return the same samples as the main process, from files and from shards."""
    lines = make_lines(24)
    folder = tmp_path / "data"
    write_lines(folder, lines)
    if shards:
        for number in range(3):
            part = members_of(lines[8 * number : 8 * number + 8], 8 * number)
            write_shard(folder / f"train-{number}.tar", part)
    else:
        write_images(folder / "img", lines)
    sampling = dict(type="RandomSamplingNegPos", tokenizer_name=vocabulary, num_sample_negative=2)
    config = dict(
        type="ODVGDataset",
        ann_file="train-{0..2}.tar" if shards else "train.jsonl",
        data_root=str(folder),
        label_map_file="labels.json",
        data_prefix=dict(img="img"),
        pipeline=[*LOADING, sampling, dict(type="PackDetInputs")],
    )
    dataset = DATASETS.build(dict(type="ConcatDataset", datasets=[config]))
    assert len(dataset) == 24

    def load(workers):
        batches = AspectRatioBatchSampler(DefaultSampler(dataset, seed=0), 4)
        context = start if workers else None
        loader = DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=pseudo_collate,
            multiprocessing_context=context,
        )
        return list(SeededDataLoader(loader, seed=0, rank=0))

    random.seed(0)
    here, there = load(0), load(2)
    seen = set()
    for first, second in zip(here, there, strict=True):
        assert len({sample.ori_shape for sample in first["data_samples"]}) == 1
        pairs = zip(first["data_samples"], second["data_samples"], strict=True)
        for image, other, (sample, same) in zip(
            first["inputs"], second["inputs"], pairs, strict=True
        ):
            assert torch.equal(image, other)
            number = int(sample.img_path[-9:-4])
            assert image.unique().tolist() == [number]  # the image of this record
            seen.add(number)
            assert sample.text == same.text
            boxes = sample.gt_instances.bboxes
            assert torch.equal(boxes, same.gt_instances.bboxes)
            labels = sample.gt_instances.labels
            assert len(boxes) == (4 if number % 2 else 1)
            if number % 2 == 0:
                assert sample.text[labels[0]] == NAMES[number % 3]
    assert seen == set(range(24))


def test_an_unreadable_image_in_a_shard(tmp_path):
    lines = make_lines(6)
    members = members_of(lines)
    members = [(name, b"none" if name == "00003.png" else each) for name, each in members]
    write_lines(tmp_path, lines)
    path = write_shard(tmp_path / "a.tar", members)
    pipeline = [*LOADING, dict(type="PackDetInputs")]
    dataset = build(path, pipeline=pipeline, max_unreadable=1000)
    loaded = {dataset[3]["data_samples"].img_path[-9:] for _ in range(5)}
    assert "00003.png" not in loaded
    with pytest.raises(ValueError, match=r"00003\.png"):
        build(path, pipeline=pipeline, max_unreadable=0)[3]


def test_a_coco_file_is_an_error(tmp_path):
    (tmp_path / "instances.json").write_text(json.dumps(dict(images=[], annotations=[])))
    with pytest.raises(AnnotationFileError, match="1 of 1 records are invalid"):
        build(tmp_path / "instances.json", label_map_file=None)
    assert index.open_index(str(tmp_path / "instances.json")).num_records == 1
