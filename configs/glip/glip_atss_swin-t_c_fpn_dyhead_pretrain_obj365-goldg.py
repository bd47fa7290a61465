# GLIP-T (C): (B), also pre-trained on grounding data.
_base_ = "./glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365.py"
