# (c): as (b), but a teacher, trained as (b), drew the boxes of its captions, which are of other
# pictures. They are all that it sees of the new words.
_base_ = "./glip_nano_shapes_detection.py"

pseudo_lines = dict(
    type="ODVGDataset",
    data_root=_base_.data_root,
    ann_file="pairs/labels.jsonl",
    data_prefix=dict(img="pairs/images/"),
    pipeline=_base_.train_pipeline,
)
train_dataloader = dict(
    sampler=dict(weights=[2, 1, 1, 4]),
    dataset=dict(datasets=[*_base_.train_dataloader.dataset.datasets, pseudo_lines]),
)
