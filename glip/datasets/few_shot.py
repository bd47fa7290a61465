"""Few images of a data set, chosen as in the official few-shot experiments.

The rule is that of microsoft/GLIP (``DATASETS.FEW_SHOT`` and ``DATASETS.SHUFFLE_SEED``). There the
class ``COCODataset`` shuffles by the seed, and ``CocoGrounding``, which its fine-tuning commands
use, does not, whatever the seed: that is seed 0 here. The ODinW challenge distributes its subsets
as files, named by the same seeds; these files are not part of this library and were not compared.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from glip.utils.errors import DataError

#: Shots of the paper and of the ODinW challenge, and the challenge's seeds.
SHOTS = (1, 3, 5, 10)
SEEDS = (3, 30, 300)


def choose_images(
    annotations: Mapping[Any, Sequence[Mapping[str, Any]]], shots: int, seed: int
) -> list[Any]:
    """Choose images until every category has been seen in so many of them.

    Images without a box larger than one pixel on both sides are left out; the others are put in the
    order of their ids, and shuffled if there is a seed. Going through them, an image is taken if it
    shows a category that fewer than ``shots`` of the images taken so far show. A shot is so an
    image, with all its boxes, and common categories get more than their share from images that were
    taken for others. All annotations of an image tell what it shows, crowds too.

    Args:
        annotations: for each image id its annotations, with ``bbox`` (x, y, width, height; pixels)
            and ``category_id``.
        shots: images for each category.
        seed: of the shuffling; 0 to take the images in the order of their ids.

    Returns:
        the ids of the chosen images, in the order of choice.

    Raises:
        DataError: there are no shots, or the ids are of kinds that have no order.
    """
    if shots < 1:
        raise DataError(f"expected 1 shot or more, got {shots}.")
    usable = [key for key, each in annotations.items() if any(map(_has_area, each))]
    try:
        order = sorted(usable)
    except TypeError as error:
        raise DataError(
            f"the image ids cannot be put in an order ({error}): expected numbers only, or texts "
            "only."
        ) from error
    if seed:
        random.Random(seed).shuffle(order)
    shown: Counter = Counter()
    chosen = []
    for key in order:
        categories = {annotation["category_id"] for annotation in annotations[key]}
        if any(shown[category] < shots for category in categories):
            chosen.append(key)
            shown.update(categories)
    return chosen


def _has_area(annotation: Mapping[str, Any]) -> bool:
    width, height = annotation["bbox"][2:]
    return width > 1 and height > 1
