r"""Build the initial checkpoint of pre-training from a Swin of ImageNet and a pre-trained BERT.

The backbone is a file of microsoft/Swin-Transformer, without its classifier. The language model is
a folder with model.safetensors, or a name on the Hugging Face hub. The other parameters are
initialized at random.

Examples:
    python tools/model_converters/start_pretraining.py CONFIG start.safetensors \
        --backbone swin_tiny_patch4_window7_224.pth --language-model bert-base-uncased
    python tools/train.py CONFIG --load-from start.safetensors
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import add_config_argument, new_parser, parse_and_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_argument(parser)
    parser.add_argument("dst", help="checkpoint to write: .pth or .safetensors")
    parser.add_argument(
        "--backbone", required=True, help="checkpoint of microsoft/Swin-Transformer"
    )
    parser.add_argument("--language-model", required=True, help="folder or hub name of a BERT")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the other parameters; default: %(default)s"
    )


def run(args: argparse.Namespace) -> None:
    """Build and write the checkpoint.

    Raises:
        CheckpointError: the backbone or the language model cannot be read, or does not fit.
        TokenizerNotFoundError: the language model has no tokenizer.
    """
    import torch
    from mmengine.registry import DefaultScope

    from glip.apis.build import load_config
    from glip.checkpoint import write_checkpoint
    from glip.checkpoint.pretrained_parts import load_backbone, load_language_model
    from glip.config import shipped_name
    from glip.registry import MODELS
    from glip.text.tokenizer import load_tokenizer, tokenizer_to_bytes

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


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and build the checkpoint; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
