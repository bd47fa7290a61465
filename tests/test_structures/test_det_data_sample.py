"""The prompt that a data sample carries."""

import pickle

import pytest
import torch
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.structures import InstanceData

from glip.structures import DetDataSample
from glip.text import Prompt
from glip.utils.errors import PromptError

RESULTS = dict(
    img_id=3,
    img_path="folder/a.jpg",
    img_shape=(40, 60),
    scale_factor=(2.0, 2.0),
    text=("cat", "dog"),
    custom_entities=True,
    caption_prompt=dict(cat=dict(suffix=" with stripes")),
)


@pytest.fixture
def sample():
    sample = DetDataSample.from_results(RESULTS)
    sample.gt_instances = InstanceData(bboxes=torch.zeros(2, 4), labels=torch.tensor([0, 1]))
    return sample


@pytest.mark.parametrize(
    "copied",
    [
        lambda sample: pseudo_collate([dict(data_samples=sample)])["data_samples"][0],
        lambda sample: default_collate([sample])[0],
        lambda sample: pickle.loads(pickle.dumps(sample)),
        lambda sample: sample.to("cpu"),
        lambda sample: sample.cpu(),
        lambda sample: sample.detach(),
        lambda sample: sample.numpy(),
        lambda sample: sample.clone(),
        lambda sample: sample.new(),
    ],
)
def test_the_prompt_stays(sample, copied):
    prompt = sample.prompt
    assert prompt.caption == "cat with stripes. dog"
    found = copied(sample)
    assert found.prompt == prompt
    assert "prompt" in found
    assert found.get("prompt") == prompt
    assert dict(found.metainfo_items()) == RESULTS


def test_no_prompt_in_dictionaries(sample):
    """What is written to files holds plain values."""
    content = sample.to_dict()
    assert content["text"] == ("cat", "dog")
    assert "prompt" not in content
    assert set(content) == {*RESULTS, "gt_instances"}


def test_without_a_prompt():
    sample = DetDataSample.from_results(dict(img_id=1))
    assert "prompt" not in sample
    assert sample.get("prompt") is None
    assert sample.to_dict() == dict(img_id=1)


def test_a_prompt_that_is_given():
    """A prompt under ``text`` is taken as it is; the meta information holds its caption."""
    prompt = Prompt.from_class_names(["cat", "dog"])
    sample = DetDataSample.from_results(dict(text=prompt))
    assert sample.prompt is prompt
    assert sample.to_dict() == dict(text="cat. dog")


@pytest.mark.parametrize(
    ("results", "image"), [(dict(img_path="folder/a.jpg"), "'folder/a.jpg'"), (dict(img_id=7), "7")]
)
def test_bad_prompts_name_the_image(results, image):
    with pytest.raises(PromptError, match=f"image {image}: the prompt is empty"):
        DetDataSample.from_results(dict(text=" ", **results))
