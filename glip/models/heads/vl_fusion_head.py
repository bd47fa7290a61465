"""GLIP's head: the fusion tower and three dense predictions.

Shapes: B images, T text tokens, C visual and D text channels, level i of size H_i x W_i.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from glip.models.fusion import FusionTower
from glip.models.heads.losses import HeadLosses
from glip.models.heads.outputs import HeadOutputs
from glip.models.heads.postprocess import PostProcessor
from glip.models.heads.targets import make_targets
from glip.models.heads.token_logits import TokenLogits
from glip.models.language import TextFeatures
from glip.models.options import check_test_cfg
from glip.models.task_modules import ATSSAssigner
from glip.registry import MODELS, TASK_UTILS


@MODELS.register_module(name=["VLFusionHead", "ATSSVLFusionHead"])
class VLFusionHead(BaseModule):
    """Fuse image and text, then predict token logits, box deltas and centerness.

    It is registered as ``ATSSVLFusionHead`` too and takes the arguments of MMDetection's class.

    Args:
        in_channels: C, channels of the feature pyramid.
        text_channels: D, channels of the language encoder; set by the detector.
        early_fuse: whether image and text are fused in the tower (all models but GLIP-T (A)).
        num_dyhead_blocks: number of blocks of the tower (6 in GLIP-T, 8 in GLIP-L).
        num_text_heads, text_intermediate_dim: sizes of the tower's text layers; set by the
            detector.
        fusion_dim, num_fusion_heads: embedding width and heads of the tower's cross-attention.
        dropout: dropout probability in the tower (official: 0.1).
        anchor_generator: config of the anchor generator.
        bbox_coder: config of the box coder.
        loss_cls, loss_bbox, loss_centerness: configs of the losses; see :class:`HeadLosses`.
        train_cfg: ``assigner``, the config of the assigner; see :func:`build_assigner`.
        test_cfg: ``score_thr``, ``nms_pre``, ``nms=dict(type='nms', iou_threshold=...)``,
            ``max_per_img`` and ``min_bbox_size``; see :class:`PostProcessor`.
        use_checkpoint: activation checkpointing of the cross-attention.
        feat_channels: C again; MMDetection's configs give both.
        lang_model_name, num_classes: given by MMDetection's configs and not used: the detector
            builds the language encoder, and the classes are the phrases of the prompt.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: ``feat_channels`` differs from ``in_channels``, or an option of MMDetection has
            a value that GLIP does not use.
    """

    def __init__(
        self,
        in_channels: int = 256,
        text_channels: int = 768,
        early_fuse: bool = False,
        num_dyhead_blocks: int = 6,
        num_text_heads: int = 12,
        text_intermediate_dim: int = 3072,
        fusion_dim: int = 2048,
        num_fusion_heads: int = 8,
        dropout: float = 0.1,
        anchor_generator: dict | None = None,
        bbox_coder: dict | None = None,
        loss_cls: dict | None = None,
        loss_bbox: dict | None = None,
        loss_centerness: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        use_checkpoint: bool = False,
        feat_channels: int | None = None,
        lang_model_name: str | None = None,  # noqa: ARG002
        num_classes: int | None = None,  # noqa: ARG002
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if feat_channels not in (None, in_channels):
            raise ValueError(
                f"expected feat_channels == in_channels, got {feat_channels} and {in_channels}"
            )
        self.prior_generator = TASK_UTILS.build(anchor_generator or dict(type="AnchorGenerator"))
        self.bbox_coder = TASK_UTILS.build(bbox_coder or dict(type="InclusiveBoxCoder"))
        self.assigner = build_assigner(train_cfg or {})
        self.losses = HeadLosses(loss_cls, loss_bbox, loss_centerness)
        self.postprocess = build_postprocessor(test_cfg or {})
        self.tower = FusionTower(
            in_channels,
            text_channels,
            num_blocks=num_dyhead_blocks,
            early_fuse=early_fuse,
            num_text_heads=num_text_heads,
            text_intermediate_dim=text_intermediate_dim,
            fusion_dim=fusion_dim,
            num_fusion_heads=num_fusion_heads,
            dropout=dropout,
            use_checkpoint=use_checkpoint,
        )
        self.token_logits = TokenLogits(text_channels, in_channels)
        self.bbox_pred = nn.Conv2d(in_channels, 4, 1)
        self.centerness = nn.Conv2d(in_channels, 1, 1)
        self.scales = nn.ParameterList(torch.ones(1) for _ in self.prior_generator.strides)
        for layer in (self.bbox_pred, self.centerness, self.token_logits.projection):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, levels: Sequence[Tensor], text: TextFeatures) -> HeadOutputs:
        """Compute the dense predictions.

        Args:
            levels: multi-level feature maps (B, C, H_i, W_i) of the neck, finest first.
            text: text features of B captions, (B, T, D).
        """
        return self._forward_dense(self.forward_visual(levels), text)

    def forward_visual(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Compute the part of the head that does not depend on the text.

        It is the entire tower without early fusion, and nothing with it.

        Args:
            levels: multi-level feature maps (B, C, H_i, W_i) of the neck, finest first.

        Returns:
            feature maps of the same shapes, for any number of prompts.
        """
        return list(levels) if self.tower.early_fuse else self.tower.forward_visual(levels)

    def _forward_dense(self, levels: list[Tensor], text: TextFeatures) -> HeadOutputs:
        """Compute the dense predictions from the feature maps of :meth:`forward_visual`."""
        # Without early fusion the head reads the encoder's output with padding set to zero.
        text_features = text.embedded
        if self.tower.early_fuse:
            levels, text_features = self.tower(levels, text.hidden, text.mask)
        words, bias = self.token_logits.project(text_features)
        logits, deltas, centerness = [], [], []
        for level, scale in zip(levels, self.scales, strict=True):
            logits.append(self.token_logits(level, words, bias))
            deltas.append((self.bbox_pred(level) * scale).flatten(2).transpose(1, 2))
            centerness.append(self.centerness(level).flatten(1))
        sizes = [(level.shape[2], level.shape[3]) for level in levels]
        return HeadOutputs(logits, deltas, centerness, sizes)

    def loss(
        self,
        levels: Sequence[Tensor],
        text: TextFeatures,
        token_maps: Sequence[Tensor],
        gt_instances: Sequence[InstanceData],
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            levels, text: see :meth:`forward`.
            token_maps: (P_b, T) bool for each image, the tokens of each of its P_b phrases.
            gt_instances: for each image ``bboxes`` (G, 4), inclusive xyxy pixels of the network's
                input, and ``labels`` (G,), rows of its token map; G may be 0.

        Returns:
            ``loss_cls`` (of the token logits), ``loss_bbox`` and ``loss_centerness``.
        """
        outputs = self(levels, text)
        targets = make_targets(
            self.prior_generator.grid_priors(outputs.sizes, levels[0].device),
            [instances.bboxes for instances in gt_instances],
            [
                token_map[instances.labels]
                for token_map, instances in zip(token_maps, gt_instances, strict=True)
            ],
            text.mask,
            self.assigner,
        )
        return self.losses(outputs, targets, text.mask, self.bbox_coder)

    def predict(
        self,
        levels: Sequence[Tensor],
        text: TextFeatures,
        token_maps: Sequence[Tensor],
        img_shapes: Sequence[tuple[int, int]],
    ) -> list[tuple[InstanceData, Tensor]]:
        """Compute the detections of a batch, and the presence of its phrases.

        Args:
            levels: feature maps of :meth:`forward_visual`.
            text: text features of B captions, (B, T, D).
            token_maps: (P_b, T) bool for each image, the tokens of each of its P_b phrases.
            img_shapes: (height, width) of each image before padding, in pixels.

        Returns:
            the detections and the presence (P_b,) of each image, see :class:`PostProcessor`.
        """
        outputs = self._forward_dense(list(levels), text)
        anchors = self.prior_generator.grid_priors(outputs.sizes, levels[0].device)
        # Mixed precision ends here: many scores would be equal in bfloat16, with its 8 bits.
        with torch.autocast(levels[0].device.type, enabled=False):
            return [
                self.postprocess(outputs, index, token_map, anchors, self.bbox_coder, img_shape)
                for index, (token_map, img_shape) in enumerate(
                    zip(token_maps, img_shapes, strict=True)
                )
            ]


def build_assigner(train_cfg: dict) -> ATSSAssigner:
    """Build the assigner from MMDetection's ``train_cfg``.

    Raises:
        ValueError: ``train_cfg`` has an option that GLIP does not use.
    """
    fixed = dict(allowed_border=-1, pos_weight=-1, debug=False)
    for name, value in train_cfg.items():
        if name != "assigner" and (name not in fixed or fixed[name] != value):
            raise ValueError(
                f"expected train_cfg with an assigner and at most {fixed}, as in every GLIP, got "
                f"{name}={value!r}"
            )
    return TASK_UTILS.build(train_cfg.get("assigner") or dict(type="ATSSAssigner"))


def build_postprocessor(test_cfg: dict) -> PostProcessor:
    """Build the post-processing from MMDetection's ``test_cfg``.

    Raises:
        ConfigError: an option is unknown or invalid.
    """
    check_test_cfg(test_cfg)
    nms = test_cfg.get("nms") or {}
    default = PostProcessor()
    return PostProcessor(
        score_thr=test_cfg.get("score_thr", default.score_thr),
        nms_pre=test_cfg.get("nms_pre", default.nms_pre),
        iou_threshold=nms.get("iou_threshold", default.iou_threshold),
        max_per_img=test_cfg.get("max_per_img", default.max_per_img),
        min_bbox_size=test_cfg.get("min_bbox_size", default.min_bbox_size),
    )
