"""Describe the installation, for a bug report; with weights, describe the checkpoint.

Examples:
    glip info
    glip info glip_tiny_model_o365_goldg.pth
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from glip.cli.common import new_parser, parse_and_run

#: The distributions that matter in a bug report; of some alternatives only one is installed.
_PACKAGES = (
    *("torch", "torchvision", "mmengine", "mmcv", "mmcv-lite", "transformers", "tokenizers"),
    *("safetensors", "timm", "numpy", "pillow", "opencv-python", "opencv-python-headless"),
    *("pycocotools", "mmdet", "spacy"),
)
_VARIABLES = (
    *("GLIP_HOME", "TORCH_HOME", "HF_HOME", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES"),
    *("OMP_NUM_THREADS", "HTTP_PROXY", "HTTPS_PROXY"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "weights", nargs="?", metavar="W", help="checkpoint: a file, a URL, or a name"
    )


def run(args: argparse.Namespace) -> None:
    """Print the description.

    Raises:
        CheckpointError: the checkpoint cannot be read, or is no GLIP.
    """
    described = describe_installation() if args.weights is None else describe_weights(args.weights)
    width = max(map(len, described))
    for name, value in described.items():
        print(f"{name:{width}}  {value}")


def describe_installation() -> dict[str, str]:
    """Return versions, devices and folders."""
    from glip.config import config_root
    from glip.version import __version__
    from glip.weights import weights_folder

    described = {
        "glip": f"{__version__} in {config_root().parents[1]}"
        if config_root().parent.name == ".mim"
        else f"{__version__} in the clone {config_root().parent}",
        "Python": f"{platform.python_version()} on {platform.platform()}",
    }
    for package in _PACKAGES:
        try:
            described[package] = version(package)
        except PackageNotFoundError:
            continue
    if importlib.util.find_spec("mmcv") is None:
        described["mmcv"] = "missing: run `pip install mmcv-lite`"
    described |= _devices()
    described["weights"] = str(weights_folder())
    for name in _VARIABLES:
        # The address of a proxy may have a password in it.
        if name in os.environ:
            described[name] = "set" if name.endswith("PROXY") else os.environ[name] or "(empty)"
    return described


def _devices() -> dict[str, str]:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library is missing
        return {"devices": f"torch cannot be imported ({error})"}
    described = {"CPU": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads of torch"}
    build = f"torch built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch for CPUs"
    if not torch.cuda.is_available():
        return described | {"CUDA": f"not available ({build})"}
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        described[f"cuda:{index}"] = f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB"
    cudnn = torch.backends.cudnn.version()
    return described | {"CUDA": f"{torch.version.cuda}, cuDNN {cudnn}"}


def describe_weights(source: str) -> dict[str, str]:
    """Return what a checkpoint holds, and which model it is.

    Raises:
        CheckpointError: it cannot be read, or is no GLIP.
    """
    from glip.checkpoint import open_checkpoint
    from glip.checkpoint.key_mapping import LEARNED_PROMPT_KEY, VOCABULARY_KEY
    from glip.utils.download import sha256
    from glip.weights import find_weights_file, published_weights

    path = find_weights_file(source)
    checkpoint = open_checkpoint(path)
    conversion, meta = checkpoint["conversion"], checkpoint["meta"]
    tensors = {key: value for key, value in conversion.state_dict.items() if key != VOCABULARY_KEY}
    formats = {"official": "microsoft/GLIP", "mmdet": "MMDetection", "glip": "glip"}
    digest = sha256(path)
    described = {
        "file": f"{path} ({path.stat().st_size / 1e6:.0f} MB)",
        "SHA-256": digest,
        "format": formats[conversion.source],
        "parameters": f"{sum(each.numel() for each in tensors.values()) / 1e6:.1f} M, "
        + ", ".join(sorted({str(each.dtype).removeprefix("torch.") for each in tensors.values()})),
    }
    described |= _describe_model(path, checkpoint)
    known = [each for each in published_weights() if each.hash and digest.startswith(each.hash)]
    if known:
        described["published as"] = f"{known[0].name}, {known[0].title} (by its SHA-256)"
    vocabulary = conversion.state_dict.get(VOCABULARY_KEY)
    held = vocabulary is not None and vocabulary.numel()
    described["vocabulary"] = (
        "in the file" if held else "not in the file; bert-base-uncased's is used"
    )
    if LEARNED_PROMPT_KEY in tensors:
        described["learned prompt"] = f"{len(tensors[LEARNED_PROMPT_KEY])} positions"
    training = {"epoch": meta.get("epoch"), "iterations": meta.get("iter")}
    state = [f"{name} {value}" for name, value in training.items() if isinstance(value, int)]
    if state:
        described["training"] = ", ".join(state)
    if conversion.unexpected:
        described["unknown keys"] = f"{len(conversion.unexpected)}, {conversion.unexpected[0]}, ..."
    return described


def _describe_model(path: Path, checkpoint: dict[str, Any]) -> dict[str, str]:
    from glip.checkpoint import identify
    from glip.config import list_models
    from glip.utils.errors import CheckpointError

    try:
        match = identify(path, checkpoint)
    except CheckpointError:
        return {"model": "of no shipped config: pass its config with --config"}
    models = list_models()
    titles = [models[name]["Alias"] for name in match.fits if name in models]
    described = {"model": models.get(match.config, {}).get("Alias", match.config)}
    if match.is_ambiguous:
        described["model"] = (
            f"{', '.join(titles[:-1])} or {titles[-1]}: they have one shape and differ only in "
            "their weights"
        )
    described["config"] = f"{match.config} ({match.reason})"
    if match.options:
        described["options"] = ", ".join(f"{key}={value}" for key, value in match.options.items())
    return described


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and print; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
