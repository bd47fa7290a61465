# Pre-training on Objects365 as ODVG (tools/dataset_converters/objects365_2odvg.py). The other
# pretrain_*.py add data sets. All paths are relative to data/; docs/pretrain.md lists them.
_base_ = "./coco_train.py"

train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(
        type="RandomSamplingNegPos",
        tokenizer_name="bert-base-uncased",  # the model's; --cfg-options lang_model_name= sets both
        num_sample_negative=85,
        full_sampling_prob=0.5,
        max_tokens=256,
    ),
    _base_.train_pipeline[-1],
]
objects365 = dict(
    type="ODVGDataset",
    data_root="data/",
    ann_file="objects365v1/train.jsonl",
    label_map_file="objects365v1/train_label_map.json",
    data_prefix=dict(img="objects365v1/train/"),
    pipeline=train_pipeline,
)
train_dataloader = dict(
    batch_size=2,  # per GPU, with 32 GPUs: 64 images per step
    num_workers=4,
    dataset=dict(_delete_=True, **objects365),
)
