# GLIP-T (A): Swin-T, without early fusion of image and text. The base of the other four.
_base_ = ["../_base_/datasets/coco_detection.py", "../_base_/default_runtime.py"]

# A folder with the tokenizer (vocab.txt) or a name on the Hugging Face Hub; not needed if the
# checkpoint contains its vocabulary.
lang_model_name = "bert-base-uncased"

model = dict(
    type="GLIP",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[103.53, 116.28, 123.675],
        std=[57.375, 57.12, 58.395],
        bgr_to_rgb=False,
        pad_size_divisor=32,
    ),
    language_model=dict(type="BertModel", name=lang_model_name),
    backbone=dict(
        type="SwinTransformer",
        embed_dims=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        drop_path_rate=0.2,
        out_indices=(1, 2, 3),
    ),
    neck=dict(type="FPN", in_channels=[192, 384, 768], out_channels=256),
    bbox_head=dict(type="VLFusionHead", in_channels=256, num_dyhead_blocks=6, early_fuse=False),
    test_cfg=dict(
        score_thr=0.05,
        nms_pre=1000,
        nms=dict(type="nms", iou_threshold=0.6),
        max_per_img=100,
    ),
)
