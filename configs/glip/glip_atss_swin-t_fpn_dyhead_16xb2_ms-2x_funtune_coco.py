# GLIP-T fine-tuned on COCO.
_base_ = "./glip_atss_swin-t_b_fpn_dyhead_16xb2_ms-2x_funtune_coco.py"

load_from = "https://download.openmmlab.com/mmdetection/v3.0/glip/glip_tiny_mmdet-c24ce662.pth"
