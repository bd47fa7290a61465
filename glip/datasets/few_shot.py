"""Choose few-shot subsets as in the official few-shot experiments.

The rule is that of microsoft/GLIP (``DATASETS.FEW_SHOT`` and ``DATASETS.SHUFFLE_SEED``). There the
class ``COCODataset`` shuffles by the seed; ``CocoGrounding``, which the fine-tuning commands use,
does not shuffle for any seed, which is seed 0 here. The ODinW challenge publishes its subsets as
files named by the same seeds; the files are not part of this library and were not compared.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from glip.datasets.annotation_values import id_order
from glip.utils.errors import DataError

#: Shots of the paper and of the ODinW challenge, and the seeds of the challenge.
SHOTS = (1, 3, 5, 10)
SEEDS = (3, 30, 300)


def choose_images(
    annotations: Mapping[Any, Sequence[Mapping[str, Any]]], shots: int, seed: int
) -> list[Any]:
    """Choose images until every category occurs in ``shots`` of them.

    Images without a box larger than one pixel on both sides are excluded. The others are sorted by
    id (numbers before texts) and, with a seed, shuffled. In this order, an image is chosen if it
    has a category that fewer than ``shots`` of the images chosen before have. A shot is therefore
    an image with all its boxes, and a common category gets more than ``shots`` images, from those
    chosen for others. All
    annotations of an image count, crowds too.

    Args:
        annotations: The annotations of each image, by image id, with ``bbox`` (x, y, width, height
            in pixels) and ``category_id``.
        shots: Number of images per category.
        seed: Seed of the shuffle; 0 keeps the order of the ids.

    Returns:
        The ids of the chosen images, in the order of choice.

    Raises:
        DataError: ``shots`` is not positive.
    """
    if shots < 1:
        raise DataError(f"expected 1 shot or more, got {shots}.")
    candidates = [image_id for image_id, each in annotations.items() if any(map(_has_area, each))]
    order = sorted(candidates, key=id_order)
    if seed:
        random.Random(seed).shuffle(order)
    counts: Counter = Counter()  # chosen images per category
    chosen = []
    for image_id in order:
        categories = {annotation["category_id"] for annotation in annotations[image_id]}
        if any(counts[category] < shots for category in categories):
            chosen.append(image_id)
            counts.update(categories)
    return chosen


def _has_area(annotation: Mapping[str, Any]) -> bool:
    width, height = annotation["bbox"][2:]
    return width > 1 and height > 1
