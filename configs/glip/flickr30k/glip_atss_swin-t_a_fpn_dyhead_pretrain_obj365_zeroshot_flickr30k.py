_base_ = [
    "../glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365.py",
    "../../_base_/datasets/flickr30k.py",
]

data_root = "data/flickr30k_entities/"

val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        datasets=[dict(each, pipeline=_base_.test_pipeline) for each in _base_.flickr30k.values()],
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type="MultiDatasetsEvaluator",
    metrics=[dict(type="Flickr30kMetric") for _ in _base_.flickr30k],
    dataset_prefixes=list(_base_.flickr30k),
)
test_evaluator = val_evaluator

# Not part of the dumped config.
flickr30k = None
