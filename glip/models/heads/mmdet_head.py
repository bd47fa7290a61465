"""The head under the arguments that MMDetection 3.3's GLIP configs give it."""

from __future__ import annotations

from glip.models.heads.vl_fusion_head import VLFusionHead
from glip.registry import MODELS


@MODELS.register_module()
class ATSSVLFusionHead(VLFusionHead):
    """:class:`VLFusionHead` for configs written for MMDetection.

    Args:
        lang_model_name: not needed: the detector tells the head the sizes of the text.
        num_classes: not needed: the classes are the prompt's phrases.
        feat_channels: must be ``in_channels``; the tower keeps the width of the pyramid.
        in_channels, text_channels, num_text_heads, text_intermediate_dim, early_fuse,
            num_dyhead_blocks, anchor_generator, bbox_coder, loss_cls, loss_bbox, loss_centerness,
            train_cfg, test_cfg, use_checkpoint, init_cfg: see
            :class:`VLFusionHead`.

    Raises:
        ValueError: ``feat_channels`` is not ``in_channels``.
    """

    def __init__(
        self,
        lang_model_name: str = "bert-base-uncased",  # noqa: ARG002 (their configs give it)
        num_classes: int = 80,  # noqa: ARG002 (their configs give it)
        in_channels: int = 256,
        feat_channels: int = 256,
        text_channels: int = 768,
        num_text_heads: int = 12,
        text_intermediate_dim: int = 3072,
        early_fuse: bool = False,
        num_dyhead_blocks: int = 6,
        anchor_generator: dict | None = None,
        bbox_coder: dict | None = None,
        loss_cls: dict | None = None,
        loss_bbox: dict | None = None,
        loss_centerness: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        use_checkpoint: bool = False,
        init_cfg: dict | None = None,
    ):
        if feat_channels != in_channels:
            raise ValueError(
                f"expected feat_channels == in_channels, got {feat_channels} and {in_channels}"
            )
        super().__init__(
            in_channels=in_channels,
            text_channels=text_channels,
            num_text_heads=num_text_heads,
            text_intermediate_dim=text_intermediate_dim,
            early_fuse=early_fuse,
            num_dyhead_blocks=num_dyhead_blocks,
            anchor_generator=anchor_generator,
            bbox_coder=bbox_coder,
            loss_cls=loss_cls,
            loss_bbox=loss_bbox,
            loss_centerness=loss_centerness,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            use_checkpoint=use_checkpoint,
            init_cfg=init_cfg,
        )
