r"""Detect what you name in pictures, and save the drawn pictures and the predictions.

Without CONFIG and CHECKPOINT the small model detects that lies beside this file; it knows coloured
shapes, as in demo/shapes.jpg.

Examples:
    the small model:
        python demo/image_demo.py demo/shapes.jpg --texts 'red star . blue circle .'
        python demo/image_demo.py demo/shapes.jpg --caption 'A small green heart and a ring.'
    class names:
        python demo/image_demo.py demo/demo.jpg CONFIG CHECKPOINT --texts 'bench . car .'
    every name of a data set:
        python demo/image_demo.py demo/demo.jpg CONFIG CHECKPOINT --texts '$: coco'
    a caption, whose noun phrases are found for you:
        python demo/image_demo.py demo/demo.jpg CONFIG CHECKPOINT --caption 'A temple by a pond.'
    a caption with the characters of each phrase:
        python demo/image_demo.py demo/demo.jpg CONFIG CHECKPOINT --caption 'A temple by a pond.' \
            --tokens-positive '[[[2, 8]], [[14, 18]]]'
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from glip.apis import DetInferencer, init_detector
from glip.cli.common import CfgOptions, add_speed_options, positive_int, run
from glip.models.compile import compile_model
from glip.text import Prompt, parse_prompt
from glip.utils.errors import ImageReadError, PromptError

#: Config and checkpoint of the model that is used by default.
SMALL_MODEL = ("glip_nano_shapes", Path(__file__).parent / "glip_nano_shapes.safetensors")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", help="a picture, an address, or a folder of pictures")
    parser.add_argument("config", nargs="?", help="config file, or the name of a shipped config")
    parser.add_argument(
        "checkpoint",
        nargs="?",
        help="checkpoint of microsoft/GLIP, of MMDetection or of this library",
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument(
        "--texts",
        nargs="+",
        help="what to look for: 'bench . car .', or several names, or '$: coco', '$: lvis'",
    )
    asked.add_argument("--caption", help="a sentence to ground")
    parser.add_argument(
        "--tokens-positive",
        help="with --caption: for each phrase its characters, '[[[start, end], ...], ...]'; "
        "-1 for the caption as a whole",
    )
    parser.add_argument(
        "--np_extractor",
        choices=("rules", "spacy"),
        default="rules",
        help="with --caption: what finds the noun phrases",
    )
    parser.add_argument(
        "--chunked-size",
        type=int,
        default=-1,
        help="names a text pass holds; by default as many as fit the language model",
    )
    parser.add_argument("--out-dir", default="outputs", help="where to save; default: outputs")
    parser.add_argument("--device", help="cpu, cuda:0, ...; by default a GPU if there is one")
    parser.add_argument("--batch-size", type=positive_int, default=1, help="pictures at a time")
    add_speed_options(parser)
    parser.add_argument(
        "--pred-score-thr", type=float, default=0.3, help="draw detections from this score on"
    )
    parser.add_argument("--show", action="store_true", help="show each picture in a window")
    parser.add_argument("--no-save-vis", action="store_true", help="save no pictures")
    parser.add_argument("--no-save-pred", action="store_true", help="save no predictions")
    parser.add_argument("--print-result", action="store_true", help="print the predictions")
    parser.add_argument(
        "--cfg-options", nargs="+", action=CfgOptions, help="override the config: key=value ..."
    )
    args = parser.parse_args(argv)
    if args.config is None:
        args.config, args.checkpoint = SMALL_MODEL
    elif args.checkpoint is None:
        parser.error(f"expected a checkpoint after the config {args.config}")
    return args


def read_prompt(args: argparse.Namespace) -> Prompt:
    """Make the prompt that the command line asks for.

    Raises:
        PromptError: it cannot be looked for.
    """
    if args.texts:
        if args.tokens_positive is not None:
            raise PromptError("--tokens-positive goes with --caption, not with --texts")
        names = args.texts[0] if len(args.texts) == 1 else args.texts
        return parse_prompt(names, custom_entities=True)
    if args.tokens_positive is not None:
        try:
            spans = json.loads(args.tokens_positive)
        except json.JSONDecodeError:
            spans = None
        if spans is None:
            raise PromptError(
                "expected --tokens-positive as '[[[start, end], ...], ...]' or -1, got "
                f"{args.tokens_positive!r}"
            )
        return parse_prompt(args.caption, tokens_positive=spans)
    return Prompt.from_caption(args.caption, np_extractor=args.np_extractor)


def main(argv: list[str] | None = None) -> None:
    """Detect; see the module's docstring."""
    args = parse_args(argv)
    prompt = read_prompt(args)
    options = dict(args.cfg_options or {})
    if args.chunked_size > 0:
        options["model.test_cfg.chunked_size"] = args.chunked_size
    if args.amp:
        options["model.test_cfg.amp"] = args.amp
    model = init_detector(args.config, args.checkpoint, device=args.device, cfg_options=options)
    if args.compile:
        compile_model(model)
    results = DetInferencer(model)(
        args.inputs,
        texts=prompt,
        batch_size=args.batch_size,
        out_dir=args.out_dir,
        pred_score_thr=args.pred_score_thr,
        show=args.show,
        no_save_vis=args.no_save_vis,
        no_save_pred=args.no_save_pred,
        print_result=args.print_result,
    )["predictions"]
    if all("error" in result for result in results):
        raise ImageReadError(f"none of the {len(results)} pictures of {args.inputs} can be read")
    summarise(results, prompt, args.pred_score_thr)
    if not (args.no_save_vis and args.no_save_pred):
        print(f"saved to {args.out_dir}")


def summarise(results: list[dict], prompt: Prompt, threshold: float) -> None:
    """Print how often each phrase was found."""
    for result in results:
        if "error" in result:
            print(f"skipped: {result['error']}")
            continue
        kept = [
            name
            for name, score in zip(result["label_names"], result["scores"], strict=True)
            if score >= threshold
        ]
        counts = {name: kept.count(name) for name in dict.fromkeys(prompt.names) if name in kept}
        found = ", ".join(f"{count} x {name}" for name, count in counts.items()) or "nothing"
        print(f"{len(result['scores'])} detections; with a score of {threshold} or more: {found}")


if __name__ == "__main__":
    run(main)
