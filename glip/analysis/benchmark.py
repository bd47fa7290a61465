"""Measure the time of a model, stage by stage.

Shapes: H x W pixels.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from glip.apis.build import build_detector, default_device, load_config
from glip.apis.inference import prepare
from glip.apis.pipelines import find_test_pipeline, make_pipeline
from glip.models import GLIP, TextFeatureCache
from glip.models.compile import compile_model
from glip.structures import DetDataSample
from glip.testing import draw_state_dict
from glip.testing.plain import plain_formulation
from glip.testing.stopwatch import Stopwatch
from glip.text import Prompt, load_vocabulary, parse_prompt
from glip.utils.errors import ConfigError
from glip.utils.precision import AMP_DTYPES
from glip.utils.tables import format_table

#: Values of ``--sweep``; those of ``tokens`` are numbers of class names, of three tokens each.
SWEEPS = {
    "tokens": (3, 15, 31, 63, 84),
    "classes": (1, 40, 80, 365, 1203),
    "batch": (1, 2, 4),
}
#: Heights and widths of ``--sweep pixels``.
SWEEP_SHAPES = ((400, 533), (600, 800), (800, 1066), (800, 1333))


def load(args: argparse.Namespace) -> GLIP:
    """Build the model of a command line."""
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
    """Return a deterministic (H, W, 3) BGR image, uint8, as smooth as a photograph."""
    coarse = torch.from_numpy(np.random.default_rng(0).random((1, 3, 50, 67), np.float32))
    fine = torch.nn.functional.interpolate(coarse, size=shape, mode="bicubic")[0]
    return (fine.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()


def inference_step(
    model: GLIP, prompt: Prompt, shape: tuple[int, int], batch_size: int, watch: Stopwatch
) -> Callable[[], Any]:
    """Return one run of ``inference`` and ``lvis``: from images to boxes."""
    cfg = copy.deepcopy(model.cfg)
    for part in find_test_pipeline(cfg):
        if part["type"] == "FixScaleResize":
            part["scale"] = (min(shape), max(shape))  # the image keeps its size
    pipeline = make_pipeline(cfg, from_array=True)
    image = photo(shape)
    text_cache = TextFeatureCache(model)  # as in an evaluation

    def step() -> Any:
        with watch.stage("pipeline"):
            batch = pseudo_collate([prepare(image, prompt, pipeline)] * batch_size)
        with torch.inference_mode():
            return model.test_step(batch, encode_prompt=text_cache.encode_prompt)

    return step


def training_step(
    model: GLIP, prompt: Prompt, shape: tuple[int, int], batch_size: int, watch: Stopwatch
) -> Callable[[], Any]:
    """Return one run of ``train``: a step on images with seven boxes each."""
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
        The medians ``seconds``, ``cores`` in use and ``stages`` in seconds, the peak
        ``memory_gib``, and the seconds of all ``runs``.
    """
    kind = torch.device(args.device or default_device()).type
    precision: AbstractContextManager = nullcontext()
    if args.amp:
        precision = torch.autocast(kind, AMP_DTYPES[args.amp])
    runs = []
    watch.reset_memory()
    for number in range(args.warmup + args.repeat):
        watch.start()
        with precision:
            step()
        times = watch.stop()
        if number >= args.warmup:
            runs.append(times)
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
    """Measure the model, and with ``--baseline`` the plain formulation."""
    make = training_step if args.task == "train" else inference_step
    formulations: dict[str, AbstractContextManager] = {"glip": nullcontext()}
    if args.baseline:
        formulations["plain"] = plain_formulation(model)
    found = {}
    for name, formulation in formulations.items():
        watch = Stopwatch(args.device or default_device())
        with formulation, watch.on_modules(model):
            found[name] = measure(make(model, prompt, shape, batch, watch), watch, args)
    return found


def time_loading(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the loading of training batches.

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


def list_cases(args: argparse.Namespace) -> list[tuple[str, Prompt, tuple[int, int], int]]:
    """Return the cases to measure: name, prompt, shape of the image and batch size of each."""
    texts = load_vocabulary("lvis") if args.task == "lvis" else args.texts
    prompt = parse_prompt(texts, custom_entities=True)
    height, width = args.shape
    shape = (height, width)
    if not args.sweep:
        return [(args.task, prompt, shape, args.batch_size)]
    if args.sweep == "pixels":
        return [(f"pixels {size}", prompt, size, args.batch_size) for size in SWEEP_SHAPES]
    cases = []
    for number in SWEEPS[args.sweep]:
        name, batch_size = f"{args.sweep} {number}", args.batch_size
        if args.sweep == "batch":
            batch_size = number
        elif args.sweep == "classes":
            prompt = Prompt.from_class_names(load_vocabulary("lvis")[:number])
        else:
            name = f"tokens {3 * number + 1}"
            prompt = Prompt.from_class_names([f"object {at % 10}" for at in range(number)])
        cases.append((name, prompt, shape, batch_size))
    return cases


def print_case(name: str, batch: int, sides: dict[str, dict[str, Any]]) -> None:
    """Print the numbers of a case."""
    stages = list(dict.fromkeys(stage for side in sides.values() for stage in side["stages"]))
    rows: list[list[Any]] = [
        [stage, *(side["stages"].get(stage, 0.0) for side in sides.values())] for stage in stages
    ]
    rows.append(["total [s]", *(side["seconds"] for side in sides.values())])
    rows.append(["images per second", *(batch / side["seconds"] for side in sides.values())])
    rows.append(["cores", *(side["cores"] for side in sides.values())])
    rows.append(["peak memory [GiB]", *(side["memory_gib"] for side in sides.values())])
    print(f"\n{format_table([name, *sides], rows)}", flush=True)
    if "plain" in sides:
        print(f"{sides['plain']['seconds'] / sides['glip']['seconds']:.2f} x as fast as plain")
