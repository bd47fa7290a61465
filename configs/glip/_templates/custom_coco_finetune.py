# Fine-tune on your own data in COCO's format. Copy this file and edit these five lines. Unchanged,
# it runs on the data of tools/dataset_converters/make_examples.py data/examples.
classes = ("sports ball", "car", "tie", "cat", "umbrella")  # the names, as in the annotation files
train_ann_file = "data/examples/coco/annotations/instances_train2017.json"
train_images = "data/examples/coco/train2017/"
val_ann_file = "data/examples/coco/annotations/instances_val2017.json"
val_images = "data/examples/coco/val2017/"

# Nothing below needs to change. The base may be any model of configs/glip instead of (B), with its
# weights in load_from (or tools/train.py --load-from).
_base_ = [
    "../glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365.py",
    "../../_base_/datasets/coco_train.py",
    "../../_base_/schedules/finetune.py",
]
load_from = "https://download.openmmlab.com/mmdetection/v3.0/glip/glip_tiny_b_mmdet-6dfbd102.pth"

model = dict(
    backbone=dict(frozen_stages=1),
    neck=dict(type="FPNDropBlock"),
    bbox_head=dict(use_checkpoint=True),
)
data_root = ""
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        times=1,
        dataset=dict(
            data_root=data_root,
            ann_file=train_ann_file,
            data_prefix=dict(img=train_images),
            metainfo=dict(classes=classes),
            filter_cfg=dict(min_size=0),
        ),
    ),
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file=val_ann_file,
        data_prefix=dict(img=val_images),
        metainfo=dict(classes=classes),
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=val_ann_file)
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best="coco/bbox_mAP", rule="greater", max_keep_ckpts=1))
