# GLIP-L: GLIP-T with Swin-L and eight fusion blocks.
_base_ = "./glip_atss_swin-t_fpn_dyhead_pretrain_obj365-goldg-cc3m-sub.py"

model = dict(
    backbone=dict(
        embed_dims=192,
        depths=[2, 2, 18, 2],
        num_heads=[6, 12, 24, 48],
        window_size=12,
        drop_path_rate=0.4,
        frozen_stages=1,
    ),
    neck=dict(in_channels=[384, 768, 1536]),
    bbox_head=dict(num_dyhead_blocks=8),
)
