_base_ = [
    "../glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata.py",
    "../../_base_/datasets/odinw.py",
]

data_root = "data/odinw/"
use_caption_prompt = True

val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        datasets=[dict(each, pipeline=_base_.test_pipeline) for each in _base_.odinw35.values()],
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type="MultiDatasetsEvaluator",
    metrics=[dict(type="CocoMetric") for _ in _base_.odinw35],
    dataset_prefixes=list(_base_.odinw35),
)
test_evaluator = val_evaluator

# Not part of the dumped config.
odinw13 = odinw35 = None
