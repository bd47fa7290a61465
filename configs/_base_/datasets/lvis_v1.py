# LVIS v1 with the images of COCO; data/coco/ has the folders train2017, val2017 and annotations.
lvis_val = dict(
    type="LVISV1Dataset",
    ann_file="annotations/lvis_od_val.json",
    data_prefix=dict(img=""),
)
# MDETR's minival split: 5,000 images of val that are also in COCO's val2017.
lvis_minival = dict(lvis_val, ann_file="annotations/lvis_v1_minival_inserted_image_name.json")
# As in the GLIP paper.
lvis_test_cfg = dict(chunked_size=40, max_per_img=300)
