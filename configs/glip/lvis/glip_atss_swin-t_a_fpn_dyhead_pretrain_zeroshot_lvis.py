_base_ = [
    "../glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365.py",
    "../../_base_/datasets/lvis_v1.py",
]

model = dict(test_cfg=_base_.lvis_test_cfg)

val_dataloader = dict(dataset=_base_.lvis_val)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="LVISFixedAPMetric")
test_evaluator = val_evaluator
