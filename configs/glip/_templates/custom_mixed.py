# Fine-tune on your own data without catastrophic forgetting: your copy of custom_coco_finetune.py,
# mixed with other data whose prompts have other words. As it is, it runs on the examples and on the
# data of tools/dataset_converters/make_shapes.py data/shapes/mix.
_base_ = "./finetune_on_cpu.py"  # your copy

# Ideally, part of the pre-training data. `times` and the numbers of images set the proportions.
other_root = "data/shapes/mix/"
# Captions and their phrases, in MDETR's format.
captions = dict(
    type="RepeatDataset",
    times=1,
    dataset=dict(
        type="Flickr30kDataset",
        data_root=other_root,
        ann_file="annotations/grounding.json",
        data_prefix=dict(img="images/"),
        test_mode=False,
        pipeline=_base_.train_pipeline,
    ),
)
# Detection data with many class names, of which each prompt has a random subset.
colors = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
shapes = ("circle", "square", "triangle", "star", "cross", "heart", "ring", "moon")
sampling = dict(
    type="RandomSamplingNegPos", tokenizer_name=_base_.lang_model_name, num_sample_negative=24
)
detection = dict(
    type="RepeatDataset",
    times=1,
    dataset=dict(
        type="CocoDataset",
        data_root=other_root,
        ann_file="annotations/detection.json",
        data_prefix=dict(img="images/"),
        metainfo=dict(classes=tuple(color + " " + shape for color in colors for shape in shapes)),
        pipeline=[*_base_.train_pipeline[:-1], sampling, _base_.train_pipeline[-1]],
    ),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        datasets=[_base_.train_dataloader.dataset, captions, detection],
    )
)
