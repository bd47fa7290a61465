# GLIP-T (B) fine-tuned on COCO; (C) and GLIP-T differ only in their initial weights.
_base_ = [
    "./glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365.py",
    "../_base_/datasets/coco_train.py",
    "../_base_/schedules/coco_finetune.py",
]

model = dict(neck=dict(type="FPN_DropBlock"), bbox_head=dict(use_checkpoint=True))
load_from = "https://download.openmmlab.com/mmdetection/v3.0/glip/glip_tiny_b_mmdet-6dfbd102.pth"
