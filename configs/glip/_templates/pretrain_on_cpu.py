# The data mixture and the prompts of pre-training, with the small model of this repository:
# custom_mixed.py with data sets sampled by weight, and with captions of other images as negatives.
# It runs on the data of the same two commands.
_base_ = "./custom_mixed.py"

packing = dict(type="PackNegativeCaptions", tokenizer_name=_base_.lang_model_name, num_captions=6)
train_pipeline = _base_.train_pipeline
captions = dict(
    _base_.captions.dataset, pipeline=[*train_pipeline[:-1], packing, train_pipeline[-1]]
)
train_dataloader = dict(
    # Half of the 96 images of an epoch are your own data, however many there are.
    sampler=dict(_delete_=True, type="WeightedConcatSampler", weights=[2, 1, 1], epoch_length=96),
    dataset=dict(
        datasets=[
            _base_.train_dataloader.dataset.datasets[0],
            captions,
            _base_.detection,
        ]
    ),
)
