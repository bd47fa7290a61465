"""Load the parts that pre-training starts from: a Swin of ImageNet and a pre-trained BERT."""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import Tensor, nn
from transformers import BertModel

from glip.checkpoint.reading import read_checkpoint
from glip.utils.errors import CheckpointError

#: Suffixes of the buffers that a Swin computes from its shape.
_COMPUTED = ("relative_position_index", "attn_mask")
#: Parameters of the classifier, which a detector's backbone does not have.
_CLASSIFIER = ("norm.weight", "norm.bias", "head.weight", "head.bias")


def load_backbone(backbone: nn.Module, path: str) -> None:
    """Copy the weights of a classifier into a backbone; the norms of its outputs stay.

    Raises:
        CheckpointError: the file cannot be read safely, or holds another Swin.
    """
    content = read_checkpoint(path)
    weights = content.get("model", content.get("state_dict", content))
    kept = {
        re.sub(r"^layers\.", "stages.", key): value
        for key, value in weights.items()
        if key not in _CLASSIFIER and not key.endswith(_COMPUTED)
    }
    parts = ("weight", "bias")
    outputs = {f"norm{index}.{part}" for index in backbone.out_indices for part in parts}
    _copy(backbone, kept, path, new=outputs)


def load_language_model(encoder: nn.Module, name: str) -> None:
    """Copy the weights of a BERT into the text encoder.

    Raises:
        CheckpointError: the BERT cannot be loaded, or has another size.
    """
    try:
        source = BertModel.from_pretrained(name, add_pooling_layer=False, use_safetensors=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"no BERT can be loaded from {name!r} ({str(error).splitlines()[0]}): expected a "
            "folder with config.json and model.safetensors, or a name on the Hugging Face hub"
        ) from error
    _copy(encoder.bert, source.state_dict(), name)


def _copy(
    module: nn.Module, weights: dict[str, Tensor], source: str, *, new: Collection[str] = ()
) -> None:
    """Copy weights that match one to one; ``new`` are parameters that only the module has."""
    own = module.state_dict()
    wanted = {key: tuple(value.shape) for key, value in own.items() if key not in new}
    given = {key: tuple(value.shape) for key, value in weights.items()}
    if wanted != given:
        differing = sorted(key for key in wanted | given if wanted.get(key) != given.get(key))
        first = differing[0]
        raise CheckpointError(
            f"{source} does not fit the config's {type(module).__name__}: {len(differing)} "
            f"parameters differ, the first is {first!r}, {given.get(first, 'absent')} in the file "
            f"and {wanted.get(first, 'absent')} in the model"
        )
    module.load_state_dict(own | weights)
