"""Which prompt goes with which picture."""

import numpy as np
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


# --- several texts, several images ----------------------------------------------------------------

AS_NAMES = [["dog", "cat"], ("dog", "cat"), ["A dog runs.", "A cat sits."], np.array(["a", "b"])]
AS_PROMPTS = [
    (["bench . car .", "dog"], {}),
    (["$: coco", "dog"], {}),
    (["dog", "cat"], dict(custom_entities=True)),
    (("a dog", "a cat"), dict(custom_entities=True)),
]


@pytest.mark.parametrize("texts", AS_NAMES)
def test_ambiguous_names_warn(texts, caplog):
    prompts = prompts_for(2, texts)
    assert [prompt.names for prompt in prompts] == [list(texts)] * 2
    (message,) = caplog.messages
    assert "was read as 2 class names for each of the 2 images" in message
    assert "write [[" in message
    # Neither of the suggested forms warns.
    caplog.clear()
    assert len(prompts_for(2, [[text] for text in texts])) == 2
    assert len(prompts_for(2, " . ".join(texts) + " .")) == 2
    assert not caplog.messages


@pytest.mark.parametrize(("texts", "options"), AS_PROMPTS)
def test_ambiguous_prompts_warn(texts, options, caplog):
    prompts = prompts_for(2, texts, **options)
    assert prompts[0] != prompts[1]
    (message,) = caplog.messages
    assert "was read as a prompt for each of the 2 images" in message


@pytest.mark.parametrize(
    ("count", "texts", "options"),
    [
        (2, ["dog . cat .", "bicycle ."], {}),
        (2, [["dog"], ["cat"]], {}),
        (2, [["dog", "cat"], ["bus"]], {}),
        (2, [("dog",), ("cat",)], {}),
        (2, ["$: coco", "$: coco"], {}),
        (2, ["bench. car", "dog"], dict(custom_entities=True)),
        (2, ["a dog", "a cat"], dict(tokens_positive=-1)),
        (2, [Prompt.from_whole_caption("a dog"), "cat ."], {}),
        (1, ["dog", "cat"], {}),
        (3, ["dog", "cat"], {}),
        (1, ["dog"], {}),
        (2, "dog . cat .", {}),
        (2, ["dog"], {}),
    ],
)
def test_clear_lists_do_not_warn(count, texts, options, caplog):
    assert len(prompts_for(count, texts, **options)) == count
    assert not caplog.messages


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([["dog"], 5], "name number 0|as a text"),
        ([["dog"], None], "name number 0|as a text"),
        ([["dog"], []], "the prompt of image number 1: the prompt is empty"),
        ([["dog"], ["cat", 3]], "the prompt of image number 1: expected the prompt as a text"),
        (["dog .", " . "], "the prompt of image number 1: the prompt is empty"),
        ([["dog"]], r"each of 2 images, got 1: \[\['dog'\]\]"),
        ({"dog", "cat"}, "a set has no order"),
        ({"a.jpg": "dog"}, "got dict"),
        (b"dog", "got bytes"),
        (float("nan"), "got float"),
    ],
)
def test_lists_of_something_else(texts, message):
    with pytest.raises(PromptError, match=message):
        prompts_for(2, texts)


def test_doubtful_prompts_of_several_images_give_one_warning(caplog):
    prompts_for(3, [["dog, cat"], ["bus; car"], ["bird"]])
    (message,) = caplog.messages
    assert "1 class name: 'dog, cat'" in message
    assert message.endswith("(1 more prompts like this)")


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    "texts", [["a dog", "a cat", "a bus"], Prompt.from_class_names(["dog"]), "$: coco"]
)
def test_spans_without_a_sentence(count, texts):
    with pytest.raises(PromptError, match=r"tokens_positive are the characters|got 3"):
        prompts_for(count, texts, tokens_positive=[[[0, 1]]])
