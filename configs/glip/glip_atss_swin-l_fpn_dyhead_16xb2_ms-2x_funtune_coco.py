# GLIP-L fine-tuned on COCO. microsoft/GLIP never told how; all of this is MMDetection's, down to
# the first stage of the backbone, which was frozen in pre-training and learns here.
_base_ = [
    "./glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata.py",
    "../_base_/datasets/coco_train.py",
    "../_base_/schedules/coco_finetune.py",
]

model = dict(
    backbone=dict(frozen_stages=-1),
    neck=dict(type="FPN_DropBlock"),
    bbox_head=dict(use_checkpoint=True),
)
load_from = "https://download.openmmlab.com/mmdetection/v3.0/glip/glip_l_mmdet-abfe026b.pth"
