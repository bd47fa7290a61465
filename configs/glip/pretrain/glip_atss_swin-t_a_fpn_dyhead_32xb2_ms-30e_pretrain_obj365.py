# Pre-training of GLIP-T (A) on Objects365.
_base_ = [
    "../glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365.py",
    "../../_base_/datasets/pretrain_o365.py",
    "../../_base_/schedules/pretrain.py",
]

model = dict(neck=dict(type="FPNDropBlock"), bbox_head=dict(use_checkpoint=True))
data_root = "data/"
default_hooks = dict(checkpoint=_base_.checkpoint_hook)
