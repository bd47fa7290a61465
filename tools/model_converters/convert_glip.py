r"""Convert a GLIP checkpoint between the formats of microsoft/GLIP, MMDetection and this library.

Examples:
    python tools/model_converters/convert_glip.py glip_tiny_model_o365_goldg_cc_sbu.pth glip_t.pth
    python tools/model_converters/convert_glip.py glip_l_mmdet-abfe026b.pth glip_l.safetensors \
        --dtype fp16
    python tools/model_converters/convert_glip.py glip_large_model.pth glip_l_mmdet.pth \
        --format mmdet

The result carries the tokenizer's vocabulary and the name of its config, so it runs offline.
SRC may be in any of the three formats; its optimizer and schedule are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from mmengine.registry import DefaultScope

from glip.apis import load_config
from glip.checkpoint import compare, fitting_configs, open_checkpoint, write_checkpoint
from glip.cli.common import run
from glip.config import list_models, shipped_name
from glip.registry import MODELS
from glip.text import load_tokenizer
from glip.text.tokenizer import tokenizer_to_bytes
from glip.utils.errors import CheckpointError


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("src", help="checkpoint to read")
    parser.add_argument("dst", help="checkpoint to write: .pth or .safetensors")
    parser.add_argument(
        "--format", choices=("glip", "mmdet"), default="glip", help="whose names to write"
    )
    parser.add_argument(
        "--dtype", choices=("fp32", "fp16", "bf16"), help="number type; by default as it is in SRC"
    )
    parser.add_argument(
        "--config",
        help="config file, or name of a shipped one; by default found by SRC's shape and file name",
    )
    parser.add_argument(
        "--lang-model-name",
        help="folder or hub name of the tokenizer, if SRC carries none; by default the config's",
    )
    parser.add_argument(
        "--no-vocabulary", action="store_true", help="do not put the vocabulary into DST"
    )
    return parser.parse_args(argv)


def choose_config(state_dict: dict, source: str) -> str:
    """Name the shipped config of a checkpoint: by its shape, then by the published file names.

    Raises:
        CheckpointError: its shape is none of the shipped models'.
    """
    fits = fitting_configs(state_dict)
    if not fits:
        raise CheckpointError(
            f"{source} has the shape of none of the shipped models: name its config with --config"
        )
    models = list_models()
    for name in fits:
        published = {models[name]["Official Weights File"], Path(models[name]["Weights"]).name}
        if Path(source).name in published:
            return name
    if len(fits) > 1:
        print(f"fits {', '.join(fits)} alike; taking the first. Another: --config NAME")
    return fits[0]


def main(argv: list[str] | None = None) -> None:
    """Convert; see the module's docstring."""
    args = parse_args(argv)
    checkpoint = open_checkpoint(args.src)
    state_dict = checkpoint["state_dict"]
    named = shipped_name(checkpoint["meta"].get("config"))
    name = args.config or named or choose_config(state_dict, args.src)
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
    tokenizer = b""
    if not args.no_vocabulary:
        carried = state_dict.get("language_model._extra_state")
        if carried is not None and carried.numel():
            tokenizer = bytes(carried.tolist())
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


if __name__ == "__main__":
    run(main)
