"""Load the weights that pre-training starts from: Swin trained on ImageNet, and BERT."""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import Tensor, nn
from transformers import BertModel

from glip.checkpoint.formats import find_state_dict
from glip.checkpoint.reading import read_checkpoint
from glip.checkpoint.weights import check_finite, check_weights
from glip.utils.errors import CheckpointError, shorten, summarize

#: Suffixes of the buffers that Swin computes from its configuration.
_COMPUTED = ("relative_position_index", "attn_mask")
#: Parameters of the classification head, which a backbone does not have.
_CLASSIFIER = ("norm.weight", "norm.bias", "head.weight", "head.bias")


def load_backbone(backbone: nn.Module, path: str) -> None:
    """Copy the weights of a Swin classifier into a backbone, except the norms of its outputs.

    Raises:
        CheckpointError: the file cannot be read safely, has unusable weights, or does not fit the
            backbone.
    """
    try:
        weights = find_state_dict(read_checkpoint(path, verify=True))
    except CheckpointError as error:
        raise CheckpointError(f"the backbone {path}: {error}") from None
    kept = {
        re.sub(r"^layers\.", "stages.", key): value
        for key, value in weights.items()
        if key not in _CLASSIFIER and not key.endswith(_COMPUTED)
    }
    output_norms = [key for key in backbone.state_dict() if re.match(r"norm\d+\.", key)]
    _copy(backbone, kept, path, new=output_norms)


def load_language_model(encoder: nn.Module, name: str) -> None:
    """Copy the weights of a pre-trained BERT into the text encoder.

    Args:
        encoder: the text encoder, with a ``bert``.
        name: a folder, or a name on the Hugging Face Hub.

    Raises:
        CheckpointError: the BERT cannot be loaded, or has another size.
    """
    try:
        source = BertModel.from_pretrained(name, add_pooling_layer=False, use_safetensors=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"BERT cannot be loaded from {name!r} ({summarize(error)}): expected a "
            "folder with config.json and model.safetensors, or a name on the Hugging Face Hub"
        ) from error
    _copy(encoder.get_submodule("bert"), source.state_dict(), name)


def _copy(
    module: nn.Module, weights: dict[str, Tensor], source: str, *, new: Collection[str] = ()
) -> None:
    """Copy weights into a module.

    Args:
        module: the module.
        weights: its state dict, without the keys in ``new``.
        source: where the weights come from, for the error message.
        new: keys that only the module has.

    Raises:
        CheckpointError: keys or shapes differ.
    """
    own = module.state_dict()
    expected = {key: tuple(value.shape) for key, value in own.items() if key not in new}
    given = {key: tuple(value.shape) for key, value in weights.items()}
    if expected != given:
        differing = sorted(key for key in expected | given if expected.get(key) != given.get(key))
        first = differing[0]
        raise CheckpointError(
            f"{source} does not fit the config's {type(module).__name__}: {len(differing)} "
            f"parameters differ, the first is {shorten(first)!r}, "
            f"{given.get(first, 'absent')} in the file "
            f"and {expected.get(first, 'absent')} in the model"
        )
    check_weights(weights, source)
    check_finite(weights, source)
    module.load_state_dict(own | weights)
