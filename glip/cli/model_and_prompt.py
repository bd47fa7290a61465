"""The model and the prompt of a command that detects: its options, and what they give."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from glip.cli.argument_types import chunk_size
from glip.cli.common import UsageError
from glip.config import find_weights
from glip.text.noun_phrases import NP_EXTRACTORS
from glip.utils.errors import PromptError
from glip.utils.messages import shorten
from glip.weights import SMALL_MODEL

if TYPE_CHECKING:
    from glip.classes import ClassFile
    from glip.models import GLIP
    from glip.text import Prompt


def add_prompt_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--texts``, ``--caption`` and ``--classes``, one of which is required, and theirs."""
    prompt = parser.add_mutually_exclusive_group(required=True)
    prompt.add_argument(
        "--texts",
        nargs="+",
        help="class names: 'bench . car .', or several names, or '$: coco', '$: lvis'",
    )
    prompt.add_argument("--caption", help="caption to ground")
    prompt.add_argument(
        "--classes",
        metavar="FILE",
        help="class file with prompts and thresholds of classes, also a calibrated one",
    )
    parser.add_argument(
        "--tokens-positive",
        help="with --caption: the character spans of each phrase, '[[[start, end], ...], ...]'; "
        "-1 for the whole caption as one phrase",
    )
    parser.add_argument(
        "--np-extractor",
        choices=NP_EXTRACTORS,
        default="rules",
        help="with --caption: method that finds the noun phrases; default: %(default)s",
    )
    parser.add_argument(
        "--chunked-size",
        type=chunk_size,
        default=-1,
        help="class names per forward pass of the text; default: as many as fit",
    )


def choose_weights(args: argparse.Namespace) -> None:
    """Choose the small model if neither a config nor weights are given.

    Args:
        args: changed in place: ``weights``.

    Raises:
        UsageError: there is a config without a checkpoint.
    """
    if args.config is None and args.weights is None:
        args.weights = SMALL_MODEL
    elif args.weights is None and find_weights(args.config) is None:
        raise UsageError(f"expected a checkpoint for the config {args.config}: --weights W")


def read_prompt_or_classes(args: argparse.Namespace) -> tuple[Prompt, ClassFile | None]:
    """Return the prompt, and the class file that it is of, if there is one.

    Raises:
        PromptError: the prompt is empty or malformed.
        ClassFileError: the class file is invalid.
    """
    classes = None
    if args.classes is not None:
        from glip.classes import load_classes

        classes = load_classes(args.classes)
    prompt = read_prompt(args) if classes is None else classes.prompt()
    if args.weights == SMALL_MODEL:
        warn_of_unknown_words(prompt)
    return prompt, classes


def make_model(args: argparse.Namespace, classes: ClassFile | None) -> GLIP:
    """Build the detector that the options describe.

    Raises:
        ConfigError: the config or the device cannot be used.
        CheckpointError: the checkpoint does not fit the config.
    """
    from glip.apis.build import make_detector
    from glip.apis.class_detection import with_class_limit
    from glip.models.compile import compile_model

    options = dict(args.cfg_options or {})
    if args.chunked_size > 0:
        options["model.test_cfg.chunked_size"] = args.chunked_size
    if args.amp:
        options["model.test_cfg.amp"] = args.amp
    if classes is not None:
        options = with_class_limit(options)
    model = make_detector(args.config, args.weights, args.device, options)
    if args.compile:
        compile_model(model)
    return model


def read_prompt(args: argparse.Namespace) -> Prompt:
    """Parse the prompt of the command line.

    Raises:
        PromptError: the prompt is empty or malformed.
    """
    from glip.text import Prompt, parse_prompt
    from glip.text.parse import is_class_text
    from glip.text.vocabulary import parse_vocabulary_shorthand

    if args.texts:
        if args.tokens_positive is not None:
            raise PromptError("--tokens-positive goes with --caption, not with --texts")
        names = args.texts[0] if len(args.texts) == 1 else args.texts
        if not isinstance(names, str) and any(map(is_class_text, names)):
            raise PromptError(
                "expected --texts as several names, or as one text of names, got "
                f"{len(names)} texts with ' . ' in them: {shorten(names)}; write one, "
                f"{shorten(' . '.join(names))}"
            )
        return parse_prompt(names, custom_entities=True, warn=False)  # DetInferencer warns
    if parse_vocabulary_shorthand(args.caption) is not None:
        raise PromptError(f"{shorten(args.caption)} goes with --texts, not with --caption")
    if args.tokens_positive is not None:
        try:
            spans = json.loads(args.tokens_positive)
        except (ValueError, RecursionError):  # no JSON, a number or nesting that is too long
            spans = None
        if spans is None:
            raise PromptError(
                "expected --tokens-positive as '[[[start, end], ...], ...]' or -1, got "
                f"{shorten(args.tokens_positive)}"
            )
        return parse_prompt(args.caption, tokens_positive=spans)
    return Prompt.from_caption(args.caption, np_extractor=args.np_extractor)


def warn_of_unknown_words(prompt: Prompt) -> None:
    """Say which words of a prompt the small model was not trained on; it answers all the same."""
    from glip.testing.shapes import unknown_words

    if unknown := unknown_words(prompt.names):
        print(
            f"warning: {SMALL_MODEL} detects coloured shapes only and does not know "
            f"{shorten(' '.join(unknown))}; for other objects pass --weights, for example "
            "--weights glip_tiny_a (downloaded once)",
            file=sys.stderr,
        )
