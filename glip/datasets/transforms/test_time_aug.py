"""Several views of an image for test-time augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from mmcv.transforms import Compose
from mmcv.transforms import TestTimeAug as MMCVTestTimeAug

from glip.registry import TRANSFORMS, build_part
from glip.utils.errors import ConfigError
from glip.utils.messages import shorten


@TRANSFORMS.register_module()
class TestTimeAug(MMCVTestTimeAug):
    """Make the views of an image that :class:`~glip.models.DetTTAModel` merges.

    mmcv's transform, whose steps are searched for in GLIP's registry first, whatever the default
    scope. With two resizes and two flips an image has four views: ``inputs`` and ``data_samples``
    are lists of four.

    Args:
        transforms: groups of alternative steps; a view takes one step of each group. The last group
            is ``[dict(type='PackDetInputs')]``.

    Raises:
        ConfigError: it is no list of lists of steps, or a group is empty.
    """

    def __init__(self, transforms: Sequence[Sequence[dict]]) -> None:
        groups = []
        for number, group in enumerate(transforms):
            if not isinstance(group, Sequence) or isinstance(group, str) or not group:
                raise ConfigError(
                    "expected transforms of TestTimeAug as lists of alternative steps, "
                    f"[[dict(type='Resize', ...), ...], ...], got {shorten(group)}"
                )
            place = f"TestTimeAug.transforms.{number}"
            groups.append(
                [
                    build_part(TRANSFORMS, step, f"{place}.{index}")
                    if isinstance(step, Mapping) or not callable(step)
                    else step
                    for index, step in enumerate(group)
                ]
            )
        self.subroutines = [Compose(list(steps)) for steps in product(*groups)]
