"""Class names of well-known data sets, to prompt with all of them at once.

Each list is a text file in ``vocabularies/`` with one name per line, in the order of the category
ids. A new file there is a new vocabulary.
"""

import re
from functools import lru_cache
from importlib import resources

from glip.utils.errors import PromptError
from glip.utils.messages import shorten, suggest

_SHORTHAND = re.compile(r"\s*\$:(.*)", re.DOTALL)
#: Nearly the shorthand: '$ coco', '$coco', '$; coco', '$\uff1acoco'.
_NEARLY = re.compile(r"\s*\$[\s;=.,\uff1a]*(\w+)\s*\.?\s*")


@lru_cache
def list_vocabularies() -> tuple[str, ...]:
    """List the names that :func:`load_vocabulary` takes, in alphabetical order."""
    files = resources.files(__package__).joinpath("vocabularies").iterdir()
    return tuple(sorted(f.name.removesuffix(".txt") for f in files if f.name.endswith(".txt")))


def load_vocabulary(name: str) -> tuple[str, ...]:
    """Load the class names of a data set.

    Args:
        name: ``'coco'`` (80 names) or ``'lvis'`` (the 1203 names of LVIS v1, as its annotations
            write them: ``'aerosol_can'``, ``'bat_(animal)'``).

    Returns:
        The names in the order of their category ids.

    Raises:
        PromptError: If there is no such vocabulary.

    Example:
        >>> load_vocabulary("coco")[:3]
        ('person', 'bicycle', 'car')
    """
    if name not in list_vocabularies():
        raise PromptError(
            f"expected a vocabulary out of {list_vocabularies()}, got {shorten(name)}"
        )
    return _read_vocabulary(name)


@lru_cache
def _read_vocabulary(name: str) -> tuple[str, ...]:
    file = resources.files(__package__).joinpath("vocabularies").joinpath(f"{name}.txt")
    return tuple(file.read_text(encoding="utf-8").splitlines())


def parse_vocabulary_shorthand(text: str) -> str | None:
    """Parse the shorthand for all class names of a data set.

    Args:
        text: A prompt. ``'$: coco'`` is a shorthand; space and case in it do not matter.

    Returns:
        The vocabulary's name, or None if the prompt does not begin with ``$:``.

    Raises:
        PromptError: If what follows ``$:`` is not a vocabulary, or the colon is missing before
            one.

    Example:
        >>> parse_vocabulary_shorthand("$: coco")
        'coco'
        >>> parse_vocabulary_shorthand("a dog and a cat") is None
        True
    """
    match = _SHORTHAND.match(text)
    if match is None:
        nearly = _NEARLY.fullmatch(text[:100])
        if nearly is not None and nearly[1].lower() in list_vocabularies():
            raise PromptError(
                f"got the prompt {shorten(text)}: for all class names of the data set write "
                f"'$: {nearly[1].lower()}'"
            )
        return None
    name = match.group(1).strip().lower()
    if name not in list_vocabularies():
        raise PromptError(
            f"expected '$: ' and a vocabulary out of {list_vocabularies()}, got {shorten(text)}; "
            f"{suggest(name, list_vocabularies())}"
        )
    return name
