# Fine-tune on your own data without forgetting the rest: as your copy of custom_coco_finetune.py,
# with other data mixed in, whose prompts have other words. As it stands, it runs on the examples.
_base_ = "./finetune_on_cpu.py"  # your copy

# Best some of what the model was pre-trained on: captions with their phrases (MDETR's format), or
# detection data with many names. `times` sets how much of an epoch each part is.
other = dict(
    type="RepeatDataset",
    times=8,
    dataset=dict(
        type="Flickr30kDataset",
        data_root="data/examples/flickr30k_entities/",
        ann_file="final_flickr_separateGT_train.json",
        data_prefix=dict(img="flickr30k_images/"),
        test_mode=False,
        pipeline=_base_.train_pipeline,
    ),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        datasets=[_base_.train_dataloader.dataset, other],
    )
)
