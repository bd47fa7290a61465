# A small GLIP-T (A) with 3.7 million parameters, trained on synthetic images of colored shapes.
# Data: tools/dataset_converters/make_shapes.py.
_base_ = "../_base_/default_runtime.py"

train_root = "data/shapes/train/"
data_root = "data/shapes/val/"
lang_model_name = train_root + "vocabulary"

# The classes of detection.json; held-out classes are not in the training images.
colors = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
shapes = ("circle", "square", "triangle", "star", "cross", "heart", "ring", "moon")
held_out = tuple(colors[i] + " " + shapes[(3 * i + 1) % 8] for i in range(8))
classes = tuple(color + " " + shape for color in colors for shape in shapes)
seen = tuple(name for name in classes if name not in held_out)

model = dict(
    type="GLIP",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[103.53, 116.28, 123.675],
        std=[57.375, 57.12, 58.395],
        bgr_to_rgb=False,
        pad_size_divisor=32,
    ),
    language_model=dict(
        type="BertModel",
        name=lang_model_name,
        config=dict(
            vocab_size=512,
            hidden_size=128,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=384,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
    ),
    backbone=dict(
        type="SwinTransformer",
        embed_dims=32,
        depths=[2, 2, 4, 2],
        num_heads=[1, 2, 4, 8],
        window_size=8,
        drop_path_rate=0.0,
        out_indices=(1, 2, 3),
    ),
    neck=dict(type="FPN", in_channels=[64, 128, 256], out_channels=64),
    bbox_head=dict(
        type="VLFusionHead",
        in_channels=64,
        num_dyhead_blocks=1,
        early_fuse=False,
        # Thirty times the official std: the official models start from a pre-trained Swin and BERT.
        # Without them, words with similar embeddings stay similar for a long time.
        init_cfg=dict(type="Normal", override=dict(name="token_logits", type="Normal", std=0.3)),
        # Images and objects are small: anchors of 32 pixels at the finest level.
        anchor_generator=dict(type="AnchorGenerator", octave_base_scale=4),
    ),
    # About as many names per caption as in training; with 64, half of the objects are missed.
    test_cfg=dict(
        chunked_size=16,
        score_thr=0.05,
        nms_pre=1000,
        nms=dict(type="nms", iou_threshold=0.6),
        max_per_img=100,
    ),
)

meta_keys = (
    "img_id",
    "img_path",
    "ori_shape",
    "img_shape",
    "scale_factor",
    "text",
    "custom_entities",
    "tokens_positive",
)
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="GTBoxSubOne"),
    # Captions contain "left of": the flip swaps the words too.
    dict(type="RandomFlip_GLIP", prob=0.5, swap_left_right=True),
    dict(type="RandomSamplingNegPos", tokenizer_name=lang_model_name, num_sample_negative=24),
    dict(type="PackDetInputs", meta_keys=meta_keys),
]
# Images are a third larger than in training, where they have at most 192 pixels: it improves small
# objects.
test_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="FixScaleResize", scale=(256, 256), keep_ratio=True, backend="pillow"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=meta_keys),
]

# Boxes of pairs ("red circle") and captions, twice as often as colors and shapes alone.
detection = dict(
    type="CocoDataset",
    data_root=train_root,
    ann_file="annotations/detection.json",
    data_prefix=dict(img="images/"),
    metainfo=dict(classes=seen),
    pipeline=train_pipeline,
)
captions = dict(
    type="Flickr30kDataset",
    data_root=train_root,
    ann_file="annotations/grounding.json",
    data_prefix=dict(img="images/"),
    test_mode=False,
    pipeline=train_pipeline,
)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="ConcatDataset",
        datasets=[
            detection,
            detection,
            dict(detection, ann_file="annotations/colors.json", metainfo=dict(classes=colors)),
            dict(detection, ann_file="annotations/shapes.json", metainfo=dict(classes=shapes)),
            captions,
            captions,
        ],
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="ConcatDataset",
        datasets=[
            dict(
                type="CocoDataset",
                data_root=data_root,
                ann_file="annotations/detection.json",
                data_prefix=dict(img="images/"),
                metainfo=dict(classes=classes),
                test_mode=True,
                pipeline=test_pipeline,
            ),
            dict(
                type="Flickr30kDataset",
                data_root=data_root,
                ann_file="annotations/grounding.json",
                data_prefix=dict(img="images/"),
                test_mode=True,
                pipeline=test_pipeline,
            ),
        ],
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type="MultiDatasetsEvaluator",
    dataset_prefixes=["detection", "captions"],
    metrics=[
        dict(type="CocoMetric", class_groups=dict(seen=seen, held_out=held_out)),
        dict(type="Flickr30kMetric"),
    ],
    average_of=[],
)
test_evaluator = val_evaluator
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

max_iters = 9000
train_cfg = dict(type="IterBasedTrainLoop", max_iters=max_iters, val_interval=3000)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=5e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=300),
    dict(
        type="CosineAnnealingLR",
        by_epoch=False,
        begin=300,
        end=max_iters,
        eta_min=1e-5,
    ),
]
default_hooks = dict(
    checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=500, max_keep_ckpts=2),
    logger=dict(type="LoggerHook", interval=50),
)
log_processor = dict(by_epoch=False)
default_score_thr = 0.6
