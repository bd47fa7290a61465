"""LVIS v1: COCO's images, 1203 categories, and not every category looked for in every image."""

from __future__ import annotations

from typing import Any, ClassVar

from glip.datasets.coco import CocoDataset
from glip.registry import DATASETS
from glip.text import load_vocabulary
from glip.utils.errors import AnnotationFileError


@DATASETS.register_module()
class LVISV1Dataset(CocoDataset):
    """LVIS v1 in its own format: train, val, and the minival of MDETR.

    The annotations are federated: an image says in ``neg_category_ids`` which categories are
    certainly absent and in ``not_exhaustive_category_ids`` of which not every object is marked.
    Both are kept in the data info, as category ids of the file.

    Images are found by the end of ``coco_url``, which tells train2017 from val2017, below
    ``data_prefix['img']``; in files without it by ``file_name``.

    The arguments are those of :class:`~glip.datasets.base.BaseDetDataset`.

    Raises:
        glip.datasets.annotation_file.AnnotationFileError: as for
            :class:`~glip.datasets.coco.CocoDataset`.
    """

    METAINFO: ClassVar[dict] = dict(classes=load_vocabulary("lvis"))

    #: Some copies of the annotations clean the names; the ids still tell them apart.
    SAME_ORDER = True

    def parse_image(self, image: dict[str, Any]) -> dict[str, Any]:
        """Turn the file's entry of an image into the data info, without its boxes."""
        return dict(
            **super().parse_image(image),
            neg_category_ids=image.get("neg_category_ids", []),
            not_exhaustive_category_ids=image.get("not_exhaustive_category_ids", []),
        )

    def file_name(self, image: dict[str, Any]) -> str:
        """Return an image's path below ``data_prefix['img']``, for example val2017/1.jpg."""
        if image.get("coco_url"):
            return "/".join(image["coco_url"].split("/")[-2:])
        if image.get("file_name"):
            return image["file_name"]
        raise AnnotationFileError(
            f"image {image['id']} of '{self.ann_file}' has neither 'coco_url' nor 'file_name', so "
            "its file is not known."
        )
