"""Types of command-line arguments: parse a text, or say what is expected."""

from __future__ import annotations

import argparse
import math

from glip.utils.messages import shorten

#: Digits of the largest integer of an option; Python itself refuses more than 4300.
_MAX_DIGITS = 18
#: Images in one drawn file.
_MAX_DRAWN = 2000


def path_or_name(text: str) -> str:
    """Parse a path, a URL or a name, which is not blank, as the value of an unset variable is."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"expected a path or a name, got {shorten(text)}")
    return text


def seed(text: str) -> int:
    """Parse a random seed, as ``randomness.seed`` of a config."""
    return _parse_int(text, 0, 2**32 - 1)


def positive_int(text: str) -> int:
    """Parse an integer of 1 or more."""
    return _parse_int(text, 1)


def non_negative_int(text: str) -> int:
    """Parse an integer of 0 or more."""
    return _parse_int(text, 0)


def worker_count(text: str) -> int:
    """Parse a number of worker processes, at most :data:`glip.engine.options.MAX_WORKERS`."""
    return _parse_int(text, 0, 1024)


def preview_size(text: str) -> int:
    """Parse a number of images to draw in one file, which is in memory while it is made."""
    return _parse_int(text, 1, _MAX_DRAWN)


def sample_size(text: str) -> int:
    """Parse a number of images to draw in one file; 0 for no file."""
    return _parse_int(text, 0, _MAX_DRAWN)


def chunk_size(text: str) -> int:
    """Parse a number of class names per forward pass; -1 means as many as fit."""
    return -1 if text.strip() == "-1" else positive_int(text)


def probability(text: str) -> float:
    """Parse a number from 0 to 1, a score or an IoU."""
    return _parse_float(text, "a number from 0 to 1", 1)


def seconds(text: str) -> float:
    """Parse a time of 0 seconds or more."""
    return _parse_float(text, "a number of seconds, 0 or more", 1e9)


def _parse_int(text: str, low: int, high: int | None = None) -> int:
    digits = text.strip()
    value = int(digits) if digits.isdecimal() and len(digits) <= _MAX_DIGITS else -1
    if value < low or (high is not None and value > high):
        allowed = f"of {low} or more" if high is None else f"from {low} to {high}"
        raise argparse.ArgumentTypeError(f"expected an integer {allowed}, got {shorten(text)}")
    return value


def _parse_float(text: str, what: str, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= high:
        raise argparse.ArgumentTypeError(f"expected {what}, got {shorten(text)}")
    return value
