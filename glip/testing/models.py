"""Tiny models with the structure of the shipped configs, for tests."""

from __future__ import annotations

from mmengine.config import Config

from glip.config import get_config

_BASE = {
    False: "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365",
    True: "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365",
}


def tiny_config(*, early_fuse: bool = True, lang_model_name: str = "bert-base-uncased") -> Config:
    """Return GLIP-T (A) or (B) with fewer channels: 1.6 million parameters, most in embeddings.

    Args:
        early_fuse: whether image and text are fused in the tower.
        lang_model_name: folder or hub name of a tokenizer with bert-base-uncased's vocabulary.

    Returns:
        a complete config; images are resized to a short side of 128 pixels.
    """
    cfg = get_config(_BASE[early_fuse])
    cfg.merge_from_dict(
        {
            "model.backbone.embed_dims": 8,
            "model.backbone.depths": [1, 2, 2, 2],
            "model.backbone.num_heads": [1, 2, 4, 8],
            "model.backbone.drop_path_rate": 0.0,
            "model.neck.in_channels": [16, 32, 64],
            "model.neck.out_channels": 32,
            "model.bbox_head.in_channels": 32,
            "model.bbox_head.num_dyhead_blocks": 2,
            "model.bbox_head.fusion_dim": 64,
            "model.language_model.name": lang_model_name,
            "model.language_model.config": dict(
                hidden_size=48,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=96,
            ),
        }
    )
    for step in cfg.test_pipeline:
        if step["type"] == "FixScaleResize":
            step["scale"] = (128, 213)
    for loader in ("val_dataloader", "test_dataloader"):
        cfg[loader].dataset.pipeline = cfg.test_pipeline
    return cfg
