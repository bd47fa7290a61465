"""Configs for one's own data, and the commands that use them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from glip.__main__ import run
from glip.apis import DetInferencer
from glip.apis.custom_data import class_names, evaluation_config, find_split, training_config
from glip.config import demo_file
from glip.utils.errors import (
    AnnotationFileError,
    AnnotationFileNotFoundError,
    ImageReadError,
    StorageError,
)

NAMES = ("red star", "green triangle")
CATEGORIES = [dict(id=i, name=name, supercategory="shapes") for i, name in enumerate(NAMES, 7)]


def write(file: Path, folder: Path, categories: list[dict] = CATEGORIES, count: int = 2) -> None:
    """Write an annotation file and its images."""
    file.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for at in range(count):
        shutil.copy(demo_file("shapes.jpg"), folder / f"{at}.jpg")
        with Image.open(folder / f"{at}.jpg") as image:
            width, height = image.size
        images.append(dict(id=at, file_name=f"{at}.jpg", width=width, height=height))
        box = dict(bbox=[10, 10, 50, 50], area=2500, iscrowd=0)
        annotations.append(dict(box, id=at, image_id=at, category_id=7 + at % 2))
    content = dict(images=images, annotations=annotations, categories=categories)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("ann_file", "images"),
    [
        ("val.json", "val"),
        ("val.json", "images/val"),
        ("val.json", "images"),
        ("val.json", "."),
        ("annotations/val.json", "images/val"),
        ("annotations/instances_val.json", "val"),
        ("annotations/instances_val2017.json", "val2017"),
        ("valid/_annotations.coco.json", "valid"),
    ],
)
def test_layouts(tmp_path, ann_file, images):
    write(tmp_path / ann_file, tmp_path / images)
    split = find_split(tmp_path, "val")
    assert split.ann_file == str(tmp_path / ann_file)
    assert split.images.resolve() == (tmp_path / images).resolve()
    assert class_names(split) == NAMES
    with pytest.raises(AnnotationFileNotFoundError, match=r"for train: expected train\.json"):
        find_split(tmp_path, "train")


def test_a_supercategory_without_annotations_is_no_class(tmp_path):
    parent = dict(id=0, name="shapes", supercategory="none")
    write(tmp_path / "val.json", tmp_path, [parent, *CATEGORIES])
    assert class_names(find_split(tmp_path, "val")) == NAMES


def test_data_that_cannot_be_used(tmp_path):
    write(tmp_path / "val.json", tmp_path / "elsewhere")
    with pytest.raises(ImageReadError, match=r"expected 0\.jpg in"):
        find_split(tmp_path, "val")
    write(tmp_path / "val.json", tmp_path, [dict(id=7), dict(id=8)])
    with pytest.raises(AnnotationFileError, match="name"):
        class_names(find_split(tmp_path, "val"))
    write(tmp_path / "val.json", tmp_path, count=0)
    with pytest.raises(AnnotationFileError, match="has no images"):
        find_split(tmp_path, "val")
    with pytest.raises(AnnotationFileNotFoundError, match="is no folder"):
        find_split(tmp_path / "val.json", "val")
    (tmp_path / "val.json").unlink()
    for year in (2014, 2017):
        write(tmp_path / "annotations" / f"instances_val{year}.json", tmp_path)
    with pytest.raises(AnnotationFileError, match="several annotation files"):
        find_split(tmp_path, "val")


def test_configs(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / f"{split}.json", tmp_path / split)
    cfg = evaluation_config(
        "glip_nano_shapes",
        tmp_path / "val.json",
        tmp_path / "val",
        cfg_options={"test_dataloader.num_workers": 0},
    )
    assert cfg.test_dataloader.num_workers == 0
    assert cfg.test_dataloader.dataset.metainfo.classes == NAMES
    assert cfg.test_pipeline[1].scale == (256, 256)
    cfg = training_config("glip_nano_shapes", tmp_path)
    assert cfg.train_dataloader.dataset.times == 50
    assert cfg.train_dataloader.dataset.dataset.filter_cfg.filter_empty_gt
    assert cfg.load_from == "glip_nano_shapes"
    assert cfg.train_cfg.max_epochs == 200


def test_train_test_and_detect(tmp_path, monkeypatch, capsys):
    """With the commands; the config that was used is beside the results and works itself."""
    for split in ("train", "val"):
        write(tmp_path / f"{split}.json", tmp_path / split)
    monkeypatch.chdir(tmp_path)
    options = ["train_cfg.max_epochs=1", "train_dataloader.dataset.times=2"]
    options += ["train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"]
    options += ["val_dataloader.num_workers=0", "val_dataloader.persistent_workers=False"]
    weights = ["--weights", "glip_nano_shapes", "--device", "cpu", "--out-dir", "out"]
    run(["train", "--data", ".", *weights, "--seed", "0", "--cfg-options", *options])
    (best,) = Path("out").glob("best_*.pth")
    assert Path("out/config.py").is_file()
    fine_tuned = DetInferencer(weights=best).cfg
    assert fine_tuned.test_pipeline[1].scale == (256, 256)
    assert fine_tuned.default_score_thr == 0.3  # the recipe's, not that of the coloured shapes

    data = ["--ann", "val.json", "--images", "val", "--weights", str(best), "--device", "cpu"]
    test = ["test_dataloader.num_workers=0", "test_dataloader.persistent_workers=False"]
    run(["test", *data, "--out-dir", "tested", "--cfg-options", *test])
    assert "coco/bbox_mAP" in capsys.readouterr().out
    assert Path("tested/config.py").is_file()
    run(["detect", "val/0.jpg", "val", "--weights", str(best), "--texts", "red star ."])
    assert sorted(each.name for each in Path("outputs/preds").iterdir()) != []
    run(["info", str(best)])
    assert "config      glip_nano_shapes (the keys and shapes" in capsys.readouterr().out
    run(["convert", str(best), "small.safetensors"])
    assert DetInferencer(weights="small.safetensors").cfg.model.type == "GLIP"


def test_a_file_as_the_folder_of_the_results(tmp_path, monkeypatch):
    for split in ("train", "val"):
        write(tmp_path / f"{split}.json", tmp_path / split)
    monkeypatch.chdir(tmp_path)
    options = ["--weights", "glip_nano_shapes", "--device", "cpu", "--out-dir", "train.json"]
    for argv in (["train", "--data", "."], ["test", "--ann", "val.json", "--images", "val"]):
        with pytest.raises(StorageError, match="a part of the path is a file"):
            run([*argv, *options])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["test", "--weights", "x.pth"], "--ann FILE --images DIR, or a CONFIG"),
        (["test", "--ann", "a.json", "--weights", "x.pth"], "--ann FILE and --images DIR together"),
        (["test", "glip_nano_shapes"], "expected a checkpoint"),
        (["train"], "expected data to train on"),
        (["train", "--data", "x"], "expected weights to start from"),
        (["train", "--data", "x", "--weights", "a", "--device", "tpu"], "expected --device cpu"),
        (["detect", "a.jpg", "b.pth", "--texts", "a"], "pass a checkpoint as --weights"),
        (["detect", "a.jpg", "b.py", "c.pth", "d", "--texts", "a"], "expected one checkpoint"),
        (["dtect"], "did you mean 'detect'?"),
    ],
)
def test_usage_errors(argv, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(argv)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("form", ["images\\val\\{}", "..\\x\\{}", "D:\\d\\{}", "images/val/{}"])
def test_names_of_files_that_windows_wrote(tmp_path, form):
    """As the data set reads them."""
    write(tmp_path / "val.json", tmp_path / "images" / "val")
    content = json.loads((tmp_path / "val.json").read_text())
    for image in content["images"]:
        image["file_name"] = form.format(image["file_name"])
    (tmp_path / "val.json").write_text(json.dumps(content))
    assert find_split(tmp_path, "val").images == tmp_path / "images" / "val"
