"""What a class file could do better: prompts that help or hurt, and phrases that should compete.

The detections of all phrases are known, so every change is tried on them without the model. To
remove a prompt from a file changes the scores of the others a little, because phrases that stand in
one caption influence each other; that influence is not in these figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from glip.calibration.calibrating import ClassCalibration, LabelledImages
from glip.calibration.matching import MIN_IOU, Outcomes, outcomes_of
from glip.calibration.thresholds import choose
from glip.classes.class_file import ClassFile, LabelClass, normalize
from glip.classes.combining import apply_limits, iou
from glip.classes.results import detect_class

#: Smallest change of the best F1 that is called one.
MIN_CHANGE = 0.005


@dataclass(frozen=True)
class PromptEffect:
    """The effect of a prompt of a class that has several.

    Attributes:
        class_name, prompt: the class and its prompt.
        with_it, without_it: the best F1 of the class.
    """

    class_name: str
    prompt: str
    with_it: float
    without_it: float

    @property
    def verdict(self) -> str:
        """``helps``, ``hurts`` or ``no change``."""
        change = self.with_it - self.without_it
        if abs(change) < MIN_CHANGE:
            return "no change"
        return "helps" if change > 0 else "hurts"


@dataclass(frozen=True)
class Competitor:
    """A class whose prompts should compete with those of another one.

    Attributes:
        class_name: the class that gets competing phrases.
        phrases: the competing phrases, prompts of the other class.
        confused: detections of the class above its threshold on objects of the other class.
        before, after: the best F1 of the class.
    """

    class_name: str
    phrases: tuple[str, ...]
    confused: int
    before: float
    after: float


def prompt_effects(classes: ClassFile, images: LabelledImages) -> list[PromptEffect]:
    """Return the effect of every prompt of the classes with several."""
    effects = []
    for label, each in enumerate(classes.classes):
        if len(each.prompts) == 1:
            continue
        whole = _best_f1(classes, each, images, label)
        for prompt in each.prompts:
            others = tuple(other for other in each.prompts if other != prompt)
            without = _best_f1(classes, replace(each, prompts=others), images, label)
            effects.append(PromptEffect(each.name, prompt, whole, without))
    return effects


def suggest_competitors(
    classes: ClassFile, images: LabelledImages, calibrated: Sequence[ClassCalibration]
) -> list[Competitor]:
    """Return classes that should compete with a class which is confused with them.

    The classes that it is confused with are tried, the most frequent one first; one that improves
    the best F1 is kept.
    """
    suggestions = []
    for label, (each, own) in enumerate(zip(classes.classes, calibrated, strict=True)):
        if own.threshold is None:
            continue
        confused = _count_confused(classes, each, images, label, own.threshold.value)
        best = _best_f1(classes, each, images, label)
        for other in np.argsort(-confused, kind="stable").tolist():
            known = {normalize(phrase) for phrase in (*each.prompts, *each.not_)}
            phrases = tuple(
                phrase
                for phrase in classes.classes[other].prompts
                if normalize(phrase) not in known
            )
            if not confused[other] or not phrases:
                continue
            trial = replace(each, not_=(*each.not_, *phrases))
            after = _best_f1(classes, trial, images, label)
            if after - best >= MIN_CHANGE:
                suggestions.append(
                    Competitor(each.name, phrases, int(confused[other]), best, after)
                )
                each, best = trial, after
    return suggestions


def with_competitors(classes: ClassFile, suggestions: Sequence[Competitor]) -> ClassFile:
    """Return the class file with the suggested competing phrases.

    They are prompts of the file already, so the prompt of the model stays as it is.
    """
    added: dict[str, tuple[str, ...]] = {}
    for each in suggestions:
        added[each.class_name] = (*added.get(each.class_name, ()), *each.phrases)
    return replace(
        classes,
        classes=tuple(
            replace(each, not_=(*each.not_, *added.get(each.name, ()))) for each in classes.classes
        ),
    )


def _best_f1(classes: ClassFile, each: LabelClass, images: LabelledImages, label: int) -> float:
    chosen = choose(_outcomes(classes, each, images, label), None)
    return 0.0 if chosen is None else chosen.measures.f1


def _outcomes(classes: ClassFile, each: LabelClass, images: LabelledImages, label: int) -> Outcomes:
    alone = ClassFile((each,), nms=classes.nms)
    found = []
    for phrases in images.found:
        kept = apply_limits(alone, detect_class(classes, each, phrases), [0.0])
        found.append((kept.boxes, kept.scores))
    return outcomes_of(found, images.truths, label)


def _count_confused(
    classes: ClassFile, each: LabelClass, images: LabelledImages, label: int, threshold: float
) -> np.ndarray:
    """Return (C,), detections of a class on annotated objects of each other class alone."""
    counts = np.zeros(len(classes.classes), dtype=np.int64)
    for phrases, truth in zip(images.found, images.truths, strict=True):
        found = detect_class(classes, each, phrases)
        boxes = found.boxes[found.scores >= threshold]
        overlaps = iou(boxes, truth.boxes) >= MIN_IOU
        wrong = ~overlaps[:, truth.labels == label].any(axis=1)
        for other in range(len(counts)):
            if other != label:
                counts[other] += (overlaps[:, truth.labels == other].any(axis=1) & wrong).sum()
    return counts
