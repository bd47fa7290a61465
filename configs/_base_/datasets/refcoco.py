# Referring expressions in MDETR's format, with the images of COCO's train2014.
refcoco = {
    f"{name}_{split}": dict(
        type="MDETRStyleRefCocoDataset",
        data_root="data/coco/",
        ann_file=f"mdetr_annotations/finetune_{name}_{split}.json",
        data_prefix=dict(img="train2014/"),
        test_mode=True,
    )
    for name, splits in (
        ("refcoco", ("val", "testA", "testB")),
        ("refcoco+", ("val", "testA", "testB")),
        ("refcocog", ("val", "test")),
    )
    for split in splits
}
