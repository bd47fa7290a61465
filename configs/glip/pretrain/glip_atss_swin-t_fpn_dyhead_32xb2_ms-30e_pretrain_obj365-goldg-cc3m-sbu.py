# Pre-training of GLIP-T on Objects365, GoldG, and captions with pseudo-labels.
_base_ = [
    "../glip_atss_swin-t_fpn_dyhead_pretrain_obj365-goldg-cc3m-sub.py",
    "../../_base_/datasets/pretrain_o365_goldg_captions.py",
    "../../_base_/schedules/pretrain.py",
]

model = dict(neck=dict(type="FPNDropBlock"), bbox_head=dict(use_checkpoint=True))
data_root = "data/"
default_hooks = dict(checkpoint=_base_.checkpoint_hook)
