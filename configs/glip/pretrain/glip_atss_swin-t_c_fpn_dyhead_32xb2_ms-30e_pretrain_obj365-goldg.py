# Pre-training of GLIP-T (C) on Objects365 and GoldG.
_base_ = [
    "../glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg.py",
    "../../_base_/datasets/pretrain_o365_goldg.py",
    "../../_base_/schedules/pretrain.py",
]

model = dict(neck=dict(type="FPNDropBlock"), bbox_head=dict(use_checkpoint=True))
data_root = "data/"
default_hooks = dict(checkpoint=_base_.checkpoint_hook)
