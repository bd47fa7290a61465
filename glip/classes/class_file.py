"""Classes to detect: several prompts per class, competing phrases, thresholds and limits.

Nothing here needs torch, transformers or scikit-learn. ``docs/label.md`` describes the format.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from glip.classes.calibration import Calibration
from glip.text.prompt import Prompt, clean_name, split_class_text
from glip.utils.errors import ClassFileError
from glip.utils.messages import shorten
from glip.utils.options import check_choice, check_int, check_number

#: How the boxes of a class's prompts become one set; see :mod:`glip.classes.combining`.
COMBINE = ("nms", "max", "mean")
#: IoU above which two boxes are of the same object, by default that of GLIP's own NMS.
DEFAULT_NMS = 0.6


@dataclass(frozen=True)
class LabelClass:
    """A class to detect.

    Attributes:
        name: of the class in the output.
        prompts: phrases that the model is prompted with, synonyms of each other; by default the
            name.
        combine: how the boxes of several prompts are combined: ``'nms'`` keeps the best of boxes
            that overlap; ``'max'`` and ``'mean'`` average overlapping boxes, and take the largest
            or the mean score of the prompts.
        threshold: smallest raw score of a box; ``None`` for the file's.
        max: keep at most this number of boxes per image, by score; ``None`` for all.
        not_: competing phrases (``not`` in a file): a box that one of them explains better, that
            is overlaps with a higher score, is dropped.
        min_size: smallest size of a box, the square root of its area, in pixels of the image;
            ``None`` for any.
        max_size: largest size of a box; ``None`` for any.

    Raises:
        ClassFileError: a value is invalid.
    """

    name: str
    prompts: tuple[str, ...] = ()
    combine: str = "nms"
    threshold: float | None = None
    max: int | None = None
    not_: tuple[str, ...] = ()
    min_size: float | None = None
    max_size: float | None = None

    def __post_init__(self) -> None:
        _check_phrase("the class name", self.name, is_prompt=not self.prompts)
        if not self.prompts:
            object.__setattr__(self, "prompts", (self.name,))
        seen: dict[str, str] = {}
        for kind, phrases in (("prompts", self.prompts), ("not", self.not_)):
            for phrase in phrases:
                _check_phrase(kind, phrase, is_prompt=True)
                key = normalize(phrase)
                if key in seen:
                    raise ClassFileError(
                        f"{kind} has {shorten(phrase)}, but {shorten(seen[key])} is there already: "
                        "remove one"
                    )
                seen[key] = phrase
        check_choice("combine", self.combine, COMBINE)
        check_number("threshold", self.threshold, low=0, high=1, none=True)
        check_int("max", self.max, low=1, none=True)
        check_number("min_size", self.min_size, low=0, none=True)
        check_number("max_size", self.max_size, positive=True, none=True)
        if None not in (self.min_size, self.max_size) and self.min_size > self.max_size:  # type: ignore[operator]
            raise ClassFileError(
                f"min_size {self.min_size} is greater than max_size {self.max_size}: swap them"
            )


@dataclass(frozen=True)
class ClassFile:
    """Classes, and what holds for all of them.

    Attributes:
        classes: in the order of the labels.
        threshold: smallest raw score of classes without a threshold; ``None`` for the model's.
        nms: IoU above which two boxes are of the same object.
        class_agnostic: whether of overlapping boxes of different classes only the best is kept.
        calibration: maps scores to probabilities, if the file was calibrated.
        path: the file they were read from, for messages; empty for other sources.
        lines: class name -> its line in the file, for messages.

    Raises:
        ClassFileError: a value is invalid, there is no class, or two classes share a name or a
            prompt.
    """

    classes: tuple[LabelClass, ...]
    threshold: float | None = None
    nms: float = DEFAULT_NMS
    class_agnostic: bool = False
    calibration: Calibration | None = None
    path: str = field(default="", compare=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not self.classes:
            raise ClassFileError(f"{self.path or 'the classes'}: expected at least one class")
        names: dict[str, LabelClass] = {}
        prompts: dict[str, LabelClass] = {}
        for each in self.classes:
            first = names.setdefault(_fold(each.name), each)
            if first is not each:
                raise ClassFileError(
                    f"{self.where(each.name)}: the class {shorten(each.name)} is there already as "
                    f"{self._place(first.name)}: merge them"
                )
            for prompt in each.prompts:
                first = prompts.setdefault(normalize(prompt), each)
                if first is not each:
                    raise ClassFileError(
                        f"{self.where(each.name)}: the class {shorten(each.name)} has the prompt "
                        f"{shorten(prompt)}, which {self._place(first.name)} has too, so a box "
                        "would be of both: give each prompts of its own"
                    )
        check_number("threshold", self.threshold, low=0, high=1, none=True)
        check_number("nms", self.nms, positive=True, high=1)
        if self.calibration is not None:
            maps = (self.calibration.probabilities, self.calibration.presence)
            unknown = [name for each in maps for name in each if name not in self.names]
            if unknown:
                raise ClassFileError(
                    f"{self.path or 'the classes'}: the calibration has probabilities of "
                    f"{shorten(unknown[0])}, which is no class here: calibrate again"
                )

    @property
    def names(self) -> list[str]:
        """Names of the classes; label i is ``names[i]``."""
        return [each.name for each in self.classes]

    @property
    def phrases(self) -> list[str]:
        """All phrases to prompt with, each once: every class's prompts, then what competes."""
        every: dict[str, str] = {}
        # The prompts first: a competing phrase that is a prompt as well does not change the order.
        for phrases in ([each.prompts for each in self.classes], [c.not_ for c in self.classes]):
            for phrase in chain.from_iterable(phrases):
                every.setdefault(normalize(phrase), phrase)
        return list(every.values())

    def thresholds(self, default: float) -> list[float]:
        """Return the threshold of every class.

        Args:
            default: of classes without one, if the file has none either.
        """
        shared = default if self.threshold is None else self.threshold
        return [shared if each.threshold is None else each.threshold for each in self.classes]

    def prompt(self) -> Prompt:
        """Return one prompt of all phrases; label i of it is ``phrases[i]``."""
        return Prompt.from_class_names(self.phrases)

    def where(self, name: str) -> str:
        """Return the file and the line of a class, for a message."""
        line = self.lines.get(name)
        path = self.path or "the class names"
        return f"{path}, line {line}" if line else path

    def scoring_digest(self) -> str:
        """Return a hash of all that changes scores or boxes before any threshold or limit.

        Thresholds, limits and the calibration do not count.
        """
        plain = [(c.name, c.prompts, c.combine, c.not_) for c in self.classes]
        content = json.dumps([plain, self.nms, self.class_agnostic])
        return hashlib.sha256(content.encode()).hexdigest()

    def calibrated_digest(self) -> str:
        """Return a hash of all that a calibration depends on: all but it and the thresholds."""
        limits = [(c.max, c.min_size, c.max_size) for c in self.classes]
        content = json.dumps([self.scoring_digest(), limits])
        return hashlib.sha256(content.encode()).hexdigest()

    def digest(self) -> str:
        """Return a hash of everything that changes the output."""
        limits = [(c.threshold, c.max, c.min_size, c.max_size) for c in self.classes]
        calibration = self.calibration or Calibration()
        maps = [
            [(name, each.isotonic, each.platt) for name, each in sorted(own.items())]
            for own in (calibration.probabilities, calibration.presence)
        ]
        content = json.dumps([self.scoring_digest(), limits, self.threshold, maps])
        return hashlib.sha256(content.encode()).hexdigest()

    def with_default_threshold(self, threshold: float | None) -> ClassFile:
        """Return the same classes with another threshold for classes that have none."""
        return self if threshold is None else replace(self, threshold=threshold)

    def _place(self, name: str) -> str:
        line = self.lines.get(name)
        return shorten(name) + (f" (line {line})" if line else "")


