# (c): as (b), but a teacher, trained as (b), drew the boxes of its captions, which are of other
# pictures. They are all that it sees of the new words.
_base_ = "./glip_nano_shapes_captions.py"

pseudo_lines = dict(
    _base_.caption_lines,
    ann_file="pairs/labels.jsonl",
    data_prefix=dict(img="pairs/images/"),
)
train_dataloader = dict(
    dataset=dict(datasets=[*_base_.train_dataloader.dataset.datasets[:-1], pseudo_lines])
)
