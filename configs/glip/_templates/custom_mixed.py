# Fine-tune on your own data without forgetting the rest: as your copy of custom_coco_finetune.py,
# with other data mixed in, whose prompts have other words. As it stands it runs on the examples and
# on what tools/dataset_converters/make_shapes.py data/shapes/mix draws.
_base_ = "./finetune_on_cpu.py"  # your copy

# Best is some of what the model was pre-trained on. `times` and the numbers of pictures set how
# much of an epoch each part is.
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
# Detection data with many names, of which each picture is asked for some.
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
