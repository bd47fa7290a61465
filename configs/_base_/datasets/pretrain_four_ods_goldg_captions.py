# The pre-training data of GLIP-L: four detection data sets (Objects365, Open Images, Visual Genome,
# ImageNet boxes), GoldG, and captions with pseudo-labels (Conceptual Captions 3M and 12M, SBU).
_base_ = "./pretrain_o365_goldg_captions.py"

openimages = dict(
    _base_.objects365,
    ann_file="openimages/train.jsonl",
    label_map_file="openimages/train_label_map.json",
    data_prefix=dict(img="openimages/train/"),
)
visual_genome = dict(
    _base_.objects365,
    ann_file="vg/objects.jsonl",
    label_map_file="vg/objects_label_map.json",
    data_prefix=dict(img="vg/"),
)
imagenet = dict(
    _base_.objects365,
    ann_file="imagenet/boxes.jsonl",
    label_map_file="imagenet/boxes_label_map.json",
    data_prefix=dict(img="imagenet/train/"),
)
cc12m = dict(_base_.cc3m, ann_file="cc12m/pseudo.jsonl", data_prefix=dict(img="cc12m/images/"))
train_dataloader = dict(
    batch_size=1,  # per GPU, with 64 GPUs
    sampler=dict(
        # Millions of images per epoch. The first six are official: Objects365 twice, Open Images
        # once, Visual Genome three times, ImageNet twice, Flickr30k eight times, the mixed data
        # four times. The weights of the captions were not published; here about once.
        weights=[2.8, 2.0, 1.2, 1.33, 1.2, 2.4, 3.0, 12.0, 1.0],
    ),
    dataset=dict(
        datasets=[
            _base_.objects365,
            openimages,
            visual_genome,
            imagenet,
            _base_.flickr30k_train,
            _base_.mixed_train,
            _base_.cc3m,
            cc12m,
            _base_.sbu,
        ]
    ),
)
