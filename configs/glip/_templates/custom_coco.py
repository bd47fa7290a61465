# Evaluate on your own data in COCO's format. Copy this file and edit these three lines:
classes = ("balloon", "kite")  # the names, as in the annotation file
ann_file = "data/my_data/annotations.json"
images = "data/my_data/images/"

# Nothing below needs to change. The base may be any config of configs/glip instead of (B).
_base_ = "../glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365.py"

data_root = ""
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img=images),
        metainfo=dict(classes=classes),
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=ann_file)
test_evaluator = val_evaluator
