"""Base class of detection data sets: prompts, checks, and images that cannot be read."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger, print_log
from mmengine.structures import InstanceData

from glip.datasets.annotation_file import check_exists
from glip.datasets.categories import check_classes, check_metainfo
from glip.datasets.empty_pipeline import explain_empty, explain_failure
from glip.datasets.image_sizes import check_sizes
from glip.registry import TRANSFORMS
from glip.structures import DetDataSample
from glip.text import Prompt
from glip.text.reading import warn_doubtful
from glip.text.validation import check_descriptions
from glip.utils.component_ranges import check_filter
from glip.utils.errors import (
    AnnotationFileError,
    DataError,
    GLIPError,
    ImageReadError,
    foreign_cause,
)
from glip.utils.messages import shorten

#: Side in pixels of the black image that replaces one that cannot be read.
PLACEHOLDER_SIDE = 32

#: At most this many paths are checked when the first image cannot be read.
_CHECKED_PATHS = 1000


class BaseDetDataset(BaseDataset):
    """A data set of images with boxes and a prompt.

    Subclasses implement ``load_data_list``, which returns for each image a dictionary with
    ``img_id``, ``img_path``, ``height``, ``width`` and ``instances`` (``bbox``, xyxy pixels;
    ``bbox_label``, from 0; ``ignore_flag``).

    **Images that cannot be read.** In testing, a missing or damaged image is replaced by a black
    image of 32 x 32 pixels, and its data sample has ``unreadable=True``. The metrics then drop its
    detections, so it counts as an image without detections. In training, another image is sampled.
    Both log a warning, and ``max_unreadable`` sets a limit. When a worker process meets the first
    unreadable image, it checks whether the others exist (up to 1000 of them, evenly spaced), so
    that a wrong image folder is one error and not thousands of warnings.

    Args:
        ann_file: the annotation file, relative to ``data_root`` if it is not absolute.
        metainfo: ``classes``, the names of the labels, and other facts about the data.
        data_root: the root folder of all paths.
        data_prefix: ``img``, the folder of the images, relative to ``data_root``.
        filter_cfg: which images to exclude from training: ``filter_empty_gt`` and ``min_size``;
            subclasses define their meaning.
        indices: use only the first ``indices`` images, or those at these indices.
        serialize_data: keep the annotations as bytes, which worker processes share.
        pipeline: the transforms, as configs or objects; names are GLIP's transforms first. A
            transform that needs other images of the data set has a method ``use_dataset``, which is
            called with the data set.
        test_mode: read for evaluation: no image is excluded or replaced by another.
        lazy_init: read the annotations on first use.
        max_refetch: other images to try, in training, when one cannot be used.
        backend_args: mmengine's file backend of the annotation file.
        return_classes: use the class names as the prompt, ``text``.
        caption_prompt: for some class names another wording in the prompt (``prefix``, ``name``,
            ``suffix``).
        max_unreadable: limit of unreadable images: a fraction of all (a float) or a number (an
            int).

    Raises:
        DataError: the arguments contradict each other.
        ConfigError: ``filter_cfg`` has an unknown key or an invalid value.
        PromptError: ``caption_prompt`` is malformed.
        glip.utils.errors.AnnotationFileError: the annotation file does not exist or is invalid, or
            no image is left.
    """

    _fully_initialized: bool

    def __init__(
        self,
        ann_file: str = "",
        metainfo: dict | None = None,
        data_root: str = "",
        data_prefix: dict[str, str] | None = None,
        filter_cfg: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
        backend_args: dict | None = None,
        return_classes: bool = True,
        caption_prompt: dict[str, dict[str, str]] | None = None,
        max_unreadable: float = 0.5,
    ) -> None:
        if caption_prompt is not None and not return_classes:
            raise DataError(
                "caption_prompt sets the wording of class names in the prompt, but with "
                "return_classes=False there is no prompt; set return_classes=True"
            )
        check_metainfo(metainfo)
        check_filter(f"{type(self).__name__}.filter_cfg", filter_cfg)
        self.backend_args = backend_args
        self.return_classes = return_classes
        self.caption_prompt = (
            None if caption_prompt is None else _plain_dicts(check_descriptions(caption_prompt))
        )
        self.max_unreadable = max_unreadable
        self._unreadable: set[str] = set()
        self._checked_sizes = False
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(data_prefix) if data_prefix else dict(img=""),
            filter_cfg=filter_cfg,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=[TRANSFORMS.build(t) if isinstance(t, dict) else t for t in pipeline],
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )
        for step in self.pipeline.transforms:
            if hasattr(step, "use_dataset"):
                step.use_dataset(self)

    @property
    def metainfo(self) -> dict:
        """The meta information of the data set; in testing with ``ann_file``, for the metric."""
        known = super().metainfo
        return {**known, "ann_file": self.ann_file} if self.test_mode else known

    def full_init(self) -> None:
        """Read and filter the annotations, and check that an image is left."""
        if self._fully_initialized:
            return
        if "classes" in self._metainfo:
            self._metainfo["classes"] = check_classes(self._metainfo["classes"])
            unknown = sorted(set(self.caption_prompt or ()) - set(self._metainfo["classes"]))
            if unknown:
                raise DataError(
                    f"caption_prompt has the names {unknown}, which are not among the classes "
                    f"{self._metainfo['classes']}"
                )
        self._check_ann_file()
        self.data_list = self.load_data_list()
        number = len(self.data_list)
        self.data_list = self.filter_data()
        if self._indices is not None:
            self._check_indices()
            self.data_list = self._get_unserialized_subset(self._indices)
        self._check_not_empty(number)
        if self.return_classes and self._metainfo.get("classes"):
            prompt = Prompt.from_class_names(self._metainfo["classes"], allow_blank=True)
            # A data set may have numbers as names, and a name of two categories.
            kinds = ("numbers", "duplicates")
            warn_doubtful([prompt], logger=MMLogger.get_current_instance(), without=kinds)
        if self.serialize_data:
            self.data_bytes, self.data_address = self._serialize_data()
        self._fully_initialized = True

    def _check_indices(self) -> None:
        indices: Any = self._indices
        if isinstance(indices, Sequence):
            number = len(self.data_list)
            outside = [each for each in indices if not -number <= each < number]
            if outside:
                raise DataError(
                    f"expected indices below the number of images of '{self.ann_file}', {number}, "
                    f"got {shorten(outside[0])}"
                )

    def _check_ann_file(self) -> None:
        check_exists(self.ann_file, self.backend_args)

    def _check_not_empty(self, number: int) -> None:
        if self.data_list:
            return
        cause = ""
        if self.filter_cfg and not self.test_mode:
            cause += f" after filter_cfg={self.filter_cfg}"
        if self._indices is not None:
            cause += f" after indices={self._indices}"
        advice = "check that this is the right file and that its 'images' are not empty"
        if number and cause:
            advice = "relax what excludes them, or correct the annotations"
        raise AnnotationFileError(
            f"the data set is empty: none of the {number} images of '{self.ann_file}' is left"
            f"{cause}; {advice}"
        )

    def __getitem__(self, idx: int) -> Any:
        """Return an image after the pipeline; in training another one if that is None.

        Raises:
            DataError: the pipeline returned None ``max_refetch`` + 1 times in a row.
        """
        if self.test_mode or not self._fully_initialized:
            return super().__getitem__(idx)
        for _ in range(self.max_refetch + 1):
            data = self.prepare_data(idx)
            if data is not None:
                return data
            idx = self._rand_another()
        raise DataError(explain_empty(self, self.max_refetch + 1))

    def get_data_info(self, idx: int) -> dict:
        """Return an image's annotations and its prompt."""
        info = super().get_data_info(idx)
        if self.return_classes and "text" not in info:
            # Not in the stored list, where a thousand names per image would take gigabytes.
            info["text"] = self._metainfo["classes"]
            info["custom_entities"] = True
            info["caption_prompt"] = self.caption_prompt
        return info

    def get_image_size(self, idx: int) -> tuple[int, int]:
        """Return width and height of an image in pixels, 0 if the annotations lack them."""
        info = super().get_data_info(idx)
        return info.get("width", 0), info.get("height", 0)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of an image's objects, for mmengine's ``ClassBalancedDataset``."""
        return [instance["bbox_label"] for instance in self.get_data_info(idx)["instances"]]

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on an image; see the class for one that cannot be read."""
        info = self.get_data_info(idx)
        stated = info.get("height") or 0, info.get("width") or 0
        problem = None
        try:
            data = self.pipeline(info)
        except ImageReadError as error:
            data, problem = None, str(error)
        except (GLIPError, MemoryError):
            raise
        except Exception as error:  # a step can be anyone's
            raise explain_failure(self, info, error) from foreign_cause(error)
        if data is None and problem is None and self.test_mode:
            problem = f"the pipeline returned nothing for the image '{info['img_path']}'."
        if problem is not None:
            self._note_unreadable(info["img_path"], problem)
        if data is None and self.test_mode:
            return _placeholder(info)
        if all(stated) and info.get("ori_shape", stated) != stated and problem is None:
            self._note_size(info["img_path"], tuple(info["ori_shape"][:2]), stated)
        return data

    def _note_size(self, path: str, size: tuple[int, int], stated: tuple[int, int]) -> None:
        """Report, once, that images have another size than the annotations say.

        Raises:
            AnnotationFileError: Most of them have.
        """
        if self._checked_sizes or size == stated:
            return
        self._checked_sizes = True
        infos = [self.get_data_info(idx) for idx in range(0, len(self), len(self) // 200 or 1)]
        sizes = [(info["img_path"], (info["height"], info["width"])) for info in infos]
        check_sizes(sizes, (path, size, stated), self.ann_file)

    def _note_unreadable(self, path: str, problem: str) -> None:
        """Log an image that cannot be read, and raise an error if there are too many."""
        if path in self._unreadable:  # counted in an earlier epoch
            return
        self._unreadable.add(path)
        count = len(self._unreadable)
        if count == 1:
            self._check_images_exist(path)
        if count <= 10:
            instead = "It counts as an image without detections."
            if not self.test_mode:
                instead = "Another image is used instead."
            print_log(f"{problem} {instead}", logger="current", level=logging.WARNING)
        if count > self._allowed(len(self)):
            raise ImageReadError(
                f"{count} of the {len(self)} images of '{self.ann_file}' cannot be read, the last "
                f"of them '{path}': {problem} Repair them, or raise max_unreadable "
                f"({self.max_unreadable})."
            )

    def _check_images_exist(self, path: str) -> None:
        """Raise an error if too many image files do not exist, where they are local."""
        if "://" in path or self.backend_args:
            return
        step = max(len(self) // _CHECKED_PATHS, 1)
        paths = [self.get_data_info(idx)["img_path"] for idx in range(0, len(self), step)]
        missing = [each for each in paths if not os.path.isfile(each)]
        if len(missing) > self._allowed(len(paths)):
            raise ImageReadError(
                f"{len(missing)} of {len(paths)} images of '{self.ann_file}' that were checked "
                f"do not exist, for example {shorten(missing[0], 200)}; check data_root and "
                f"data_prefix (img={self.data_prefix.get('img')!r}), or raise max_unreadable "
                f"({self.max_unreadable})."
            )

    def _allowed(self, images: int) -> float:
        """Return how many of ``images`` images may be unreadable."""
        if isinstance(self.max_unreadable, int):
            return self.max_unreadable * images / len(self)
        return self.max_unreadable * images


def _placeholder(info: dict) -> dict:
    """Return a black image for one that cannot be read, packed as PackDetInputs does."""
    side = PLACEHOLDER_SIDE
    facts = dict(
        ori_shape=(info.get("height") or side, info.get("width") or side),
        img_shape=(side, side),
        scale_factor=(1.0, 1.0),
        unreadable=True,
    )
    sample = DetDataSample.from_results({**info, **facts}, ["unreadable"])
    instances = [each for each in info.get("instances", ()) if not each.get("ignore_flag")]
    boxes = [instance["bbox"] for instance in instances]
    labels = [instance["bbox_label"] for instance in instances]
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
    )
    sample.ignored_instances = InstanceData()
    return dict(inputs=torch.zeros(3, side, side, dtype=torch.uint8), data_samples=sample)


def _plain_dicts(mapping: Any) -> dict:
    """Convert mmengine's config dictionaries to plain ones, which have small pickles."""
    return {key: dict(value) for key, value in mapping.items()}
