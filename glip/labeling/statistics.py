"""Counts of a labeling run; the counts of its parts add up to those of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from glip.utils.options import check_int

#: Bins of the histogram of scores, from 0 to 1.
NUM_BINS = 50

#: Key in the stored JSON -> attribute. The keys are part of the report's format.
_FIELDS = dict(
    counts="counts", left_out="excluded", phrases="phrases", boxes="boxes", scores="scores"
)


@dataclass
class Statistics:
    """Counts of what was labeled and excluded.

    Attributes:
        counts: ``pictures`` (images), ``unreadable`` ones among them, ``captions``, ``lines``
            (records) written, ``phrases`` and ``boxes`` in them.
        excluded: captions without a record, by reason.
        phrases: number of phrases of a caption that was grounded -> captions.
        boxes: number of boxes kept for a phrase that was grounded -> phrases.
        scores: bin of the score -> boxes that the teacher returned, kept or not.
    """

    counts: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    phrases: Counter[int] = field(default_factory=Counter)
    boxes: Counter[int] = field(default_factory=Counter)
    scores: Counter[int] = field(default_factory=Counter)

    def add_scores(self, scores: Iterable[float]) -> None:
        """Count scores from 0 to 1."""
        self.scores.update(min(int(score * NUM_BINS), NUM_BINS - 1) for score in scores)

    def update(self, other: Statistics) -> None:
        """Add the counts of another part."""
        for name in _FIELDS.values():
            getattr(self, name).update(getattr(other, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts for JSON, sorted, so that their order does not depend on the parts."""
        return {
            key: {str(each): count for each, count in sorted(getattr(self, name).items())}
            for key, name in _FIELDS.items()
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Statistics:
        """Restore what :meth:`to_dict` returned.

        Raises:
            ValueError: a count is no integer of 0 or more.
        """
        for key in _FIELDS:
            for count in content[key].values():
                check_int(key, count, low=0)
        counters: dict[str, Counter] = {
            name: Counter(content[key]) for key, name in _FIELDS.items()
        }
        for name in ("phrases", "boxes", "scores"):
            counters[name] = Counter({int(key): count for key, count in counters[name].items()})
        return cls(**counters)
