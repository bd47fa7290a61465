# Fine-tuning on COCO, 24 times through the data with 32 images a step (16 GPUs, 2 images each).
#
#                    here, as in MMDetection      microsoft/GLIP
#   learning rate    1e-5; (A): 2e-5              1e-5; biases: 2e-5
#   text encoder     the same                     the same
#   weight decay     0.05, none on norms          0.0001, none on biases
#   warm-up          500 steps from 0.001         2000 steps from 0.001
#   steps after      2/3 and 11/12 of the data    0.67 and 0.89
#   gradient norm    1; (A): not clipped          1
#   precision        float32                      float16
#   average (EMA)    none                         0.999
#   frozen           nothing                      nothing in T; L as pre-trained, untold
#
# MMDetection's values are taken, with which the published weights of these configs were trained:
# with the official ones its authors got 52.5 and 52.6 for (A), and with their weight decay 53.3.
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
            # The text encoder: in pre-training a tenth (1e-5 of 1e-4), here the same rate.
            "bert": dict(lr_mult=1.0),
        }
    ),
    clip_grad=dict(max_norm=1, norm_type=2),
)
# How many images a step the learning rate is for; see --auto-scale-lr of tools/train.py.
auto_scale_lr = dict(enable=False, base_batch_size=32)
