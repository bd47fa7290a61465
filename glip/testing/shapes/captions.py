"""Captions of a scene; each phrase is true of exactly the objects that it names.

"a small red circle left of two blue squares": a phrase has a number, optionally a size and a
texture, and a colour, a shape or both.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from glip.testing.shapes.scenes import COLORS, SHAPES, SIZES, TEXTURES, Scene, SceneObject

_NUMBERS = {1: ("a", "the"), 2: ("two",), 3: ("three",), 4: ("four",)}
_MANY = ("several",)
_OPENINGS = ("", "", "", "there is ", "a picture of ", "i see ")
#: Texts between two phrases without a relation.
_JOINS = (" and ", ", ", " with ", " next to ")
#: A relation holds if each centre of the first phrase is at least this far from each centre of the
#: second one, in pixels.
_MIN_DISTANCE = 8
_RELATIONS: dict[str, Callable[[SceneObject, SceneObject], bool]] = {
    " left of ": lambda one, other: one.center[0] + _MIN_DISTANCE < other.center[0],
    " right of ": lambda one, other: one.center[0] > other.center[0] + _MIN_DISTANCE,
    " above ": lambda one, other: one.center[1] + _MIN_DISTANCE < other.center[1],
    " below ": lambda one, other: one.center[1] > other.center[1] + _MIN_DISTANCE,
}


@dataclass(frozen=True)
class Phrase:
    """A phrase of a caption.

    Attributes:
        start, end: its character span.
        objects: indices of the objects that it names.
    """

    start: int
    end: int
    objects: tuple[int, ...]


@dataclass(frozen=True)
class _Description:
    words: str
    objects: tuple[int, ...]


def class_name(pair: tuple[str, str]) -> str:
    """Return the class name of a pair, for example ``red circle``."""
    return " ".join(pair)


def write_caption(scene: Scene, rng: random.Random) -> tuple[str, list[Phrase]]:
    """Write a caption of one to four phrases.

    Args:
        scene: scene with at least one object.
        rng: random number generator.

    Returns:
        The caption and its phrases, in order.
    """
    caption, phrases = rng.choice(_OPENINGS), []
    wanted = rng.choices((1, 2, 3, 4), (2, 4, 3, 1))[0]
    named: set[int] = set()
    last: _Description | None = None
    for _ in range(wanted):
        free = [at for at in range(len(scene.objects)) if at not in named]
        if not free:
            break
        description = _describe(scene, rng.choice(free), rng)
        if named & set(description.objects):
            continue  # each object is named once, so that its box belongs to one phrase
        if last is not None:
            caption += _join(scene, last, description, rng)
        start = len(caption)
        caption += description.words
        phrases.append(Phrase(start, len(caption), description.objects))
        named.update(description.objects)
        last = description
    return caption + rng.choice((" .", "")), phrases


def _describe(scene: Scene, index: int, rng: random.Random) -> _Description:
    """Describe an object, and all others that the same words describe."""
    item = scene.objects[index]
    color, shape = rng.choices(((True, True), (False, True), (True, False)), (8, 1, 1))[0]
    size = item.size if item.size != "medium" and rng.random() < 0.35 else None
    texture = item.texture if item.texture != "plain" and rng.random() < 0.4 else None
    alike = tuple(
        at
        for at, other in enumerate(scene.objects)
        if (not color or other.color == item.color)
        and (not shape or other.shape == item.shape)
        and size in (None, other.size)
        and texture in (None, other.texture)
    )
    noun = item.shape if shape else "shape"
    words = [
        rng.choice(_NUMBERS.get(len(alike), _MANY)),
        size or "",
        texture or "",
        item.color if color else "",
        noun if len(alike) == 1 else plural(noun),
    ]
    words = [word for word in words if word]
    if words[0] == "a" and words[1][0] in "aeiou":
        words[0] = "an"
    return _Description(" ".join(words), alike)


def plural(noun: str) -> str:
    """Return the plural of a shape."""
    return noun + ("es" if noun == "cross" else "s")


def _join(scene: Scene, last: _Description, new: _Description, rng: random.Random) -> str:
    """Return the text between two phrases: a relation that holds, or none."""
    holding = [
        words
        for words, holds in _RELATIONS.items()
        if all(holds(scene.objects[a], scene.objects[b]) for a in last.objects for b in new.objects)
    ]
    return rng.choice(holding) if holding and rng.random() < 0.6 else rng.choice(_JOINS)


def all_words() -> Iterator[str]:
    """Yield every word of captions and class names."""
    yield from COLORS
    for noun in (*SHAPES, "shape"):
        yield from (noun, plural(noun))
    yield from (name for name in SIZES if name != "medium")
    yield from (name for name in TEXTURES if name != "plain")
    for group in (*_NUMBERS.values(), _MANY, ("an",), _OPENINGS, _JOINS, _RELATIONS):
        for text in group:
            yield from text.replace(",", " , ").split()
    yield "."


def unknown_words(texts: Iterable[str]) -> list[str]:
    """Return the words of texts that the small model was not trained on, each once."""
    known = set(all_words())
    words = re.findall(r"\w+", " ".join(texts).lower())
    return [word for word in dict.fromkeys(words) if word not in known]
