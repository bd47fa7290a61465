# GLIP-T (A) fine-tuned on COCO; the schedule compares the official recipe with MMDetection's.
_base_ = [
    "./glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365.py",
    "../_base_/datasets/coco_train.py",
    "../_base_/schedules/coco_finetune.py",
]

model = dict(neck=dict(type="FPN_DropBlock"))
load_from = "https://download.openmmlab.com/mmdetection/v3.0/glip/glip_tiny_a_mmdet-b3654169.pth"
# MMDetection's values for this model only.
optim_wrapper = dict(optimizer=dict(lr=0.00002), clip_grad=None)