def normalize(phrase: str) -> str:
    """Return what two phrases share that are the same to the model.

    Case, spaces, underscores, parenthesised parts and Unicode's compatibility forms do not count.
    """
    return clean_name(_fold(phrase))


def _fold(name: str) -> str:
    """Return what two names share that a reader takes for the same."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(folded.replace("_", " ").split())


def _check_phrase(kind: str, phrase: str, *, is_prompt: bool) -> None:
    """Check that a phrase can be a class name, or a prompt: a single one, with words in it."""
    if not isinstance(phrase, str):
        raise ClassFileError(f"expected {kind} as a text, got {shorten(phrase)}")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in phrase):
        raise ClassFileError(
            f"{kind} {shorten(phrase)} has a control character or a lone surrogate: remove it"
        )
    if not phrase.strip():
        raise ClassFileError(f"{kind} has an empty text: expected words")
    if not is_prompt:
        return
    if (found := split_class_text(phrase)) and len(found) > 1:
        raise ClassFileError(
            f"{kind} {shorten(phrase)} reads as {len(found)} class names: give each an entry of "
            "its own"
        )
    if phrase.lstrip().startswith("$:"):
        raise ClassFileError(
            f"{kind} {shorten(phrase)}: '$: coco' stands for all class names of a data set only if "
            "it is given instead of a file"
        )
    # BERT's tokenizer drops control and format characters, white space and unassigned code points.
    words = clean_name(phrase)
    if not any(unicodedata.category(char)[0] not in "CZ" for char in words):
        raise ClassFileError(
            f"{kind} {shorten(phrase)} has no word that the model reads: expected a phrase such as "
            "'traffic light' (parenthesised parts are not read)"
        )
