"""tools/train.py: it learns, and a kill costs no more than what was done since the last save."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from glip.apis import inference_detector, init_detector
from glip.checkpoint import read_checkpoint
from glip.datasets.odvg import (
    RecordWriter,
    Region,
    detection_record,
    grounding_record,
    write_label_map,
)
from glip.engine import last_checkpoint
from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import ROOT, command, tool
from tests.test_tools.training import nothing_left
from tests.training import NO_VALIDATION, differences, draw_examples, training_config

KILL = """
import os
import signal

from mmengine.fileio import LocalBackend
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class KillHook(Hook):
    '''Kills the process in an iteration.'''

    priority = "LOWEST"

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration:
            kill()


@HOOKS.register_module()
class KillWhileSavingHook(Hook):
    '''Kills the process when half of a checkpoint is written.'''

    def __init__(self, name):
        whole = LocalBackend.put

        def put(self, obj, filepath):
            if name in str(filepath):
                with open(filepath, "wb") as file:
                    file.write(obj[: len(obj) // 2])
                    file.flush()
                    kill()
            whole(self, obj, filepath)

        LocalBackend.put = put
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated examples."""
    return draw_examples(tmp_path_factory.mktemp("data") / "examples")


def write(cfg: Config, folder: Path, *, kill: dict | None = None) -> Path:
    """Write a config's file; with ``kill``, a hook that ends it."""
    folder.mkdir(parents=True, exist_ok=True)
    if kill:
        (folder / "kill_hooks.py").write_text(KILL)
        cfg = Config({**cfg.to_dict(), "custom_imports": dict(imports=["kill_hooks"])})
        cfg.custom_hooks = [*cfg.get("custom_hooks", ()), kill]
    path = folder / "config.py"
    cfg.dump(path)
    return path


def killed(cfg: Config, folder: Path, kill: dict) -> None:
    """Train until the hook kills the process."""
    paths = os.pathsep.join([str(folder), str(ROOT)])
    ended = subprocess.run(
        [sys.executable, "tools/train.py", str(write(cfg, folder, kill=kill))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-3000:]


def train(cfg: Config, folder: Path, *options: str) -> str:
    return command("tools/train.py", write(cfg, folder), *options)


def same(first: Path, second: Path) -> None:
    """Compare the last checkpoints of two working folders, to the last bit."""
    one, other = (read_checkpoint(last_checkpoint(folder)) for folder in (first, second))
    assert Path(last_checkpoint(first)).name == Path(last_checkpoint(second)).name
    for part in ("state_dict", "ema_state_dict", "optimizer", "param_schedulers"):
        assert differences(one[part], other[part], part) == []


@pytest.mark.kills
@pytest.mark.parametrize(
    ("kill", "left"),
    [
        # In the middle of the second epoch, after the checkpoint of iteration 6.
        (dict(type="mmengine.KillHook", iteration=7), ["iter_3.pth", "iter_6.pth"]),
        # While the checkpoint of iteration 6 is written.
        (dict(type="mmengine.KillWhileSavingHook", name="iter_6"), ["iter_3.pth"]),
    ],
)
def test_killed_and_resumed(pictures, tmp_path, kill, left, uninterrupted):
    cfg = training_config(pictures, tmp_path / "work", **KILLED)
    killed(cfg, tmp_path, kill)
    assert sorted(path.name for path in (tmp_path / "work").glob("*.pth")) == left
    assert Path(last_checkpoint(tmp_path / "work")).name == left[-1]
    # Other loading processes than before, which must make no difference.
    cfg.train_dataloader.num_workers = 2
    printed = train(cfg, tmp_path, "--resume")
    assert f"resumed epoch: {len(left) - 1}, iter: {3 * len(left)}" in printed
    same(uninterrupted, tmp_path / "work")


#: Dropout, random sizes and flips, averaged weights, checkpoints in the middle of an epoch.
KILLED = dict(
    default_hooks__checkpoint=dict(by_epoch=False, interval=3),
    custom_hooks=[dict(type="EMAHook", momentum=0.1)],
    log_level="INFO",
    **NO_VALIDATION,
)


@pytest.fixture(scope="module")
def uninterrupted(pictures, tmp_path_factory) -> Path:
    """The working folder of a training that nothing happened to."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(training_config(pictures, folder / "work", **KILLED), folder)
    return folder / "work"


@pytest.mark.kills
def test_two_processes_killed_and_resumed(pictures, tmp_path):
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    options = {**KILLED, "default_hooks__checkpoint": dict(by_epoch=False, interval=2)}
    for name in ("whole", "parts"):
        cfg = training_config(pictures, tmp_path / name, early_fuse=False, **options)
        if name == "parts":
            hook = dict(type="mmengine.KillHook", iteration=4)
            file = write(cfg, tmp_path / "killed", kill=hook)
            paths = os.pathsep.join([str(tmp_path / "killed"), str(ROOT)])
            args = (*launch, "tools/train.py", file, "--launcher", "pytorch")
            command(*args, fails=True, PYTHONPATH=paths)
            assert Path(last_checkpoint(tmp_path / name)).name == "iter_4.pth"
        file = write(cfg, tmp_path)
        resume = ("--resume",) if name == "parts" else ()
        command(*launch, "tools/train.py", file, "--launcher", "pytorch", *resume)
    same(tmp_path / "whole", tmp_path / "parts")


def numbers(work_dir: Path) -> tuple[list[float], list[float]]:
    """The losses and the APs at an IoU of 0.5 that were logged, in order."""
    (file,) = work_dir.glob("*/vis_data/scalars.json")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return (
        [line["loss"] for line in lines if "loss" in line],
        [line["coco/bbox_mAP_50"] for line in lines if "coco/bbox_mAP_50" in line],
    )


@pytest.mark.slow
def test_it_learns(pictures, tmp_path, photo):
    """Twenty times over nine pictures: the loss falls, the AP rises, and the file is a model."""
    cfg = training_config(
        pictures,
        tmp_path / "work",
        early_fuse=False,
        train_cfg=dict(type="EpochBasedTrainLoop", max_epochs=20, val_interval=19, val_begin=1),
        param_scheduler=[
            dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=5),
            dict(type="CosineAnnealingLR", T_max=20, convert_to_iter_based=True),
        ],
        train_dataloader__batch_size=1,
        default_hooks__checkpoint=dict(interval=20, save_best="coco/bbox_mAP"),
        log_level="INFO",
    )
    for step in cfg.train_dataloader.dataset.pipeline:
        step.update(dict(scales=[(128, 213)]) if step.type == "RandomChoiceResize" else {})
    printed = train(cfg, tmp_path)
    losses, scores = numbers(tmp_path / "work")
    assert sum(losses[-5:]) < 0.65 * sum(losses[:5])
    assert scores[-1] > 0.1
    assert re.search(r"Epoch\(train\) .* lr: .* eta: .* loss_cls: .* memory: \d+", printed)
    model = init_detector(str(tmp_path / "config.py"), tmp_path / "work/epoch_20.pth", device="cpu")
    found = inference_detector(model, str(photo), text_prompt="car . cat .", custom_entities=True)
    assert set(found.pred_instances.label_names) <= {"car", "cat"}


def test_options(pictures, tmp_path):
    """--amp, --seed, --auto-scale-lr, --load-from and --cfg-options, in one short training."""
    cfg = training_config(
        pictures, tmp_path / "work", early_fuse=False, log_level="INFO", **NO_VALIDATION
    )
    cfg.train_cfg = dict(by_epoch=False, max_iters=2)
    cfg.log_processor.by_epoch = False
    cfg.param_scheduler = None
    cfg.auto_scale_lr = dict(base_batch_size=8)
    config = str(write(cfg, tmp_path))
    with nothing_left():
        tool("train.py").main([config])
    first = last_checkpoint(tmp_path / "work")
    with nothing_left():
        tool("train.py").main(
            [
                *(config, "--work-dir", str(tmp_path / "other"), "--amp", "--auto-scale-lr"),
                *("--load-from", first, "--seed", "11"),
                *("--cfg-options", "train_cfg.max_iters=3", "default_hooks.logger.interval=1"),
            ]
        )
    log = next((tmp_path / "other").glob("*/*.log")).read_text()
    assert f"Loaded glip checkpoint {first}" in log
    assert "Scaling the original LR by 0.25" in log
    assert "Iter(train) [3/3]" in log
    second = read_checkpoint(last_checkpoint(tmp_path / "other"))
    assert second["meta"]["seed"] == 11
    assert "AmpOptimWrapper" in second["meta"]["cfg"]
    assert second["meta"]["iter"] == 3


def test_data_that_are_not_there(tmp_path):
    """One sentence, before the model is built (whose type does not exist)."""
    cfg = training_config(tmp_path, tmp_path / "work", model__type="Never")
    printed = command("tools/train.py", write(cfg, tmp_path), fails=True)
    assert printed.startswith("error: there is no annotation file")
    assert len(printed.splitlines()) == 1


def test_unreadable_images(pictures, tmp_path):
    """The limit of the data set ends the training in a sentence, also from a loading process."""
    cfg = training_config(pictures, tmp_path / "work", early_fuse=False, **NO_VALIDATION)
    cfg.train_dataloader.update(num_workers=1)
    cfg.train_dataloader.dataset.data_prefix = dict(img="nowhere/")
    printed = command("tools/train.py", write(cfg, tmp_path), fails=True)
    (last,) = (line for line in printed.splitlines() if line.startswith("error: "))
    assert re.search(r"error: 9 of 9 images of .* do not exist, for example .*nowhere", last)
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("options", "args", "message"),
    [
        (dict(optim_wrapper=None), (), "has no optim_wrapper: expected a config for training"),
        (
            dict(val_evaluator=None),
            (),
            r"has val_dataloader and val_cfg but no val_evaluator: .* None to disable it",
        ),
        pytest.param(
            {},
            ("--amp", "fp16"),
            "float16 needs a GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU"),
        ),
        ({}, ("--auto-scale-lr",), r"add auto_scale_lr = dict\(base_batch_size=...\)"),
        ({}, ("--load-from", "nowhere.pth"), "there is no checkpoint nowhere.pth to start from"),
        ({}, ("--resume", "nowhere.pth"), "there is no checkpoint nowhere.pth to start from"),
        (
            dict(val_dataloader__dataset__ann_file="nowhere.json"),
            (),
            "no annotation file '.*nowhere.json'",
        ),
    ],
)
def test_invalid_options(pictures, tmp_path, options, args, message):
    cfg = training_config(pictures, tmp_path / "work", **options)
    main = tool("train.py")
    with pytest.raises(USER_ERRORS, match=message) as caught:
        main.prepare_config(main.build_parser().parse_args([str(write(cfg, tmp_path)), *args]))
    assert "\n" not in str(caught.value)


def test_tensorboard_that_is_not_there(pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    cfg = training_config(pictures, tmp_path / "work")
    cfg.visualizer.vis_backends = [dict(type="TensorboardVisBackend")]
    main = tool("train.py")
    with pytest.raises(USER_ERRORS, match=r"logs with Tensorboard.* pip install tensorboard"):
        main.prepare_config(main.build_parser().parse_args([str(write(cfg, tmp_path))]))


def test_nothing_to_resume(pictures, tmp_path):
    """--resume of a training that was never saved starts as the config says."""
    cfg = training_config(pictures, tmp_path / "work")
    (tmp_path / "start.pth").write_bytes(b"")
    cfg.load_from = str(tmp_path / "start.pth")
    main = tool("train.py")
    found = main.prepare_config(
        main.build_parser().parse_args([str(write(cfg, tmp_path)), "--resume"])
    )
    assert (found.resume, found.load_from) == (False, cfg.load_from)
    # Once it was saved, the checkpoint counts and not what it started from.
    (tmp_path / "work").mkdir(exist_ok=True)
    (tmp_path / "work/last_checkpoint").write_text(str(tmp_path / "start.pth"))
    found = main.prepare_config(
        main.build_parser().parse_args([str(write(cfg, tmp_path)), "--resume"])
    )
    assert (found.resume, found.load_from) == (True, str(tmp_path / "start.pth"))


def test_odvg(pictures, tmp_path, vocabulary):
    """It trains on detection and grounding lines in one file."""
    content = json.loads((pictures / "coco/annotations/instances_val2017.json").read_text())
    with RecordWriter(tmp_path / "train.jsonl") as writer:
        for at, image in enumerate(content["images"]):
            common = dict(filename=image["file_name"], height=image["height"], width=image["width"])
            box = [10, 20, 90, 80]
            if at % 2:
                region = Region([box, [0, 0, 50, 40]], "a red ball", [])
                line = grounding_record(**common, caption="a red ball or so", regions=[region])
            else:
                line = detection_record(**common, instances=[(box, 1, "car")])
            writer.write(line)
    write_label_map(tmp_path / "labels.json", ["ball", "car", "tie"])
    cfg = training_config(pictures, tmp_path / "work", **NO_VALIDATION)
    cfg.train_cfg = dict(type="IterBasedTrainLoop", max_iters=2)
    cfg.param_scheduler = []
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    sampling = dict(type="RandomSamplingNegPos", tokenizer_name=vocabulary)
    pipeline = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader = dict(
        batch_size=2,
        num_workers=1,
        sampler=dict(type="InfiniteSampler", shuffle=True),
        batch_sampler=dict(type="AspectRatioBatchSampler"),
        dataset=dict(
            type="ODVGDataset",
            ann_file="train.jsonl",
            label_map_file="labels.json",
            data_root=str(tmp_path),
            data_prefix=dict(img=f"{pictures}/coco/val2017"),
            filter_cfg=dict(filter_empty_gt=True),
            pipeline=[*pipeline[:-1], sampling, pipeline[-1]],
        ),
    )
    cfg.log_level = "INFO"
    printed = train(cfg, tmp_path)
    losses = [float(each) for each in re.findall(r"\bloss: ([\d.]+)", printed)]
    assert len(losses) == 2
    assert (tmp_path / "work" / "iter_2.pth").exists()
    assert list(tmp_path.glob("train.jsonl.odvg_index.*.npy"))
