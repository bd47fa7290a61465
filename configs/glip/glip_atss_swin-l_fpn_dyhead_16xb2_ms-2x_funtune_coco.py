# GLIP-L fine-tuned on COCO. microsoft/GLIP did not publish the recipe; everything here is
# MMDetection's, also that the first stage of the backbone, frozen in pre-training, is trained.
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
