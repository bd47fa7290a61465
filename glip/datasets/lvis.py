"""LVIS v1: COCO's images with 1203 categories and federated annotations."""

from __future__ import annotations

from typing import Any, ClassVar

from glip.datasets.annotation_file import require
from glip.datasets.coco import CocoDataset
from glip.registry import DATASETS
from glip.text import load_vocabulary
from glip.utils.errors import AnnotationFileError
from glip.utils.messages import shorten


@DATASETS.register_module()
class LVISV1Dataset(CocoDataset):
    """LVIS v1 in its own format: train, val, and the minival split of MDETR.

    The annotations are federated: of an image, ``neg_category_ids`` are the categories that are
    verified to be absent, and ``not_exhaustive_category_ids`` those of which not every object is
    annotated. Both are in the data info, as category ids of the file.

    The image path below ``data_prefix['img']`` is the end of ``coco_url`` (``val2017/1.jpg``), or
    ``file_name`` in files without it.

    The arguments are those of :class:`~glip.datasets.base.BaseDetDataset`.

    Raises:
        AnnotationFileError: As for :class:`~glip.datasets.coco.CocoDataset`.
    """

    METAINFO: ClassVar[dict] = dict(classes=load_vocabulary("lvis"))

    #: Some copies of the annotations have cleaned names; the order of the ids is the same.
    SAME_ORDER = True

    def parse_image(self, image: dict[str, Any]) -> dict[str, Any]:
        """Return the data info of an image's entry in the file, without its boxes."""
        return dict(
            **super().parse_image(image),
            neg_category_ids=image.get("neg_category_ids", []),
            not_exhaustive_category_ids=image.get("not_exhaustive_category_ids", []),
        )

    def file_name(self, image: dict[str, Any]) -> str:
        """Return an image's path below ``data_prefix['img']``."""
        if image.get("coco_url"):
            return "/".join(require(image, "coco_url", self.ann_file).split("/")[-2:])
        if image.get("file_name"):
            return require(image, "file_name", self.ann_file)
        raise AnnotationFileError(
            f"image {shorten(image['id'])} of '{self.ann_file}' has neither 'coco_url' nor "
            "'file_name'; add one of them."
        )
