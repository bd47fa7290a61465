"""Detect with an exported model: ``glip detect --weights DIR``, which imports no torch."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from glip.cli.common import UsageError
from glip.cli.drawing import read_style

if TYPE_CHECKING:
    from glip.text import Prompt

#: Options of ``glip detect`` that need the model in torch, and their defaults.
_NEED_TORCH = {
    "config": None,
    "classes": None,
    "device": None,
    "amp": None,
    "compile": False,
    "cfg_options": None,
    "slices": False,
    "tta": False,
    "show": False,
}


def check_options(args: argparse.Namespace) -> None:
    """Refuse the options that an exported model does not have.

    Raises:
        UsageError: one is given.
    """
    given = [name for name, default in _NEED_TORCH.items() if getattr(args, name) != default]
    if args.chunked_size > 0:
        given.append("chunked_size")
    if given:
        option = given[0].replace("_", "-")
        raise UsageError(
            f"--{option} needs the model in torch, and {args.weights} is an exported one: pass a "
            "checkpoint as --weights"
        )


def detect_exported(args: argparse.Namespace, prompt: Prompt) -> tuple[dict, float]:
    """Detect with an exported model.

    Args:
        args: of ``glip detect``.
        prompt: the prompt.

    Returns:
        What :class:`glip.runtime.DetInferencer` returned, and the score from which on detections
        are drawn.

    Raises:
        CheckpointError: the folder is damaged.
        DependencyError: a package is missing or too old.
        ImageReadError: no image can be read.
    """
    from glip.apis.image_inputs import list_images
    from glip.runtime import DetInferencer

    inferencer = DetInferencer(
        args.weights,
        max_pixels=args.max_pixels,
        max_bytes=args.max_bytes,
        style=read_style(args),
    )
    score_thr, drawn_thr = args.score_thr, args.pred_score_thr
    if score_thr is None and drawn_thr is None:
        score_thr = inferencer.detector.manifest.default_score_thr
    if drawn_thr is None:
        drawn_thr = score_thr
    inputs = args.inputs[0]
    if len(args.inputs) > 1:
        inputs = [image for each in args.inputs for image in list_images(each)]
    output = inferencer(
        inputs,
        texts=prompt,
        batch_size=args.batch_size or 1,
        out_dir=args.out_dir,
        score_thr=score_thr,
        pred_score_thr=drawn_thr,
        no_save_vis=args.no_save_vis,
        no_save_pred=args.no_save_pred,
        print_result=args.print_result,
        recursive=args.recursive,
        save_crops=args.save_crops,
    )
    return output, drawn_thr
