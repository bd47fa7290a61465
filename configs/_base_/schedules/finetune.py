# Fine-tuning on your own data, microsoft/GLIP's recipe for ODinW: 4 images per step, up to 200
# epochs. The model is validated after every epoch: the learning rate is divided by 10 after 3
# epochs without improvement, and training stops after 8 such epochs (officially 2 and 4 with all
# data of a data set, 3 and 8 with few shots).
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=200, val_interval=1)
param_scheduler = [
    dict(
        type="ReduceOnPlateauLR",
        monitor="coco/bbox_mAP",
        rule="greater",
        factor=0.1,
        patience=3,
        min_value=1e-6,
        by_epoch=True,
    )
]
custom_hooks = [
    dict(
        type="EarlyStoppingHook", monitor="coco/bbox_mAP", rule="greater", patience=8, min_delta=0.0
    )
]
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.0001, weight_decay=0.05),
    paramwise_cfg=dict(
        custom_keys={
            "bert": dict(lr_mult=0.1),  # the text encoder
            "bias": dict(lr_mult=2.0, decay_mult=0.0),
        }
    ),
    clip_grad=dict(max_norm=1, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=4)
