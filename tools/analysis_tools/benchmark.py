r"""Time a model, stage by stage.

Tasks: ``inference`` (a picture and a prompt, end to end), ``lvis`` (the 1203 names of LVIS, 40 a
caption), ``train`` (forward, backward, optimizer step) and ``dataloader`` (training data alone).
The picture is generated, of the size the model then sees; without a checkpoint weights are drawn
from a fixed rule, which takes as long. The median of several runs counts; times of two machines, or
of a busy one, say little.

With --baseline the same is computed the plain way too (torchvision's deformable convolution, the
wide projections of the fusion, captions padded to all tokens), the two in turn.

Examples:
    python tools/analysis_tools/benchmark.py glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365 \
        --baseline --cfg-options lang_model_name=demo/bert-base-uncased
    python tools/analysis_tools/benchmark.py CONFIG CHECKPOINT --task lvis --json times.json
    python tools/analysis_tools/benchmark.py CONFIG --task train --shape 480 640 --batch-size 2
    python tools/analysis_tools/benchmark.py CONFIG --sweep tokens
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from glip.apis import load_config
from glip.apis.build import build_detector, default_device
from glip.apis.inference import find_test_pipeline, make_pipeline, prepare
from glip.cli.common import CfgOptions, add_speed_options, positive_int, run
from glip.engine.optimizers.amp_optim_wrapper import check_dtype
from glip.models import GLIP
from glip.models.compile import compile_model
from glip.structures import DetDataSample
from glip.testing import draw_state_dict
from glip.testing.plain import plain_formulation
from glip.testing.stopwatch import Stopwatch
from glip.text import Prompt, load_vocabulary, parse_prompt
from glip.utils.errors import ConfigError
from glip.utils.precision import AMP_DTYPES
from glip.utils.tables import format_table

#: What is varied by --sweep, and its values: names for tokens (each has two) and for classes.
SWEEPS = {
    "tokens": (3, 15, 31, 63, 84),
    "pixels": ((400, 533), (600, 800), (800, 1066), (800, 1333)),
    "classes": (1, 40, 80, 365, 1203),
    "batch": (1, 2, 4),
}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("checkpoint", nargs="?", help="checkpoint in any of the three formats")
    parser.add_argument(
        "--task", choices=("inference", "lvis", "train", "dataloader"), default="inference"
    )
    parser.add_argument(
        "--shape", nargs=2, type=positive_int, default=(800, 1066), metavar=("HEIGHT", "WIDTH")
    )
    parser.add_argument("--texts", default="bench . car .", help="prompt; '$: coco' for 80 names")
    parser.add_argument("--batch-size", type=positive_int, default=1)
    parser.add_argument("--repeat", type=positive_int, default=3, help="runs that count")
    parser.add_argument("--warmup", type=int, default=1, help="runs before them")
    parser.add_argument("--sweep", choices=tuple(SWEEPS), help="how the time grows with this")
    parser.add_argument("--baseline", action="store_true", help="also the plain way, in turn")
    add_speed_options(parser)
    parser.add_argument("--device", help="cpu, cuda:0, ...; by default a GPU if there is one")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument(
        "--cfg-options", nargs="+", action=CfgOptions, help="override the config: key=value ..."
    )
    return parser.parse_args(argv)


def load(args: argparse.Namespace) -> GLIP:
    """Build the model."""
    options = dict(args.cfg_options or {})
    if args.task == "lvis":
        options |= {"model.test_cfg.chunked_size": 40, "model.test_cfg.max_per_img": 300}
    cfg = load_config(args.config, options)
    model = build_detector(cfg, args.checkpoint, args.device or default_device())
    if args.checkpoint is None:
        model.load_state_dict(draw_state_dict(model.state_dict()))
    if args.compile:
        compile_model(model)
    return model


def photo(shape: tuple[int, int]) -> np.ndarray:
    """A picture (H, W, 3), BGR, that is smooth as photographs are; the same each time."""
    coarse = torch.from_numpy(np.random.default_rng(0).random((1, 3, 50, 67), np.float32))
    fine = torch.nn.functional.interpolate(coarse, size=shape, mode="bicubic")[0]
    return (fine.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()


def inference_step(
    model: GLIP, prompt: Prompt, shape: tuple[int, int], batch_size: int, watch: Stopwatch
) -> Callable[[], Any]:
    """What one run of ``inference`` and ``lvis`` does: pictures in, boxes out."""
    cfg = copy.deepcopy(model.cfg)
    for part in find_test_pipeline(cfg):
        if part["type"] == "FixScaleResize":
            part["scale"] = (min(shape), max(shape))  # so that the picture keeps its size
    pipeline = make_pipeline(cfg, from_array=True)
    picture = photo(shape)

    def step() -> Any:
        with watch.stage("pipeline"):
            batch = pseudo_collate([prepare(picture, prompt, pipeline)] * batch_size)
        with torch.inference_mode():
            return model.test_step(batch)

    return step


def training_step(
    model: GLIP, prompt: Prompt, shape: tuple[int, int], batch_size: int, watch: Stopwatch
) -> Callable[[], Any]:
    """What one run of ``train`` does: a step on pictures with seven boxes each."""
    rng = np.random.default_rng(0)
    names, samples = prompt.names, []
    for _ in range(batch_size):
        sample = DetDataSample(metainfo=dict(img_shape=shape, text=names, custom_entities=True))
        corner = rng.random((7, 2)) * np.array(shape[::-1]) / 2
        sides = 16 + rng.random((7, 2)) * (np.array(shape[::-1]) / 2 - 20)
        boxes = torch.from_numpy(np.hstack([corner, corner + sides])).float()
        labels = torch.from_numpy(rng.integers(0, len(names), 7))
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        samples.append(sample)
    model.train()
    settings = model.cfg.get("optim_wrapper") or dict(
        type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-5)
    )
    with DefaultScope.overwrite_default_scope(model.cfg.get("default_scope", "glip")):
        optimizer = build_optim_wrapper(model, settings).optimizer
    pixels = torch.from_numpy(photo(shape)).permute(2, 0, 1).contiguous()

    def step() -> Any:
        data = dict(inputs=[pixels] * batch_size, data_samples=[each.clone() for each in samples])
        with watch.stage("forward"):
            data = model.data_preprocessor(data, training=True)
            loss, _ = model.parse_losses(model(**data, mode="loss"))
        with watch.stage("backward"):
            optimizer.zero_grad()
            loss.backward()
        with watch.stage("optimizer"):
            optimizer.step()

    return step


def measure(step: Callable[[], Any], watch: Stopwatch, args: argparse.Namespace) -> dict[str, Any]:
    """Run a step several times.

    Returns:
        medians: ``seconds``, ``cores`` in use, ``stages`` in seconds, and ``memory_gib`` at most.
    """
    kind = torch.device(args.device or default_device()).type
    precise = nullcontext()
    if args.amp:
        precise = torch.autocast(kind, AMP_DTYPES[args.amp])
    runs = []
    watch.reset_memory()
    for number in range(args.warmup + args.repeat):
        watch.start()
        with precise:
            step()
        run_of = watch.stop()
        if number >= args.warmup:
            runs.append(run_of)
    stages = {
        name: statistics.median(each.stages.get(name, 0.0) for each in runs)
        for name in dict.fromkeys(name for each in runs for name in each.stages)
    }
    return dict(
        seconds=statistics.median(each.seconds for each in runs),
        cores=statistics.median(each.cores for each in runs),
        stages=stages,
        memory_gib=watch.peak_memory(),
        runs=[round(each.seconds, 4) for each in runs],
    )


def compare(
    model: GLIP, prompt: Prompt, shape: tuple[int, int], batch: int, args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Measure the model, and the plain formulation where it is asked for."""
    make = training_step if args.task == "train" else inference_step
    sides = {"glip": nullcontext()}
    if args.baseline:
        sides["plain"] = plain_formulation(model)
    found = {}
    for name, formulation in sides.items():
        watch = Stopwatch(args.device or default_device())
        with formulation, watch.on_modules(model):
            found[name] = measure(make(model, prompt, shape, batch, watch), watch, args)
    return found


