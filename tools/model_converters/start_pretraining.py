r"""Put together what pre-training starts from: a Swin that has seen ImageNet, a BERT that has read.

Examples:
    python tools/model_converters/start_pretraining.py CONFIG start.safetensors \
        --backbone swin_tiny_patch4_window7_224.pth --language-model bert-base-uncased
    python tools/train.py CONFIG --load-from start.safetensors

The backbone is a file of microsoft/Swin-Transformer; its classifier is left out. The language model
is a folder with model.safetensors, or a name on the Hugging Face hub. The rest is drawn by --seed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection
from pathlib import Path

import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from transformers import BertModel

from glip.apis import load_config
from glip.checkpoint import read_checkpoint, write_checkpoint
from glip.cli.common import run
from glip.config import shipped_name
from glip.registry import MODELS
from glip.text import load_tokenizer
from glip.text.tokenizer import tokenizer_to_bytes
from glip.utils.errors import CheckpointError

#: Endings of what a classifier computes of its own shape, and names of what stands at its end.
_COMPUTED = ("relative_position_index", "attn_mask")
_CLASSIFIER = ("norm.weight", "norm.bias", "head.weight", "head.bias")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("dst", help="checkpoint to write: .pth or .safetensors")
    parser.add_argument("--backbone", required=True, help="file of microsoft/Swin-Transformer")
    parser.add_argument("--language-model", required=True, help="folder or hub name of a BERT")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    return parser.parse_args(argv)


def load_backbone(backbone: nn.Module, path: str) -> None:
    """Copy a classifier's weights into a backbone; the norms of its outputs are new.

    Raises:
        CheckpointError: the file cannot be read safely, or is of another Swin.
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
    """Copy a BERT's weights into the text encoder.

    Raises:
        CheckpointError: it is not to be had, or of another size.
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
    """Copy weights that fit one to one; ``new`` are those that only the module has."""
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


def main(argv: list[str] | None = None) -> None:
    """Put together; see the module's docstring."""
    args = parse_args(argv)
    tokenizer = load_tokenizer(args.language_model)
    cfg = load_config(args.config, {"lang_model_name": args.language_model})
    torch.manual_seed(args.seed)
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model)
    model.init_weights()
    load_backbone(model.backbone, args.backbone)
    load_language_model(model.language_model, args.language_model)
    write_checkpoint(
        args.dst,
        model.state_dict(),
        config=shipped_name(Path(args.config).stem) or "",
        tokenizer=tokenizer_to_bytes(tokenizer),
    )
    print(f"wrote {args.dst}")


if __name__ == "__main__":
    run(main)
