# Experiment (c): as (b), but the captions are of other images, with pseudo-labels of a teacher that
# was trained as (b). Only these captions have the new words.
_base_ = "./glip_nano_shapes_captions.py"

pseudo_labeled_records = dict(
    _base_.caption_records,
    ann_file="pairs/labels.jsonl",
    data_prefix=dict(img="pairs/images/"),
)
train_dataloader = dict(
    dataset=dict(datasets=[*_base_.train_dataloader.dataset.datasets[:-1], pseudo_labeled_records])
)
