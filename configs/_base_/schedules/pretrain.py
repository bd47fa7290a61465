# Pre-training of GLIP-T, microsoft/GLIP's recipe: 64 images per step (32 GPUs, 2 images each), 30
# epochs.
#
# Officially the learning rate is divided by 10 at 0.67 and 0.89 of all steps, in the middle of an
# epoch (20.1, 26.7); here at the end of the nearest epoch. Officially in float16: add --amp fp16,
# or --amp for bfloat16.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=30, val_interval=1)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=2000),
    dict(type="MultiStepLR", begin=0, end=30, by_epoch=True, milestones=[20, 27], gamma=0.1),
]
# Officially biases have twice the learning rate and no weight decay.
__biases_of_bert = ("LayerNorm.", "dense.", "self.query.", "self.key.", "self.value.")
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.0001, betas=(0.9, 0.999), weight_decay=0.0001),
    paramwise_cfg=dict(
        custom_keys={
            # The longest key that a parameter's name contains is applied.
            "bert": dict(lr_mult=0.1),  # the text encoder: 1e-5
            "bias": dict(lr_mult=2.0, decay_mult=0.0),
            **{f"{name}bias": dict(lr_mult=0.2, decay_mult=0.0) for name in __biases_of_bert},
        }
    ),
    clip_grad=dict(max_norm=1, norm_type=2),
)
custom_hooks = [dict(type="EMAHook", momentum=0.001)]
# For default_hooks, which is in another base. An epoch takes hours, so checkpoints are by step.
checkpoint_hook = dict(type="CheckpointHook", by_epoch=False, interval=2000, max_keep_ckpts=3)
auto_scale_lr = dict(enable=False, base_batch_size=64)
