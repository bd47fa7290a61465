"""Captions of a scene, whose phrases are true of exactly the things they name.

"a small red circle left of two blue squares": a phrase has a number, maybe a size and a texture, a
colour and a shape, or only one of these two.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from glip.testing.shapes.scenes import COLORS, SHAPES, SIZES, TEXTURES, Scene, Thing

_NUMBERS = {1: ("a", "the"), 2: ("two",), 3: ("three",), 4: ("four",)}
_MANY = ("several",)
_OPENINGS = ("", "", "", "there is ", "a picture of ", "i see ")
#: What joins two phrases where no relation holds or is wanted.
_JOINS = (" and ", ", ", " with ", " next to ")
#: A relation holds if the centres of all things of the first phrase are this far from all of the
#: second's, in pixels.
_FAR = 8
_RELATIONS: dict[str, Callable[[Thing, Thing], bool]] = {
    " left of ": lambda one, other: one.center[0] + _FAR < other.center[0],
    " right of ": lambda one, other: one.center[0] > other.center[0] + _FAR,
    " above ": lambda one, other: one.center[1] + _FAR < other.center[1],
    " below ": lambda one, other: one.center[1] > other.center[1] + _FAR,
}


@dataclass(frozen=True)
class Phrase:
    """Words of a caption.

    Attributes:
        start, end: its characters.
        things: positions of the things it names.
    """

    start: int
    end: int
    things: tuple[int, ...]


@dataclass(frozen=True)
class _Description:
    words: str
    things: tuple[int, ...]


def class_name(pair: tuple[str, str]) -> str:
    """The name of a class of the detection data, for example ``red circle``."""
    return " ".join(pair)


def write_caption(scene: Scene, rng: random.Random) -> tuple[str, list[Phrase]]:
    """Write a caption of one to four phrases.

    Args:
        scene: with at least one thing.
        rng: the source of chance.

    Returns:
        the caption and its phrases, in order.
    """
    caption, phrases = rng.choice(_OPENINGS), []
    wanted = rng.choices((1, 2, 3, 4), (2, 4, 3, 1))[0]
    named: set[int] = set()
    last: _Description | None = None
    for _ in range(wanted):
        free = [at for at in range(len(scene.things)) if at not in named]
        if not free:
            break
        description = _describe(scene, rng.choice(free), rng)
        if named & set(description.things):
            continue  # a thing is named once, so that each box belongs to one phrase
        if last is not None:
            caption += _join(scene, last, description, rng)
        start = len(caption)
        caption += description.words
        phrases.append(Phrase(start, len(caption), description.things))
        named.update(description.things)
        last = description
    return caption + rng.choice((" .", "")), phrases


def _describe(scene: Scene, index: int, rng: random.Random) -> _Description:
    """Describe a thing, and whatever else the same words are true of."""
    thing = scene.things[index]
    color, shape = rng.choices(((True, True), (False, True), (True, False)), (8, 1, 1))[0]
    size = thing.size if thing.size != "medium" and rng.random() < 0.35 else None
    texture = thing.texture if thing.texture != "plain" and rng.random() < 0.4 else None
    alike = tuple(
        at
        for at, other in enumerate(scene.things)
        if (not color or other.color == thing.color)
        and (not shape or other.shape == thing.shape)
        and size in (None, other.size)
        and texture in (None, other.texture)
    )
    noun = thing.shape if shape else "shape"
    words = [
        rng.choice(_NUMBERS.get(len(alike), _MANY)),
        size or "",
        texture or "",
        thing.color if color else "",
        noun if len(alike) == 1 else plural(noun),
    ]
    words = [word for word in words if word]
    if words[0] == "a" and words[1][0] in "aeiou":
        words[0] = "an"
    return _Description(" ".join(words), alike)


def plural(noun: str) -> str:
    """More than one of a shape."""
    return noun + ("es" if noun == "cross" else "s")


def _join(scene: Scene, last: _Description, new: _Description, rng: random.Random) -> str:
    """Words between two phrases: a relation that holds, or none."""
    holding = [
        words
        for words, holds in _RELATIONS.items()
        if all(holds(scene.things[a], scene.things[b]) for a in last.things for b in new.things)
    ]
    return rng.choice(holding) if holding and rng.random() < 0.6 else rng.choice(_JOINS)


def all_words() -> Iterator[str]:
    """Every word that captions and class names hold."""
    yield from COLORS
    for noun in (*SHAPES, "shape"):
        yield from (noun, plural(noun))
    yield from (name for name in SIZES if name != "medium")
    yield from (name for name in TEXTURES if name != "plain")
    for group in (*_NUMBERS.values(), _MANY, ("an",), _OPENINGS, _JOINS, _RELATIONS):
        for text in group:
            yield from text.replace(",", " , ").split()
    yield "."
