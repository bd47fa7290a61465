"""Check the weights and the vocabulary of a checkpoint before a model takes them over."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from glip.checkpoint.key_mapping import VOCABULARY_KEY
from glip.text.tokenizer import read_vocabulary
from glip.utils.errors import CheckpointError, shorten

#: The dtypes of weights, each with the bits of its exponent, which are all 1 in NaN and Inf. Those
#: of two bytes are compared as integers, because torch adds them slowly.
WEIGHT_DTYPES: dict[torch.dtype, int | None] = {
    torch.float32: None,
    torch.float64: None,
    torch.float16: 0x7C00,
    torch.bfloat16: 0x7F80,
}
_WORD_EMBEDDINGS = "language_model.bert.embeddings.word_embeddings.weight"
_BLOCK = 1 << 20
#: In bytes; that of BERT for a hundred languages has 2 MB.
_MAX_VOCABULARY = 1 << 26


def check_weights(state_dict: Mapping[str, Tensor], source: object) -> None:
    """Check that weights are dense floating-point tensors, and that the vocabulary is usable.

    Args:
        state_dict: in our naming.
        source: where it comes from, for error messages.

    Raises:
        CheckpointError: a weight has another dtype or layout, or the vocabulary is invalid.
    """
    for key, value in state_dict.items():
        if key == VOCABULARY_KEY:
            continue
        dense = value.layout == torch.strided and not value.is_quantized and not value.is_nested
        kind = "" if value.dtype in WEIGHT_DTYPES else f"has the dtype {value.dtype}"
        if not dense or value.is_meta:
            kind = "is a sparse, quantized or nested tensor, or has no data (device 'meta')"
        if kind:
            raise CheckpointError(
                f"{source}: the weight {shorten(key)} {kind}: expected a dense tensor of dtype "
                "float32, float16, bfloat16 or float64. Save the model in one of these"
            )
    stored = state_dict.get(VOCABULARY_KEY)
    if stored is not None:
        embeddings = state_dict.get(_WORD_EMBEDDINGS)
        _check_vocabulary(stored, embeddings, source)


def check_finite(state_dict: Mapping[str, Tensor], source: object) -> None:
    """Check that all weights are finite, in one pass over their memory.

    Args:
        state_dict: in any naming.
        source: where it comes from, for error messages.

    Raises:
        CheckpointError: a weight has NaN or Inf; the message names the first.
    """
    for key, value in state_dict.items():
        if value.dtype in WEIGHT_DTYPES and not _is_finite(value):
            number = int((~torch.isfinite(value)).sum())
            bad = sum(not _is_finite(v) for v in state_dict.values() if v.dtype in WEIGHT_DTYPES)
            raise CheckpointError(
                f"{source}: the weight {shorten(key)} has {number} non-finite values (NaN or Inf) "
                f"of {value.numel()}, {bad} weights have any: the training that wrote it diverged, "
                "or the file is damaged. Use an earlier checkpoint"
            )


def _is_finite(value: Tensor) -> bool:
    exponent = WEIGHT_DTYPES[value.dtype]
    value = value.detach()
    if exponent is None:
        # A sum is finite only if all its terms are; the sum of large ones may not be.
        return bool(value.sum().isfinite()) or bool(value.isfinite().all())
    if value.device.type != "cpu":
        return bool(value.isfinite().all())
    bits = value.contiguous().view(torch.int16).flatten().numpy().view(np.uint16)
    return all(
        int((bits[at : at + _BLOCK] & 0x7FFF).max()) < exponent
        for at in range(0, len(bits), _BLOCK)
    )


def _check_vocabulary(stored: Tensor, embeddings: Tensor | None, source: object) -> None:
    size = f" of shape {tuple(stored.shape)}"
    if stored.dtype != torch.uint8 or stored.dim() != 1 or len(stored) > _MAX_VOCABULARY:
        raise CheckpointError(
            f"{source}: the vocabulary is stored as {stored.dtype}{size}: "
            "expected its bytes, uint8 of shape (n,). Convert the checkpoint again with "
            "tools/model_converters/convert_glip.py"
        )
    if not stored.numel():
        return
    try:
        words, _ = read_vocabulary(stored.numpy().tobytes())
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from None
    rows = len(embeddings) if embeddings is not None and embeddings.dim() else len(words)
    if len(words) > rows:
        raise CheckpointError(
            f"{source}: the vocabulary has {len(words)} words, but the weight {_WORD_EMBEDDINGS} "
            f"has only {rows} rows: the vocabulary belongs to another model. Convert the "
            "checkpoint again with tools/model_converters/convert_glip.py"
        )
