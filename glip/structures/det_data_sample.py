"""One image's annotations, prompt and predictions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.structures import BaseDataElement, InstanceData

from glip.structures import export
from glip.text.parse import PROMPT_FIELDS, parse_prompt_fields
from glip.text.prompt import Prompt
from glip.utils.errors import PromptError

if TYPE_CHECKING:
    import numpy as np
    import pandas
    import PIL.Image
    import supervision

#: Meta information that every sample keeps if the data set gives it: what the model, the metrics
#: and the visualizer read.
META_KEYS = (
    "img_id",
    "img_path",
    "ori_shape",
    "img_shape",
    "scale_factor",
    "flip",
    "flip_direction",
    *PROMPT_FIELDS,
    "phrases",
    "phrase_ids",
    "phrase_types",
    "phrase_boxes",
    "dataset_mode",
)


class DetDataSample(BaseDataElement):
    """One image's annotations (``gt_instances``), ``prompt`` and detections (``pred_instances``).

    Annotations and detections are :class:`mmengine.structures.InstanceData`. With G annotated and K
    predicted boxes:

    - ``gt_instances``: ``bboxes`` (G, 4) and ``labels`` (G,);
    - ``pred_instances``: ``bboxes`` (K, 4), ``scores`` (K,), ``labels`` (K,) and
      ``label_names``, a list of K phrases; best score first;
    - ``presence``, for each of the P phrases of the prompt: ``scores`` (P,) and ``label_names``.

    Boxes are xyxy pixels, the predicted ones in the original image; labels are 0-based indices of
    the prompt's phrases. The meta information describes the image (``img_path``, ``ori_shape``,
    ``img_shape``, ``scale_factor``) and holds the prompt as the data set wrote it (``text``,
    ``custom_entities``, ``tokens_positive``, ``caption_prompt``).
    """

    @property
    def prompt(self) -> Prompt:
        """What to detect in the image."""
        return self._prompt

    @prompt.setter
    def prompt(self, value: Prompt) -> None:
        self.set_field(value, "_prompt", dtype=Prompt)

    @prompt.deleter
    def prompt(self) -> None:
        del self._prompt

    @property
    def gt_instances(self) -> InstanceData:
        """The annotated boxes."""
        return self._gt_instances

    @gt_instances.setter
    def gt_instances(self, value: InstanceData) -> None:
        self.set_field(value, "_gt_instances", dtype=InstanceData)

    @gt_instances.deleter
    def gt_instances(self) -> None:
        del self._gt_instances

    @property
    def ignored_instances(self) -> InstanceData:
        """Annotated boxes whose detections count neither as true nor as false (crowds)."""
        return self._ignored_instances

    @ignored_instances.setter
    def ignored_instances(self, value: InstanceData) -> None:
        self.set_field(value, "_ignored_instances", dtype=InstanceData)

    @ignored_instances.deleter
    def ignored_instances(self) -> None:
        del self._ignored_instances

    @property
    def pred_instances(self) -> InstanceData:
        """The detected boxes."""
        return self._pred_instances

    @pred_instances.setter
    def pred_instances(self, value: InstanceData) -> None:
        self.set_field(value, "_pred_instances", dtype=InstanceData)

    @pred_instances.deleter
    def pred_instances(self) -> None:
        del self._pred_instances

    @property
    def presence(self) -> InstanceData:
        """How well each phrase of the prompt is found in the image, whether it has a box or not.

        ``scores`` (P,) and ``label_names``, in the order of the prompt. The score of a phrase is
        the best one that any position of the image reaches, in the unit of the detections' scores:
        before the score threshold, NMS and the other limits of the post-processing. So it is the
        score of the phrase's best detection if that passes them, and never lower. 0 for a blank
        class name.
        """
        return self._presence

    @presence.setter
    def presence(self, value: InstanceData) -> None:
        self.set_field(value, "_presence", dtype=InstanceData)

    @presence.deleter
    def presence(self) -> None:
        del self._presence

    def to_dict(self) -> dict[str, Any]:
        """Return annotations, detections and meta information as a dictionary.

        Files hold plain values, and the names of the prompt not once per image: ``prompt`` and the
        ``label_names`` of ``presence`` are left out; the meta information has the text.
        """
        content = super().to_dict()
        content.pop("prompt", None)
        if "presence" in content:
            content["presence"] = {"scores": content["presence"]["scores"]}
        return content

    # Detections in other forms

    def filter(self, score_thr: float) -> DetDataSample:
        """Return a sample with the detections of a score of ``score_thr`` or more.

        This sample stays as it is.

        Raises:
            ConfigError: ``score_thr`` is not a finite number.
            DataError: the sample has no detections.
        """
        kept = self.new()
        kept.pred_instances = export.filter_instances(export.found_in(self), score_thr)
        return kept

    def to_json(self, **options: Any) -> str:
        """Return the image, its size, the prompt and the detections as JSON.

        Scores are rounded to 4 decimals, boxes (xyxy) to hundredths of a pixel.

        Args:
            options: of :func:`json.dumps`, for example ``indent=2``.

        Raises:
            DataError: the sample has no detections.
        """
        return json.dumps(export.to_record(self), **{"ensure_ascii": False, **options})

    def to_coco(
        self, image_id: int | None = None, category_ids: Sequence[int] | None = None
    ) -> dict[str, list[dict]]:
        """Return the detections as a COCO data set of one image.

        Its ``annotations`` also are results for ``pycocotools.coco.COCO.loadRes``.

        Args:
            image_id: id of the image; by default ``img_id`` of this sample.
            category_ids: for each name of the prompt its category id; by default 1, 2, ...

        Returns:
            ``images``, ``categories`` (the names of the prompt) and ``annotations``, with ``score``
            and ``bbox`` as x, y, width and height in pixels.

        Raises:
            DataError: the sample has no detections, or there are too few ids.
        """
        return export.to_coco(self, image_id, category_ids)

    def to_supervision(self) -> supervision.Detections:
        """Return the detections as ``supervision.Detections``; ``data`` has ``class_name``.

        Raises:
            DataError: the sample has no detections.
            DependencyError: supervision is not installed.
        """
        return export.to_supervision(self)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a table of the detections: label, label_name, score, x1, y1, x2, y2 (pixels).

        Raises:
            DataError: the sample has no detections.
            DependencyError: pandas is not installed.
        """
        return export.to_pandas(self)

    def plot(
        self, image: np.ndarray | None = None, font: str | Path | None = None
    ) -> PIL.Image.Image:
        """Draw all detections on the image: ``sample.filter(0.5).plot().save('found.jpg')``.

        Args:
            image: RGB (H, W, 3), values 0 to 255; by default the image is read from its file.
            font: font file of the labels.

        Returns:
            A Pillow image, which notebooks show.

        Raises:
            DataError: the sample has no detections; the image was no file, or has another size.
            ImageReadError: the image cannot be read.
        """
        return export.plot(self, image, font)

    @classmethod
    def from_results(
        cls, results: Mapping[str, Any], meta_keys: Iterable[str] = ()
    ) -> DetDataSample:
        """Create the sample of an image from a pipeline's results: meta information and prompt.

        Args:
            results: what the data set and the transforms know of the image.
            meta_keys: keys to keep as meta information besides :data:`META_KEYS`; absent ones are
                skipped.

        Raises:
            PromptError: the prompt cannot be parsed. The message names the image.
        """
        sample = cls()
        kept = {key: results[key] for key in meta_keys if key in results}
        kept |= {key: results[key] for key in META_KEYS if results.get(key) is not None}
        try:
            prompt = parse_prompt_fields(results)
        except PromptError as error:
            image = results.get("img_path", results.get("img_id", "without img_path"))
            raise PromptError(f"image {image!r}: {error}") from None
        if prompt is not None:
            sample.prompt = prompt
            if isinstance(kept["text"], Prompt):
                kept["text"] = prompt.caption
        sample.set_metainfo(kept)
        return sample
