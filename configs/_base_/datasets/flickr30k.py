# Flickr30k Entities in MDETR's format, with the boxes of a phrase kept separate (separateGT).
flickr30k = {
    f"Flickr30k{split.title()}": dict(
        type="Flickr30kDataset",
        data_root="data/flickr30k_entities/",
        ann_file=f"final_flickr_separateGT_{split}.json",
        data_prefix=dict(img="flickr30k_images/"),
        test_mode=True,
    )
    for split in ("val", "test")
}
