# GLIP-T: (C), also pre-trained on image-caption pairs.
_base_ = "./glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg.py"
