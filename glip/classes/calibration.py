"""The calibration of a class file: from raw scores to probabilities, and what it is valid for."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from glip.utils.errors import ClassFileError


@dataclass(frozen=True)
class ScoreMap:
    """A monotonic function from a raw score to the probability that a detection is right.

    Exactly one of the two is given.

    Attributes:
        isotonic: points (score, probability), scores ascending, probabilities not descending; the
            function is linear between them and constant outside.
        platt: (a, b) of ``1 / (1 + exp(-(a * score + b)))``, with a >= 0.

    Raises:
        ClassFileError: it is something else.
    """

    isotonic: tuple[tuple[float, float], ...] = ()
    platt: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if bool(self.isotonic) == (self.platt is not None):
            raise ClassFileError("expected either isotonic or platt")
        if self.platt is not None:
            if not all(map(math.isfinite, self.platt)) or self.platt[0] < 0:
                raise ClassFileError("expected platt as two finite numbers [a, b] with a >= 0")
            return
        scores = [score for score, _ in self.isotonic]
        probabilities = [probability for _, probability in self.isotonic]
        in_range = all(0 <= each <= 1 for each in (*scores, *probabilities))
        ascending = all(low < high for low, high in pairwise(scores))
        if not in_range or not ascending or probabilities != sorted(probabilities):
            raise ClassFileError(
                "expected isotonic as points [score, probability] from 0 to 1, scores ascending "
                "and probabilities not descending"
            )

    def __call__(self, score: float) -> float:
        """Return the probability of a raw score."""
        if self.platt is not None:
            a, b = self.platt
            exponent = min(max(-(a * score + b), -700.0), 700.0)  # exp overflows above 709
            return 1 / (1 + math.exp(exponent))
        at = bisect_right(self.isotonic, (score, math.inf))
        if at == 0:
            return self.isotonic[0][1]
        if at == len(self.isotonic):
            return self.isotonic[-1][1]
        (x0, y0), (x1, y1) = self.isotonic[at - 1 : at + 1]
        return y0 + (y1 - y0) * (score - x0) / (x1 - x0)


@dataclass(frozen=True)
class Calibration:
    """The calibration of a class file.

    Attributes:
        binding: what the scores depend on, as names and values: weights, prompts, chunking, scale
            of the images. Elsewhere the calibration is not valid.
        probabilities: class name -> its function of a detection's score; a class may have none.
        presence: class name -> its function of the class's presence in an image: the probability
            that an object of the class is in it.
    """

    binding: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    probabilities: Mapping[str, ScoreMap] = field(default_factory=dict)
    presence: Mapping[str, ScoreMap] = field(default_factory=dict)

    def difference(self, binding: Mapping[str, str | int | float | bool | None]) -> str:
        """Return what differs from another binding, as ``'weights and image scale'``; or ''."""
        names = dict.fromkeys([*self.binding, *binding])
        other = [name for name in names if self.binding.get(name) != binding.get(name)]
        return " and ".join([", ".join(other[:-1]), other[-1]] if len(other) > 1 else other)
