"""Loading a checkpoint into a model, whoever wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glip.checkpoint.formats import CONTAINERS, convert, find_state_dict
from glip.checkpoint.no_init import assign_parameters
from glip.checkpoint.reading import read_checkpoint
from glip.checkpoint.report import OPTIONAL, KeyReport, compare
from glip.utils.errors import CheckpointError

_EXTRA_STATE, _PROMPT = OPTIONAL

#: A file larger than the model by this factor holds more than its parameters, an optimizer's state
#: for example, and stays on disk while the parameters are read.
_MORE_THAN_WEIGHTS = 1.5


def open_checkpoint(source: str | Path, *, mapped: bool = True) -> dict[str, Any]:
    """Read a checkpoint and bring its parameters to our names.

    Args:
        source: a ``.pth`` or ``.safetensors`` file, or an http(s) address.
        mapped: see :func:`~glip.checkpoint.reading.read_checkpoint`.

    Returns:
        the checkpoint, with ``state_dict`` in our names, ``conversion`` (what became of the keys)
        and ``meta``. The vocabulary, if the file carries one, is in the state dict.

    Raises:
        CheckpointError: the file is no checkpoint of GLIP, or cannot be read safely.
    """
    checkpoint = read_checkpoint(source, mapped=mapped)
    try:
        conversion = convert(find_state_dict(checkpoint))
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error
    meta = checkpoint.get("meta")
    meta = dict(meta) if isinstance(meta, dict) else {}
    if isinstance(meta.get("tokenizer"), str):
        carried = torch.tensor(list(meta["tokenizer"].encode()), dtype=torch.uint8)
        conversion.state_dict.setdefault(_EXTRA_STATE, carried)
    rest = {key: value for key, value in checkpoint.items() if key not in CONTAINERS}
    if len(rest) == len(checkpoint):
        rest = {}  # the file was a bare state dict
    return rest | {"state_dict": conversion.state_dict, "conversion": conversion, "meta": meta}


def load_into(
    model: nn.Module, checkpoint: dict[str, Any], source: str | Path, *, adopting: bool = False
) -> KeyReport:
    """Copy an opened checkpoint into a model, all of it or nothing.

    Args:
        model: the detector.
        checkpoint: of :func:`open_checkpoint`.
        source: where it came from, for the message.
        adopting: give the model the checkpoint's tensors where that saves the copy.

    Raises:
        CheckpointError: it does not fit the model; the message lists the keys and the configs that
            it fits.
    """
    own = model.state_dict()
    report = compare(checkpoint["conversion"], own)
    state_dict = checkpoint["state_dict"]
    if not report.ok:
        raise CheckpointError(_mismatch(report, state_dict, source))
    kept = {key: own[key] for key in OPTIONAL if key in own and key not in state_dict}
    if adopting:
        assign_parameters(model, state_dict)
    try:
        model.load_state_dict(state_dict | kept)
    except ValueError as error:
        raise CheckpointError(f"{source}: {error}") from error
    return report


def load_checkpoint(model: nn.Module, source: str | Path) -> dict[str, Any]:
    """Load a checkpoint in any of the three formats into a detector.

    A detector on the CPU takes the tensors that were read as its parameters, without a copy.

    Args:
        model: a detector, built from its config.
        source: a ``.pth`` or ``.safetensors`` file, or an http(s) address.

    Returns:
        the checkpoint, see :func:`open_checkpoint`; its tensors may be the model's own.

    Raises:
        CheckpointError: the file cannot be read safely, is no checkpoint of GLIP, or is another
            model's.
    """
    needed = sum(p.numel() * p.element_size() for p in model.parameters())
    path = Path(str(source)).expanduser()
    mapped = path.is_file() and path.stat().st_size > _MORE_THAN_WEIGHTS * needed
    checkpoint = open_checkpoint(source, mapped=mapped)
    load_into(model, checkpoint, source, adopting=not mapped)
    return checkpoint


def _mismatch(report: KeyReport, state_dict: dict[str, Tensor], source: str | Path) -> str:
    if _PROMPT in report.unexpected:
        advice = (
            "The checkpoint carries a learned prompt: set "
            f"model.language_model.learned_prompt={len(state_dict[_PROMPT])} in the config."
        )
    elif report.fits:
        advice = "By its shape it fits: " + ", ".join(f"{name}.py" for name in report.fits)
    else:
        advice = "It fits none of the shipped configs: use the config it was trained with."
    return f"the checkpoint {source} does not fit this config.\n{report}\n{advice}"