def time_loading(args: argparse.Namespace) -> dict[str, Any]:
    """Load training batches, as a training would.

    Raises:
        ConfigError: the config has no training data.
    """
    cfg = load_config(args.config, args.cfg_options)
    if not cfg.get("train_dataloader"):
        raise ConfigError(f"the config {args.config} has no train_dataloader to time")
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "glip")):
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    batches = iter(loader)
    next(batches)
    begin, count = time.perf_counter(), 0
    for _ in range(20 * args.repeat):
        if next(batches, None) is None:
            break
        count += 1
    seconds = (time.perf_counter() - begin) / max(count, 1)
    return dict(seconds=seconds, images_per_second=loader.batch_size / seconds, batches=count)


def cases_of(args: argparse.Namespace) -> list[tuple[str, Prompt, tuple[int, int], int]]:
    """What to time: a name, the prompt, the shape of the picture and the size of the batch."""
    texts = load_vocabulary("lvis") if args.task == "lvis" else args.texts
    prompt, shape = parse_prompt(texts, custom_entities=True), tuple(args.shape)
    if not args.sweep:
        return [(args.task, prompt, shape, args.batch_size)]
    cases = []
    for value in SWEEPS[args.sweep]:
        name = f"{args.sweep} {value}"
        if args.sweep == "pixels":
            cases.append((name, prompt, value, args.batch_size))
        elif args.sweep == "batch":
            cases.append((name, prompt, shape, value))
        else:
            words = load_vocabulary("lvis")[:value]
            if args.sweep == "tokens":
                words, name = [f"thing {at % 10}" for at in range(value)], f"tokens {3 * value + 1}"
            cases.append((name, Prompt.from_class_names(words), shape, args.batch_size))
    return cases


