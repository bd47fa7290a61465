# For GLIP-T (B), (C) and GLIP-T.
_base_ = "./glip_atss_swin-t_a_fpn_dyhead_pretrain_odinw13.py"

model = dict(bbox_head=dict(early_fuse=True))
