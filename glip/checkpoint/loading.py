"""Load a checkpoint of any of the three namings into a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glip.checkpoint.formats import CONTAINERS, convert, find_state_dict
from glip.checkpoint.key_mapping import LEARNED_PROMPT_KEY, VOCABULARY_KEY
from glip.checkpoint.no_init import assign_parameters
from glip.checkpoint.reading import read_checkpoint
from glip.checkpoint.report import OPTIONAL_KEYS, KeyReport, compare
from glip.checkpoint.weights import check_finite, check_weights
from glip.utils.errors import CheckpointError

#: A file larger than the model's parameters by this factor also holds other tensors, for example
#: an optimizer's state. It is memory-mapped, so that only the parameters are read.
_MMAP_SIZE_RATIO = 1.5


def open_checkpoint(
    source: str | Path, *, mmap: bool = True, verify: bool | None = None
) -> dict[str, Any]:
    """Read a checkpoint and convert its state dict to our naming.

    Args:
        source: path of a ``.pth`` or ``.safetensors`` file, or an http(s) URL.
        mmap: see :func:`~glip.checkpoint.reading.read_checkpoint`.
        verify: see there.

    Returns:
        The checkpoint with ``state_dict`` in our naming, ``conversion`` (what happened to each key)
        and ``meta``. The state dict includes the vocabulary, if the file has one.

    Raises:
        CheckpointError: the file is not a checkpoint of GLIP, cannot be read safely, or has
            weights or a vocabulary that no model can use.
    """
    checkpoint = read_checkpoint(source, mmap=mmap, verify=verify)
    try:
        conversion = convert(find_state_dict(checkpoint))
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from None
    meta = checkpoint.get("meta")
    meta = dict(meta) if isinstance(meta, dict) else {}
    if isinstance(meta.get("tokenizer"), str):
        vocabulary = torch.tensor(list(meta["tokenizer"].encode()), dtype=torch.uint8)
        conversion.state_dict.setdefault(VOCABULARY_KEY, vocabulary)
    check_weights(conversion.state_dict, source)
    rest = {key: value for key, value in checkpoint.items() if key not in CONTAINERS}
    if len(rest) == len(checkpoint):
        rest = {}  # the file is a bare state dict
    return rest | {"state_dict": conversion.state_dict, "conversion": conversion, "meta": meta}


def load_into(
    model: nn.Module, checkpoint: dict[str, Any], source: str | Path, *, assign: bool = False
) -> KeyReport:
    """Load an opened checkpoint into a model; a model that it does not fit stays unchanged.

    Args:
        model: the detector.
        checkpoint: as :func:`open_checkpoint` returns it.
        source: where it comes from, for error messages.
        assign: use the checkpoint's tensors as the parameters, without a copy, where possible.

    Raises:
        CheckpointError: it has non-finite weights, or does not fit the model; the message lists
            the keys and the shipped configs that it fits.
    """
    own = model.state_dict()
    report = compare(checkpoint["conversion"], own)
    state_dict = checkpoint["state_dict"]
    if not report.ok:
        raise CheckpointError(_mismatch_message(report, state_dict, source))
    check_finite(state_dict, source)
    kept = {key: own[key] for key in OPTIONAL_KEYS if key in own and key not in state_dict}
    if assign:
        assign_parameters(model, state_dict)
    try:
        model.load_state_dict(state_dict | kept)
    except ValueError as error:
        raise CheckpointError(f"{source}: {error}") from error
    return report


def load_checkpoint(model: nn.Module, source: str | Path) -> dict[str, Any]:
    """Load a checkpoint of any of the three namings into a detector.

    A detector on the CPU uses the tensors that were read as its parameters, without a copy.

    Args:
        model: a detector, built from its config.
        source: path of a ``.pth`` or ``.safetensors`` file, or an http(s) URL.

    Returns:
        The checkpoint, see :func:`open_checkpoint`; the model may own its tensors.

    Raises:
        CheckpointError: the file cannot be read safely, is not a checkpoint of GLIP, or does not
            fit the model.
    """
    num_bytes = sum(p.numel() * p.element_size() for p in model.parameters())
    path = Path(str(source)).expanduser()
    mmap = path.is_file() and path.stat().st_size > _MMAP_SIZE_RATIO * num_bytes
    checkpoint = open_checkpoint(source, mmap=mmap)
    load_into(model, checkpoint, source, assign=not mmap)
    return checkpoint


def _mismatch_message(report: KeyReport, state_dict: dict[str, Tensor], source: str | Path) -> str:
    if LEARNED_PROMPT_KEY in report.unexpected:
        advice = (
            "The checkpoint carries a learned prompt: set model.language_model.learned_prompt="
            f"{len(state_dict[LEARNED_PROMPT_KEY])} in the config."
        )
    elif report.fits:
        advice = "Its parameter shapes fit: " + ", ".join(f"{name}.py" for name in report.fits)
    else:
        advice = "It fits none of the shipped configs: use the config it was trained with."
    return f"the checkpoint {source} does not fit this config.\n{report}\n{advice}"
