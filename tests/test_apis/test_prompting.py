"""Which prompt goes with which picture."""

import pytest

from glip.apis.prompting import prompts_for
from glip.text import Prompt, load_vocabulary
from glip.utils.errors import PromptError


@pytest.mark.parametrize(
    ("texts", "options", "names"),
    [
        ("bench . car .", {}, ["bench", "car"]),
        ("bench. car", dict(custom_entities=True), ["bench", "car"]),
        # A list of plain words is a list of names, however many pictures there are.
        (["bench", "car"], {}, ["bench", "car"]),
        (("bench", "car", "dog"), {}, ["bench", "car", "dog"]),
        ("a dog", dict(tokens_positive=[[[2, 5]]]), ["dog"]),
        ("a dog", dict(tokens_positive=-1), ["a dog"]),
        ("A dog sits by a door.", {}, ["dog", "door"]),
        ("$: coco", {}, list(load_vocabulary("coco"))),
        (Prompt.from_whole_caption("a dog"), {}, ["a dog"]),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_prompt_for_all(texts, options, names, count):
    prompts = prompts_for(count, texts, **options)
    assert [prompt.names for prompt in prompts] == [names] * count


@pytest.mark.parametrize(
    ("texts", "options", "names"),
    [
        (["bench . car .", "dog"], {}, [["bench", "car"], ["dog"]]),
        ([["bench", "car"], ["dog"]], {}, [["bench", "car"], ["dog"]]),
        ([Prompt.from_whole_caption("a dog"), ["cat"]], {}, [["a dog"], ["cat"]]),
        (["bench. car", "dog"], dict(custom_entities=True), [["bench", "car"], ["dog"]]),
        (["$: coco", "$: lvis"], {}, [list(load_vocabulary(n)) for n in ("coco", "lvis")]),
        (["a dog", "my cat"], dict(tokens_positive=-1), [["a dog"], ["my cat"]]),
        (
            ["a dog", "my cat"],
            dict(tokens_positive=[[[[2, 5]]], [[[3, 6]]]]),
            [["dog"], ["cat"]],
        ),
    ],
)
def test_a_prompt_each(texts, options, names):
    assert [prompt.names for prompt in prompts_for(2, texts, **options)] == names


@pytest.mark.parametrize(
    ("texts", "options", "names"),
    [
        (["bench. car"], dict(custom_entities=True), ["bench", "car"]),
        (["$: coco"], {}, list(load_vocabulary("coco"))),
        (["a dog"], dict(tokens_positive=[[[[2, 5]]]]), ["dog"]),
        # Two texts cannot be meant for one picture, so they are names.
        (["bench", "car"], dict(custom_entities=True), ["bench", "car"]),
    ],
)
def test_list_for_one_picture(texts, options, names):
    assert [prompt.names for prompt in prompts_for(1, texts, **options)] == [names]


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (["a .", "b .", "c ."], {}, "each of 2 images, got 3"),
        (["a", "b", "c"], dict(custom_entities=True), "without custom_entities"),
        (["a b", "c d"], dict(tokens_positive=[[[0, 1]]]), "tokens_positive for each of 2"),
        (None, {}, "there is no prompt"),
        ([], {}, "prompt is empty"),
        (7, {}, "as a text"),
        ([1, 2], {}, "as a text"),
        (["$: nothing", "a"], {}, "vocabulary out of"),
    ],
)
def test_prompts_that_do_not_agree(texts, options, message):
    with pytest.raises(PromptError, match=message):
        prompts_for(2, texts, **options)
