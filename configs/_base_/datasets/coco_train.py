# The training data of COCO. They are not in coco_detection.py, because mmengine's runner rejects a
# config with training data but without a schedule. An epoch covers the data twice, as in
# MMDetection's configs.
train_pipeline = [
    dict(type="LoadImageFromFile", backend_args=None, imdecode_backend="pillow"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="GTBoxSubOne_GLIP"),
    dict(
        type="RandomChoiceResize",
        scales=[(1333, 480), (1333, 560), (1333, 640), (1333, 720), (1333, 800)],
        resize_type="FixScaleResize",
        keep_ratio=True,
        backend="pillow",
    ),
    dict(type="RandomFlip_GLIP", prob=0.5),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1)),
    dict(
        type="PackDetInputs",
        meta_keys=(
            "img_id",
            "img_path",
            "ori_shape",
            "img_shape",
            "scale_factor",
            "flip",
            "flip_direction",
            "text",
            "custom_entities",
            "caption_prompt",
            "tokens_positive",
        ),
    ),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    batch_sampler=dict(type="AspectRatioBatchSampler"),
    dataset=dict(
        type="RepeatDataset",
        times=2,
        dataset=dict(
            type="CocoDataset",
            data_root="data/coco/",
            ann_file="annotations/instances_train2017.json",
            data_prefix=dict(img="train2017/"),
            filter_cfg=dict(filter_empty_gt=True, min_size=32),
            pipeline=train_pipeline,
            return_classes=True,
            backend_args=None,
        ),
    ),
)
