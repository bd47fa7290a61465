"""tools/test.py on every format, interrupted, and in two processes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch

from glip.evaluation import load_predictions
from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import CONFIGS, command, numbers_of, small_config, tool
from tests.test_tools.conftest import TASKS

KILL = """
import os
import signal

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class KillHook(Hook):
    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == 3:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def same_predictions(first: Path, second: Path) -> bool:
    """Compare what two files of predictions say of each image, in any order."""
    by_id = [{each["img_id"]: each for each in load_predictions(path)} for path in (first, second)]
    assert by_id[0].keys() == by_id[1].keys()
    return all(
        torch.equal(
            by_id[0][img_id]["pred_instances"][key], by_id[1][img_id]["pred_instances"][key]
        )
        for img_id in by_id[0]
        for key in ("bboxes", "scores", "labels")
    )


def last_table(printed: str) -> list[list[str]]:
    """Split the table at the end into words, the line under its header left out."""
    lines = printed.strip().split("\n\n")[-1].splitlines()
    assert set(lines[1]) == {"-"}
    return [line.split() for line in (lines[0], *lines[2:])]


MAIN = dict(
    coco="coco/bbox_mAP",
    lvis="lvis_fixed_ap/AP",
    flickr30k="Flickr30kTest/flickr30k/Recall@10_all",
    refcoco="refcocog_val/refexp/mean_precision",
    odinw="average/coco/bbox_mAP",
)
IMAGES = dict(coco=9, lvis=3, flickr30k=8, refcoco=6, odinw=7)


@pytest.mark.parametrize("task", TASKS)
def test_numbers(runs, task):
    work_dir, printed, out = runs(task)
    numbers = numbers_of(work_dir)
    assert 0 < numbers[MAIN[task]] < 1
    assert len(load_predictions(out)) == IMAGES[task]
    assert len(list((work_dir / "drawn").iterdir())) == IMAGES[task]
    assert "Traceback" not in printed
    assert "Failed to search registry" not in printed
    name = MAIN[task].split("/")
    (row,) = (row for row in last_table(printed) if row[0] in (name[0], MAIN[task]))
    assert f"{numbers[MAIN[task]]:.3f}" in row


def test_dataset_table(runs):
    _, printed, _ = runs("odinw")
    header, *rows = last_table(printed)
    assert header[:4] == ["data", "set", "mAP", "mAP_50"]
    assert len(rows) == 13 + 1
    assert rows[0][:3] == ["AerialMaritimeDrone", "(absent)", "-"]
    assert rows[-1][0] == "average"
    assert "is missing and is skipped: there is no annotation file" in printed


def test_average_is_of_what_is_there(runs):
    numbers = numbers_of(runs("odinw")[0])
    present = [numbers[key] for key in numbers if key.endswith("mAP") and "average" not in key]
    assert len(present) == 3
    assert numbers["average/coco/bbox_mAP"] == pytest.approx(sum(present) / 3)


def test_kinds_of_phrases(runs):
    numbers = numbers_of(runs("flickr30k")[0])
    assert "Flickr30kVal/flickr30k/Recall@1_vehicles" in numbers
    assert "Flickr30kTest/flickr30k/Recall@1_vehicles" not in numbers


@pytest.mark.kills
def test_interrupted(runs, small_configs, examples, tiny_checkpoint, tmp_path, vocabulary):
    work_dir, _, out = runs("coco")
    (tmp_path / "kill_hook.py").write_text(KILL)
    killed = small_config(
        CONFIGS / TASKS["coco"][0],
        tmp_path,
        vocabulary,
        more='custom_imports = dict(imports=["kill_hook"])\n'
        'custom_hooks = [dict(type="mmengine.KillHook")]\n',
    )
    options = (
        *("--resume-dir", tmp_path / "finished", "--work-dir", tmp_path / "again"),
        *("--out", tmp_path / "again.pkl", "--cfg-options", f"data_root={examples['coco']}"),
    )
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    command("tools/test.py", killed, tiny_checkpoint, *options, fails=True, PYTHONPATH=paths)
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "finished").glob("*.pth")}
    assert len(first) == 4
    printed = command("tools/test.py", small_configs["coco"], tiny_checkpoint, *options)
    assert "4 of 9 images are already finished" in printed
    assert len(list((tmp_path / "finished").glob("*.pth"))) == 9
    assert all(path.stat().st_mtime_ns == time for path, time in first.items())
    assert numbers_of(tmp_path / "again") == numbers_of(work_dir)
    assert (tmp_path / "again.pkl").read_bytes() == out.read_bytes()
    # Damaged files are computed again.
    for path in list(first)[:2]:
        path.write_bytes(path.read_bytes()[:300])
    printed = command("tools/test.py", small_configs["coco"], tiny_checkpoint, *options)
    assert "2 files in" in printed
    assert "were damaged and their images were detected again" in printed
    assert (tmp_path / "again.pkl").read_bytes() == out.read_bytes()
    # The folder is of this evaluation only.
    other = ("model.test_cfg.max_per_img=5", f"data_root={examples['coco']}")
    printed = command(
        *("tools/test.py", small_configs["coco"], tiny_checkpoint, *options[:-1], *other),
        fails=True,
    )
    assert printed.strip().splitlines()[-1].startswith("error: ")
    assert "predictions of another evaluation" in printed


