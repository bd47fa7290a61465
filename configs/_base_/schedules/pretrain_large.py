# Pre-training of GLIP-L, microsoft/GLIP's recipe: a million steps of 64 images (64 GPUs, one image
# each), without EMA, in float32. The weight decay is divided by 10 too, at two thirds of each
# milestone of the learning rate.
_base_ = "./pretrain.py"

train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=1000000, val_interval=50000)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=2000),
    dict(type="MultiStepLR", by_epoch=False, milestones=[670000, 890000], gamma=0.1),
    dict(
        type="MultiStepParamScheduler",
        param_name="weight_decay",
        by_epoch=False,
        milestones=[446890, 593630],  # 0.667 of the learning rate's milestones
        gamma=0.1,
    ),
]
optim_wrapper = dict(optimizer=dict(weight_decay=0.01))
custom_hooks = []
