"""The generated examples, with annotations that the small model partly finds."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch import nn

from glip.apis import load_config
from glip.datasets import BaseDetDataset
from glip.registry import DATASETS
from tests.test_tools.commands import CONFIGS, command, small_config

#: The config of each task for GLIP-T (B), by its name here, and its folder in the examples.
TASKS = dict(
    coco=("glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365.py", "coco"),
    lvis=("lvis/glip_atss_swin-t_bc_fpn_dyhead_pretrain_zeroshot_mini-lvis.py", "coco"),
    flickr30k=(
        "flickr30k/glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg_zeroshot_flickr30k.py",
        "flickr30k_entities",
    ),
    refcoco=("refcoco/glip_atss_swin-t_bc_fpn_dyhead_pretrain_zeroshot_refexp.py", "coco"),
    odinw=("odinw/glip_atss_swin-t_bc_fpn_dyhead_pretrain_odinw13.py", "odinw"),
)
#: More options of a task: the kinds of Flickr30k's phrases come from the original annotations.
OPTIONS = dict(flickr30k=("test_dataloader.dataset.datasets.0.entities_root=.",))


@pytest.fixture(scope="session")
def small_configs(vocabulary: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The small version of each task's config."""
    folder = tmp_path_factory.mktemp("configs")
    return {
        name: small_config(CONFIGS / file, folder, vocabulary) for name, (file, _) in TASKS.items()
    }


@pytest.fixture(scope="session")
def examples(
    small_configs: dict[str, Path], tiny_model: nn.Module, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The folder of each task's data, as ``--cfg-options data_root=`` takes it.

    An untrained model finds almost no annotated box, and a metric of 0 would equal many wrong ones.
    So the annotations are moved to boxes that the model detects.
    """
    out = tmp_path_factory.mktemp("data") / "examples"
    command("tools/dataset_converters/make_examples.py", out)
    roots = {name: f"{out / folder}/" for name, (_, folder) in TASKS.items()}
    for name, path in small_configs.items():
        cfg = load_config(path, {"data_root": roots[name]})
        with DefaultScope.overwrite_default_scope("glip"):
            dataset = DATASETS.build(cfg.test_dataloader.dataset)
        for part in getattr(dataset, "datasets", [dataset]):
            plant(part, tiny_model)
    return roots


@pytest.fixture(scope="session")
def runs(
    small_configs: dict[str, Path],
    examples: dict[str, str],
    tiny_checkpoint: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[Path, str, Path]]:
    """Evaluate a task, once; return its working folder, what was printed, and its predictions."""
    done = {}

    def run(task: str) -> tuple[Path, str, Path]:
        if task not in done:
            work_dir = tmp_path_factory.mktemp(task)
            out = work_dir / "predictions.pkl"
            printed = command(
                *("tools/test.py", small_configs[task], tiny_checkpoint),
                *("--work-dir", work_dir, "--out", out, "--show-dir", work_dir / "drawn"),
                *("--cfg-options", f"data_root={examples[task]}", *OPTIONS.get(task, ())),
            )
            done[task] = work_dir, printed, out
        return done[task]

    return run


def plant(dataset: BaseDetDataset, model: nn.Module) -> None:
    """Move the boxes of an annotation file to boxes that the model finds, of any rank."""
    path = Path(dataset.ann_file)
    content = json.loads(path.read_text())
    boxes = defaultdict(list)
    for annotation in content["annotations"]:
        if not annotation["iscrowd"] and annotation["area"]:
            boxes[annotation["image_id"]].append(annotation)
    ids = {category["name"]: category["id"] for category in content["categories"]}
    for index in range(len(dataset)):
        sample = model.test_step(pseudo_collate([dataset[index]]))[0]
        found = sample.pred_instances
        for at, annotation in enumerate(boxes[sample.img_id]):
            if "classes" in dataset.metainfo:
                chosen = found[4 * at + index : 4 * at + index + 1]
                label = int(chosen.labels)
                annotation["category_id"] = ids[dataset.metainfo["classes"][label]]
            else:  # a label is a phrase of the caption, and each has one box here
                chosen = found[found.labels == at]
                chosen = chosen[min(12 * index + 3 * at, len(chosen) - 1)]
            left, top, right, bottom = chosen.bboxes[0].tolist()
            width = (right - left) * (0.95, 0.8, 0.65)[(index + at) % 3]
            annotation["bbox"] = [round(each, 1) for each in (left, top, width, bottom - top)]
            annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3]
    path.write_text(json.dumps(content))
