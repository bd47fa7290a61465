# custom_coco_finetune.py with a model so small, and pictures so small, that a CPU shows in some
# minutes how fine-tuning goes. This model knows nothing at the start, so it learns at a higher rate
# than a pre-trained one should. To be run from the root of the repository.
_base_ = "./custom_coco_finetune.py"

lang_model_name = "demo/bert-base-uncased"
load_from = None
model = dict(
    backbone=dict(
        embed_dims=8,
        depths=[1, 2, 2, 2],
        num_heads=[1, 2, 4, 8],
        drop_path_rate=0.0,
        frozen_stages=-1,
    ),
    neck=dict(in_channels=[16, 32, 64], out_channels=32),
    bbox_head=dict(in_channels=32, num_dyhead_blocks=2, fusion_dim=64),
    language_model=dict(
        name=lang_model_name,
        config=dict(
            hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96
        ),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.003))

train_pipeline = _base_.train_pipeline
train_pipeline[3].update(scales=[(128, 213), (160, 267)])
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=(160, 267))
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(times=8, dataset=dict(pipeline=train_pipeline)),
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=16, val_interval=2)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=30),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=0, end=16, convert_to_iter_based=True),
]
custom_hooks = None
