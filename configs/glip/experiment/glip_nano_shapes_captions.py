# Experiment (b): half of the images are the detection data of (a), half have captions with boxes,
# whose words are not only the class names of the detection data.
_base_ = "./glip_nano_shapes_detection.py"

caption_records = dict(
    type="ODVGDataset",
    data_root=_base_.data_root,
    ann_file="captions/captions.jsonl",
    data_prefix=dict(img="captions/images/"),
    pipeline=_base_.train_pipeline,
)
train_dataloader = dict(
    sampler=dict(weights=[2, 1, 1, 4]),
    dataset=dict(datasets=[*_base_.train_dataloader.dataset.datasets, caption_records]),
)