def show(name: str, batch: int, sides: dict[str, dict[str, Any]]) -> None:
    """Print what was measured of a case."""
    stages = list(dict.fromkeys(stage for side in sides.values() for stage in side["stages"]))
    rows: list[list[Any]] = [
        [stage, *(side["stages"].get(stage, 0.0) for side in sides.values())] for stage in stages
    ]
    rows.append(["all [s]", *(side["seconds"] for side in sides.values())])
    rows.append(["images a second", *(batch / side["seconds"] for side in sides.values())])
    rows.append(["cores", *(side["cores"] for side in sides.values())])
    rows.append(["peak memory [GiB]", *(side["memory_gib"] for side in sides.values())])
    print(f"\n{format_table([name, *sides], rows)}", flush=True)
    if "plain" in sides:
        print(f"{sides['plain']['seconds'] / sides['glip']['seconds']:.2f} x as fast as plain")


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measure and print; see the module's docstring.

    Returns:
        the numbers by case and side.
    """
    args = parse_args(argv)
    if args.amp == "fp16":
        check_dtype("float16")
    numbers: dict[str, Any] = {}
    if args.task == "dataloader":
        numbers["dataloader"] = time_loading(args)
        print(format_table(["dataloader", ""], [[k, v] for k, v in numbers["dataloader"].items()]))
    else:
        cases = cases_of(args)
        model = load(args)
        for name, prompt, shape, batch in cases:
            numbers[name] = compare(model, prompt, shape, batch, args)
            show(name, batch, numbers[name])
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        settings = {key: str(value) for key, value in vars(args).items()}
        content = dict(settings=settings, torch=torch.__version__, numbers=numbers)
        args.json.write_text(json.dumps(content, indent=1))
    return numbers


if __name__ == "__main__":
    run(main)
