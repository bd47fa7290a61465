# custom_coco_finetune.py with the small model of this repository, which a CPU fine-tunes in a few
# minutes. It is pre-trained on colored shapes (docs/shapes.md) and fine-tuned to detect a red
# rectangle as a car. Run it from the root of the repository.
_base_ = "./custom_coco_finetune.py"

load_from = "demo/glip_nano_shapes.safetensors"
lang_model_name = "demo/bert-base-uncased"  # not read: the checkpoint contains its vocabulary

# As in glip_nano_shapes.py.
model = dict(
    language_model=dict(
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
        embed_dims=32,
        depths=[2, 2, 4, 2],
        num_heads=[1, 2, 4, 8],
        window_size=8,
        drop_path_rate=0.0,
        frozen_stages=-1,
    ),
    neck=dict(type="FPN", in_channels=[64, 128, 256], out_channels=64),
    bbox_head=dict(
        in_channels=64,
        num_dyhead_blocks=1,
        early_fuse=False,
        use_checkpoint=False,
        anchor_generator=dict(type="AnchorGenerator", octave_base_scale=4),
    ),
)
# The class names are new to the model, so the text encoder has the same learning rate.
optim_wrapper = dict(
    optimizer=dict(lr=0.0005), paramwise_cfg=dict(custom_keys=dict(bert=dict(lr_mult=1.0)))
)

# Images are resized to about their own size.
train_pipeline = _base_.train_pipeline
train_pipeline[3].update(scales=[(112, 192), (128, 192), (144, 192)])
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=(128, 192))
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(times=8, dataset=dict(pipeline=train_pipeline)),
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=10)
