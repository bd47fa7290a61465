"""The same detection as a command and as Python."""

from __future__ import annotations

import shlex

from glip.text import Prompt
from glip.web.answers import Answer


def command_of(answer: Answer, score_thr: float) -> str:
    """Return commands that detect the same, one for each prompt."""
    lines = []
    for at, prompt in enumerate(answer.prompts):
        if prompt.is_class_list:
            option = ["--texts", " . ".join(prompt.names) + " ."]
        else:
            option = ["--caption", prompt.caption]
        words = ["glip", "detect", answer.image.name, "--weights", answer.model.weights]
        words += [*option, "--score-thr", f"{score_thr:g}"]
        if len(answer.prompts) > 1:
            words += ["--out-dir", f"outputs/{at + 1}"]
        lines.append(shlex.join(words))
    return "\n".join(lines)


def python_of(answer: Answer, score_thr: float) -> str:
    """Return Python code that detects the same; the image is encoded once for all prompts."""
    texts = [_text(prompt) for prompt in answer.prompts]
    lines = ["from glip.apis import Predictor"]
    if not all(prompt.is_class_list for prompt in answer.prompts):
        lines.append("from glip.text import Prompt")
    lines += [
        "",
        f"predictor = Predictor(weights={answer.model.weights!r})",
        f"predictor.set_image({answer.image.name!r})",
    ]
    if len(texts) == 1:
        lines += [f"prompt = {texts[0]}", f"sample = predictor.predict(prompt, {_thr(score_thr)})"]
        lines.append("print(sample.to_json())")
    else:
        lines += ["prompts = [", *(f"    {text}," for text in texts), "]"]
        lines += [
            "for prompt in prompts:",
            f"    sample = predictor.predict(prompt, {_thr(score_thr)})",
            "    print(sample.to_json())",
        ]
    return "\n".join(lines)


def _thr(score_thr: float) -> str:
    return f"score_thr={score_thr:g}"


def _text(prompt: Prompt) -> str:
    if prompt.is_class_list:
        return repr(prompt.names)
    return f"Prompt.from_caption({prompt.caption!r})"
