# Pre-training of GLIP-L on four detection data sets, GoldG, and captions with pseudo-labels.
_base_ = [
    "../glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata.py",
    "../../_base_/datasets/pretrain_four_ods_goldg_captions.py",
    "../../_base_/schedules/pretrain_large.py",
]

model = dict(neck=dict(type="FPNDropBlock"), bbox_head=dict(use_checkpoint=True))
data_root = "data/"
default_hooks = dict(checkpoint=_base_.checkpoint_hook)
log_processor = dict(by_epoch=False)
