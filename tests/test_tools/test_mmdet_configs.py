"""MMDetection's evaluation configs run here with only their default_scope changed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from glip.apis import load_config
from glip.registry import MODELS
from glip.testing import draw_state_dict
from tests.test_tools.commands import command, numbers_of, small_config

# Found without being imported: this library does not need it.
SPEC = importlib.util.find_spec("mmdet")
CONFIGS = Path(SPEC.origin).parent / ".mim" / "configs" / "glip" if SPEC else None

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SPEC, reason="mmdet is not installed"),
]


@pytest.fixture(scope="module")
def run(examples, vocabulary, tmp_path_factory):
    """Evaluate one of their configs; return its numbers."""
    folder = tmp_path_factory.mktemp("mmdet")

    def evaluate(name: str, task: str) -> dict[str, float]:
        base = CONFIGS / name
        # Their head has its own argument for the width, and one width of the fusion.
        narrow = 'model["bbox_head"].update(feat_channels=32)\n'
        config = small_config(base, folder, vocabulary, leave=["fusion_dim"], more=narrow)
        checkpoint = folder / "weights.pth"
        if not checkpoint.is_file():
            with DefaultScope.overwrite_default_scope("glip"), torch.device("meta"):
                reference = MODELS.build(load_config(config).model).state_dict()
            torch.save({"model": draw_state_dict(reference)}, checkpoint)
        command(
            *("tools/test.py", config, checkpoint, "--work-dir", folder / task),
            *("--cfg-options", f"data_root={examples[task]}"),
        )
        return numbers_of(folder / task)

    return evaluate


def test_lvis(run):
    numbers = run("lvis/glip_atss_swin-t_bc_fpn_dyhead_pretrain_zeroshot_mini-lvis.py", "lvis")
    assert {"lvis_fixed_ap/AP", "lvis_fixed_ap/APr"} < numbers.keys()


def test_flickr30k(run):
    name = "glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg_zeroshot_flickr30k.py"
    numbers = run(f"flickr30k/{name}", "flickr30k")
    assert 0 < numbers["Flickr30kVal/flickr30k/Upper_bound_all"] <= 1


def test_odinw(run):
    numbers = run("odinw/glip_atss_swin-t_bc_fpn_dyhead_pretrain_odinw13.py", "odinw")
    assert numbers["pistols/coco/bbox_mAP"] >= 0
    assert {key.split("/")[0] for key in numbers} == {
        "Aquarium",
        "CottontailRabbits",
        "pistols",
        "average",
    }


@pytest.mark.parametrize("edition", [13, 35])
def test_same_data_as_theirs(edition):
    """Folders, files and names of ODinW; where they differ, ours are microsoft/GLIP's."""
    name = f"glip_atss_swin-t_a_fpn_dyhead_pretrain_odinw{edition}"
    ours, theirs = load_config(name), load_config(CONFIGS / "odinw" / f"{name}.py")
    names = [each.replace("Raccoons", "Raccoon") for each in theirs.test_evaluator.dataset_prefixes]
    assert ours.test_evaluator.dataset_prefixes == names
    datasets = (cfg.test_dataloader.dataset.datasets for cfg in (ours, theirs))
    for name, mine, other in zip(names, *datasets, strict=True):
        for key in ("type", "data_root", "ann_file", "data_prefix", "test_mode"):
            assert mine[key] == other[key], name
        classes = tuple(each for each in other.metainfo.classes if each.strip())
        assert mine.metainfo.classes == classes
        if name not in ("Aquarium", "ChessPieces"):
            assert mine.get("caption_prompt") == other.get("caption_prompt")
