"""Convert a GLIP checkpoint between the formats of microsoft/GLIP, MMDetection and this library.

SRC may have any of the three formats; its optimizer and schedule are dropped. DST holds the
vocabulary of the tokenizer and the name of its config, so that it needs no download.

Examples:
    glip convert glip_tiny_model_o365_goldg_cc_sbu.pth glip_t.pth
    glip convert glip_l_mmdet-abfe026b.pth glip_l.safetensors --dtype fp16
    glip convert glip_large_model.pth glip_l_mmdet.pth --format mmdet
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import new_parser, parse_and_run
from glip.utils.errors import CheckpointError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("src", help="checkpoint to read")
    parser.add_argument("dst", help="checkpoint to write: .pth or .safetensors")
    parser.add_argument(
        "--format",
        choices=("glip", "mmdet"),
        default="glip",
        help="parameter names to write; default: %(default)s",
    )
    parser.add_argument(
        "--dtype", choices=("fp32", "fp16", "bf16"), help="dtype to write; default: that of SRC"
    )
    parser.add_argument(
        "--config",
        help="config of SRC: a file or the name of a shipped config; default: found by the "
        "parameters' shapes and the file name",
    )
    parser.add_argument(
        "--lang-model-name",
        help="folder or hub name of the tokenizer if SRC holds none; default: the config's",
    )
    parser.add_argument(
        "--no-vocabulary", action="store_true", help="do not store the vocabulary in DST"
    )


def run(args: argparse.Namespace) -> None:
    """Convert.

    Raises:
        CheckpointError: SRC cannot be read, has non-finite weights, or does not fit the config.
        ConfigError: the config cannot be read.
        TokenizerNotFoundError: there is no tokenizer to store.
    """
    import torch
    from mmengine.registry import DefaultScope

    from glip.apis.build import load_config
    from glip.checkpoint import check_finite, compare, open_checkpoint, write_checkpoint
    from glip.checkpoint.writing import check_extension
    from glip.config import shipped_name
    from glip.registry import MODELS
    from glip.text.tokenizer import load_tokenizer, tokenizer_to_bytes

    check_extension(args.dst)
    checkpoint = open_checkpoint(args.src, verify=True)
    state_dict = checkpoint["state_dict"]
    named = shipped_name(checkpoint["meta"].get("config"))
    name = args.config or named or find_config_name(checkpoint, args.src)
    cfg = load_config(name)
    with DefaultScope.overwrite_default_scope("glip"), torch.device("meta"):
        expected = MODELS.build(cfg.model).state_dict()
    report = compare(checkpoint["conversion"], expected)
    print(f"{args.src} as {name}\n{report}")
    if not report.ok:
        raise CheckpointError(
            f"{args.src} does not match {name}; nothing was written. By its shape it fits: "
            + (", ".join(report.fits) or "none of the shipped configs")
        )
    check_finite(state_dict, args.src)
    tokenizer = b""
    if not args.no_vocabulary:
        stored = state_dict.get("language_model._extra_state")
        if stored is not None and stored.numel():
            tokenizer = stored.numpy().tobytes()
        else:
            source = args.lang_model_name or cfg.model.language_model.name
            tokenizer = tokenizer_to_bytes(load_tokenizer(source))
    write_checkpoint(
        args.dst,
        state_dict,
        naming=args.format,
        dtype=args.dtype,
        config=name,
        tokenizer=tokenizer,
    )
    size = Path(args.dst).stat().st_size / 1e6
    print(f"wrote {args.dst} ({size:.0f} MB)")


def find_config_name(checkpoint: dict, source: str) -> str:
    """Find the shipped config of a checkpoint; see :func:`glip.checkpoint.identify`.

    Args:
        checkpoint: the opened checkpoint.
        source: path of the checkpoint.

    Raises:
        CheckpointError: the shapes fit no shipped config.
    """
    from glip.checkpoint import fitting_configs, identify

    if not fitting_configs(checkpoint["state_dict"]):
        raise CheckpointError(
            f"{source} has the shape of none of the shipped models: name its config with --config"
        )
    match = identify(source, checkpoint)
    if match.is_ambiguous:
        print(f"{', '.join(match.fits)} fit equally; using the first. For another: --config NAME")
    return match.config


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and convert; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
