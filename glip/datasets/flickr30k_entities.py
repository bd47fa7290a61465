"""Read the original annotations of Flickr30k Entities, which have the type of each phrase.

A release has ``Sentences/<image>.txt``, five captions per image with marked phrases such as
``[/EN#283585/people A little girl]``, and ``Annotations/<image>.xml``, the boxes of each entity.
Spans count the characters of the caption without markup, which is the caption of MDETR's files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from glip.utils.errors import AnnotationFileNotFoundError

_PHRASE = re.compile(r"\[/EN#(\d+)((?:/[^\s/\]]+)*) ([^\]]*)\]")

Span = tuple[int, int]


@dataclass(frozen=True)
class Mention:
    """A marked phrase of a caption.

    Attributes:
        span: Character span in the caption, half-open.
        entity: Id of the entity; several phrases may mention the same one.
        types: Types of the entity: people, clothing, bodyparts, animals, vehicles, instruments,
            scene, other.
    """

    span: Span
    entity: str
    types: tuple[str, ...]


def parse_sentence(line: str) -> tuple[str, tuple[Mention, ...]]:
    """Parse a marked caption.

    Returns:
        The caption without markup, with single spaces between its words, and its phrases.

    Example:
        >>> parse_sentence("[/EN#1/people A girl] runs .")
        ('A girl runs .', (Mention(span=(0, 6), entity='1', types=('people',)),))
    """
    line = " ".join(line.split())
    caption, mentions, done = "", [], 0
    for match in _PHRASE.finditer(line):
        caption += line[done : match.start()]
        entity, types, words = match.groups()
        span = (len(caption), len(caption) + len(words))
        mentions.append(Mention(span, entity, tuple(types.split("/")[1:])))
        caption += words
        done = match.end()
    return caption + line[done:], tuple(mentions)


@dataclass(frozen=True)
class Flickr30kEntities:
    """A release of Flickr30k Entities in a folder.

    Attributes:
        root: The folder of ``Sentences`` and ``Annotations``.

    Raises:
        AnnotationFileNotFoundError: One of them does not exist.
    """

    root: Path

    def __post_init__(self) -> None:
        for name in ("Sentences", "Annotations"):
            if not (self.root / name).is_dir():
                raise AnnotationFileNotFoundError(
                    f"'{self.root}' has no folder '{name}': expected a release of Flickr30k "
                    "Entities with Sentences/ and Annotations/ (unpack annotations.zip of "
                    "github.com/BryanPlummer/flickr30k_entities)."
                )

    def mentions(self, image: str, sentence: int) -> dict[Span, Mention]:
        """Return the phrases of a caption by their spans.

        Args:
            image: Id of the image, without ``.jpg``.
            sentence: Index of the caption, from 0.
        """
        captions = _sentences(self.root / "Sentences" / f"{image}.txt")
        return {mention.span: mention for mention in captions[sentence][1]}

    def boxes(self, image: str) -> dict[str, list[list[float]]]:
        """Return the boxes of each entity of an image, xyxy in pixels as in the file."""
        return _boxes(self.root / "Annotations" / f"{image}.xml")


@lru_cache(maxsize=16)  # the captions of an image are read consecutively
def _sentences(path: Path) -> tuple[tuple[str, tuple[Mention, ...]], ...]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(parse_sentence(line) for line in lines if line.strip())


@lru_cache(maxsize=16)
def _boxes(path: Path) -> dict[str, list[list[float]]]:
    boxes: dict[str, list[list[float]]] = {}
    for element in ElementTree.parse(path).getroot().iter("object"):
        corners = element.find("bndbox")
        if corners is None:
            continue
        box = [float(corners.findtext(side, "nan")) for side in ("xmin", "ymin", "xmax", "ymax")]
        for name in element.iter("name"):
            boxes.setdefault(name.text or "", []).append(box)
    return boxes