@pytest.mark.slow
def test_two_processes(runs, small_configs, examples, tiny_checkpoint, tmp_path):
    work_dir, _, out = runs("coco")
    command(
        *("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"),
        *("tools/test.py", small_configs["coco"], tiny_checkpoint, "--launcher", "pytorch"),
        *("--work-dir", tmp_path, "--out", tmp_path / "predictions.json"),
        *("--cfg-options", f"data_root={examples['coco']}"),
    )
    assert numbers_of(tmp_path) == numbers_of(work_dir)
    assert len(load_predictions(tmp_path / "predictions.json")) == 9
    assert same_predictions(out, tmp_path / "predictions.json")


def test_mixed_precision(runs, small_configs, examples, tiny_checkpoint, tmp_path):
    work_dir, _, _ = runs("coco")
    command(
        *("tools/test.py", small_configs["coco"], tiny_checkpoint, "--amp", "bf16"),
        *("--work-dir", tmp_path, "--cfg-options", f"data_root={examples['coco']}"),
    )
    found, exact = numbers_of(tmp_path), numbers_of(work_dir)
    assert found[MAIN["coco"]] == pytest.approx(exact[MAIN["coco"]], abs=0.2)
    assert found != exact


def test_data_that_are_not_there(small_configs, tiny_checkpoint):
    """One sentence, before the model is built (whose type does not exist)."""
    options = ("--cfg-options", "data_root=nowhere/", "model.type=Never")
    printed = command("tools/test.py", small_configs["odinw"], "none.pth", *options, fails=True)
    assert printed.startswith("error: none of the 13 data sets exists")
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize(
    ("task", "args", "message"),
    [
        ("coco", ("--out", "results.txt"), "expected --out to end in .pkl or .json"),
        ("coco", ("--cfg-options", "test_evaluator="), "has no test_evaluator"),
        (
            "coco",
            ("--cfg-options", "data_root=nowhere/"),
            "no annotation file 'nowhere/annotations/instances_val2017.json'",
        ),
        (
            "odinw",
            ("--cfg-options", "test_dataloader.dataset.skip_missing=False"),
            "no annotation file 'data/odinw/AerialMaritimeDrone/large/valid/annotations",
        ),
    ],
)
def test_invalid_options(small_configs, task, args, message):
    test = tool("test.py")
    with pytest.raises(USER_ERRORS, match=re.escape(message)) as caught:
        test.prepare_config(
            test.build_parser().parse_args([str(small_configs[task]), "none.pth", *args])
        )
    assert "\n" not in str(caught.value)


def own_config(template: str, root: Path, classes: str, folder: Path, vocabulary: str) -> Path:
    """Fill in the template for one's own data, and make it small."""
    for old, new in (
        ('("balloon", "kite")', classes),
        ('"data/my_data/annotations.json"', repr(str(root / "annotations/instances_val2017.json"))),
        ('"data/my_data/images/"', repr(str(root / "val2017"))),
        ('"../glip', f'"{CONFIGS}/glip'),
    ):
        assert template.count(old) == 1
        template = template.replace(old, new)
    mine = folder / "mine.py"
    mine.write_text(template)
    return small_config(mine, folder, vocabulary)


def test_own_data(runs, examples, tiny_checkpoint, vocabulary, tmp_path):
    """The template for one's own data, on COCO's examples."""
    template = (CONFIGS / "_templates" / "custom_coco.py").read_text()
    data = (template, Path(examples["coco"]))
    config = own_config(*data, '("stop sign", "dining table")', tmp_path, vocabulary)
    printed = command("tools/test.py", config, tiny_checkpoint, "--work-dir", tmp_path / "work")
    assert last_table(printed)[1][0] == "coco/bbox_mAP"
    config = own_config(*data, '("stop sign", "diningtable")', tmp_path, vocabulary)
    with pytest.raises(
        USER_ERRORS, match="'diningtable' is not in the file, but 'dining table' is"
    ):
        tool("analysis_tools/eval_metric.py").main([str(config), str(runs("coco")[2])])
