"""Counting what a teacher found; counts of parts add up to those of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

#: Bins of the histogram of scores, from 0 to 1.
NUM_BINS = 50


@dataclass
class Tally:
    """What was labeled, and what was left out.

    Attributes:
        counts: ``pictures``, ``unreadable`` ones among them, ``captions``, ``lines`` written,
            ``phrases`` and ``boxes`` in them.
        left_out: captions without a line, by reason.
        phrases: of each caption that the teacher was asked about; number -> captions.
        boxes: kept for each phrase that the teacher was asked about; number -> phrases.
        scores: of all boxes of the teacher, also those below the threshold; bin -> boxes.
    """

    counts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    phrases: Counter[int] = field(default_factory=Counter)
    boxes: Counter[int] = field(default_factory=Counter)
    scores: Counter[int] = field(default_factory=Counter)

    def add_scores(self, scores: Iterable[float]) -> None:
        """Count scores from 0 to 1."""
        self.scores.update(min(int(score * NUM_BINS), NUM_BINS - 1) for score in scores)

    def update(self, other: Tally) -> None:
        """Add the counts of another part."""
        for name in _NAMES:
            getattr(self, name).update(getattr(other, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON holds them, in an order that does not depend on the parts'."""
        return {
            name: {str(key): count for key, count in sorted(getattr(self, name).items())}
            for name in _NAMES
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Tally:
        """Read what :meth:`to_dict` returned."""
        parts = {name: Counter(content[name]) for name in _NAMES}
        for name in ("phrases", "boxes", "scores"):
            parts[name] = Counter({int(key): count for key, count in parts[name].items()})
        return cls(**parts)


_NAMES = ("counts", "left_out", "phrases", "boxes", "scores")
