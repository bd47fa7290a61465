# How data are mixed and prompts are made in pre-training, on the small model that ships: as
# custom_mixed.py, by weight, and with captions of other pictures as negatives. It runs on the same
# two commands' data.
_base_ = "./custom_mixed.py"

packing = dict(type="PackNegativeCaptions", tokenizer_name=_base_.lang_model_name, num_captions=6)
train_pipeline = _base_.train_pipeline
captions = dict(
    _base_.captions.dataset, pipeline=[*train_pipeline[:-1], packing, train_pipeline[-1]]
)
train_dataloader = dict(
    # Half of an epoch of 96 pictures is from your own data, however many there are.
    sampler=dict(_delete_=True, type="WeightedConcatSampler", weights=[2, 1, 1], epoch_length=96),
    dataset=dict(
        datasets=[
            _base_.train_dataloader.dataset.datasets[0],
            captions,
            _base_.detection,
        ]
    ),
)
