# Objects365, GoldG, and captions (Conceptual Captions 3M, SBU) with a teacher's pseudo-labels of a
# score of at least 0.5. Captions of other images are negatives.
_base_ = "./pretrain_o365_goldg.py"

caption_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(
        type="PackNegativeCaptions",
        tokenizer_name=_base_.train_pipeline[-2].tokenizer_name,
        num_captions=20,
        none_prob=0.4,
        full_prob=0.5,
        max_tokens=256,
    ),
    _base_.train_pipeline[-1],
]
cc3m = dict(
    type="ODVGDataset",
    data_root="data/",
    ann_file="cc3m/pseudo.jsonl",
    data_prefix=dict(img="cc3m/images/"),
    score_thr=0.5,
    pipeline=caption_pipeline,
)
sbu = dict(cc3m, ann_file="sbu/pseudo.jsonl", data_prefix=dict(img="sbu/images/"))
train_dataloader = dict(
    dataset=dict(
        datasets=[_base_.objects365, _base_.flickr30k_train, _base_.mixed_train, cc3m, sbu]
    )
)
