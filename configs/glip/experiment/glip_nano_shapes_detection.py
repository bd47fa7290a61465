# Experiment (a) of docs/pretrain.md: detection data only. The experiment tests two claims of the
# paper with models that one CPU core trains in minutes. tools/misc/pretraining_experiment.py
# generates the data and trains all three models.
_base_ = "../glip_nano_shapes.py"

data_root = "data/experiment/"
lang_model_name = data_root + "detection/vocabulary"

# The detection data have the known words; captions and tests have three new words too.
known_colors = ("red", "yellow", "green", "blue")
known_shapes = ("circle", "square", "star", "cross")
colors = (*known_colors, "pink")
shapes = (*known_shapes, "heart", "moon")
new_words = ("pink", "heart", "moon")
known = tuple(color + " " + shape for color in known_colors for shape in known_shapes)
classes = tuple(color + " " + shape for color in colors for shape in shapes)
new = tuple(name for name in classes if name not in known)

model = dict(language_model=dict(name=lang_model_name))

train_pipeline = [
    dict(step, tokenizer_name=lang_model_name) if step["type"] == "RandomSamplingNegPos" else step
    for step in _base_.train_pipeline
]
# Images are a third larger than in training, as in the base.
test_pipeline = [
    dict(step, scale=(170, 170)) if step["type"] == "FixScaleResize" else step
    for step in _base_.test_pipeline
]

records = dict(
    type="ODVGDataset",
    data_root=data_root,
    ann_file="detection/detection.jsonl",
    label_map_file="detection/detection_label_map.json",
    data_prefix=dict(img="detection/images/"),
    pipeline=train_pipeline,
)
color_records = dict(
    records,
    ann_file="detection/colors.jsonl",
    label_map_file="detection/colors_label_map.json",
)
shape_records = dict(
    records,
    ann_file="detection/shapes.jsonl",
    label_map_file="detection/shapes_label_map.json",
)
max_iters = 2000
train_dataloader = dict(
    sampler=dict(
        _delete_=True,
        type="WeightedConcatSampler",
        weights=[2, 1, 1],
        epoch_length=8 * max_iters,
    ),
    dataset=dict(
        _delete_=True, type="ConcatDataset", datasets=[records, color_records, shape_records]
    ),
)
val_dataloader = None
val_evaluator = None
val_cfg = None

# The two data sets of the base, with other images.
tested = dict(data_root=data_root + "test/", pipeline=test_pipeline)
names = dict(_base_.test_dataloader.dataset.datasets[0], **tested, metainfo=dict(classes=classes))
captions = dict(_base_.test_dataloader.dataset.datasets[1], **tested)
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        datasets=[
            names,
            dict(names, ann_file="annotations/colors.json", metainfo=dict(classes=colors)),
            dict(names, ann_file="annotations/shapes.json", metainfo=dict(classes=shapes)),
            dict(captions, data_root=data_root + "test_known/"),
            captions,
        ],
    )
)
test_evaluator = dict(
    dataset_prefixes=["pairs", "colors", "shapes", "known_captions", "captions"],
    metrics=[
        dict(type="CocoMetric", class_groups=dict(known=known, new=new)),
        dict(type="CocoMetric", class_groups=dict(known=known_colors, new=("pink",))),
        dict(type="CocoMetric", class_groups=dict(known=known_shapes, new=("heart", "moon"))),
        dict(type="Flickr30kMetric"),
        dict(type="Flickr30kMetric"),
    ],
)

train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=200),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=200, end=max_iters, eta_min=1e-5),
]
