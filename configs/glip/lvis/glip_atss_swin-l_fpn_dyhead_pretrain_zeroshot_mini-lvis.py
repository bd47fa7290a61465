_base_ = "./glip_atss_swin-l_fpn_dyhead_pretrain_zeroshot_lvis.py"

val_dataloader = dict(dataset=_base_.lvis_minival)
test_dataloader = val_dataloader
