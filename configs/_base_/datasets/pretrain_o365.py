# Pre-training on Objects365, as lines (tools/dataset_converters/objects365_2odvg.py); the other
# pretrain_*.py add to it. All paths are below data/, as docs/pretrain.md lists them.
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
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
        type="RandomSamplingNegPos",
        tokenizer_name="bert-base-uncased",  # the model's, --cfg-options lang_model_name= sets both
        num_sample_negative=85,
        full_sampling_prob=0.5,
        max_tokens=256,
    ),
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
objects365 = dict(
    type="ODVGDataset",
    data_root="data/",
    ann_file="objects365v1/train.jsonl",
    label_map_file="objects365v1/train_label_map.json",
    data_prefix=dict(img="objects365v1/train/"),
    pipeline=train_pipeline,
)
train_dataloader = dict(
    batch_size=2,  # of each of 32 processes: 64 images a step
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    batch_sampler=dict(type="AspectRatioBatchSampler"),
    dataset=objects365,
)
