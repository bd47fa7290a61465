# Objects365 and GoldG, excluding the images of COCO (tools/dataset_converters/goldg2odvg.py).
_base_ = "./pretrain_o365.py"

flickr30k_train = dict(
    type="ODVGDataset",
    data_root="data/",
    ann_file="goldg/flickr30k.jsonl",
    data_prefix=dict(img="flickr30k_entities/flickr30k_images/"),
    pipeline=_base_.train_pipeline,
)
mixed_train = dict(flickr30k_train, ann_file="goldg/gqa.jsonl", data_prefix=dict(img="gqa/images/"))
train_dataloader = dict(
    # An epoch covers all images once; `weights=[...]` sets the proportions of the data sets.
    sampler=dict(_delete_=True, type="WeightedConcatSampler"),
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        datasets=[_base_.objects365, flickr30k_train, mixed_train],
    ),
)
