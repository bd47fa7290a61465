"""One image's annotations, prompt and predictions."""

from __future__ import annotations

from mmengine.structures import BaseDataElement, InstanceData


class DetDataSample(BaseDataElement):
    """One image's annotations (``gt_instances``) and detections (``pred_instances``).

    Both are :class:`mmengine.structures.InstanceData`. With G annotated and K predicted boxes:

    - ``gt_instances``: ``bboxes`` (G, 4) and ``labels`` (G,);
    - ``pred_instances``: ``bboxes`` (K, 4), ``scores`` (K,), ``labels`` (K,) and
      ``label_names``, a list of K phrases; best score first.

    Boxes are xyxy pixels, the predicted ones in the original image; labels are 0-based. The meta
    information describes the image (``img_path``, ``ori_shape``, ``img_shape``, ``scale_factor``)
    and the prompt (``text``, ``custom_entities``, ``tokens_positive``).
    """

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
        """Annotated boxes that neither reward nor punish a detection (crowds)."""
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
