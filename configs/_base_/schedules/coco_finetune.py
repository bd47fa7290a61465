# Fine-tuning on COCO: 24 passes over the data with 32 images per step (16 GPUs, 2 images each).
#
#                    here, as in MMDetection      microsoft/GLIP
#   learning rate    1e-5; (A): 2e-5              1e-5; biases: 2e-5
#   text encoder     same rate                    same rate
#   weight decay     0.05, none on norms          0.0001, none on biases
#   warm-up          500 steps from 0.001         2000 steps from 0.001
#   steps after      2/3 and 11/12 of the data    0.67 and 0.89
#   gradient norm    1; (A): not clipped          1
#   precision        float32                      float16
#   average (EMA)    none                         0.999
#   frozen           nothing                      nothing in T; L not published
#
# The values are MMDetection's, with which the published weights of these configs were trained. For
# (A) its authors got 52.5 and 52.6 AP with the official values, and 53.3 with their weight decay.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=12, val_interval=1)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.00001, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        custom_keys={
            "relative_position_bias_table": dict(decay_mult=0.0),
            "norm": dict(decay_mult=0.0),
            # The text encoder: a tenth in pre-training (1e-5 of 1e-4), the same rate here.
            "bert": dict(lr_mult=1.0),
        }
    ),
    clip_grad=dict(max_norm=1, norm_type=2),
)
# The number of images per step for the learning rate above; see --auto-scale-lr of tools/train.py.
auto_scale_lr = dict(enable=False, base_batch_size=32)
