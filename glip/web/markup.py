"""An answer as HTML: the image with its boxes, the phrases, and the caption.

Boxes, phrases and marked words that belong together have the same ``data-phrase``; the script of
the page highlights them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

from glip.text import Prompt
from glip.visualization.palette import label_color, text_color
from glip.web.answers import Answer, Box, FoundPhrase

#: Where the server has the files that it made; relative, so that a proxy may add a prefix.
_FILES = "gradio_api/file="
#: A tag above a box that begins higher than this part of the image would be cut.
_TOP = 0.06


def result_html(answer: Answer, score_thr: float) -> str:
    """Return the image with its boxes, and below it the captions and the phrases.

    Args:
        answer: what was found.
        score_thr: boxes with lower scores are not shown.
    """
    phrases = answer.phrases(score_thr)
    parts = [_image(answer, answer.boxes(score_thr))]
    for at, prompt in enumerate(answer.prompts):
        own = [phrase for phrase in phrases if phrase.prompt == at]
        if len(answer.prompts) > 1:
            parts.append(f'<div class="glip-prompt">{escape(prompt.caption)}</div>')
        elif not prompt.is_class_list:
            parts.append(_caption(prompt, own))
        parts.append(_chips(own))
    return f'<div class="glip-result">{"".join(parts)}</div>'


def message_html(text: str, *, is_error: bool = False) -> str:
    """Return a text that is shown in place of an image."""
    kind = "glip-error" if is_error else "glip-hint"
    return f'<div class="{kind}">{escape(text)}</div>'


def status_html(answer: Answer, score_thr: float, notes: Iterable[str]) -> str:
    """Return how many boxes there are and how long the answer took, and notes on the prompts."""
    count = len(answer.boxes(score_thr))
    how = "image encoded" if answer.encoded else "image kept"
    text = (
        f"{count} box{'' if count == 1 else 'es'} · {answer.model.name} · "
        f"{answer.seconds:.2f} s ({how}) · {answer.image.width} x {answer.image.height}"
    )
    noted = "".join(f'<div class="glip-note">{escape(note)}</div>' for note in notes)
    return f'<div class="glip-status">{escape(text)}</div>{noted}'


def _image(answer: Answer, boxes: Sequence[Box]) -> str:
    source = _FILES + quote(answer.image.path.as_posix())
    # Small boxes last: they lie on top, so that a pointer reaches them.
    ordered = sorted(boxes, key=lambda box: -_area(box))
    tags = "".join(_box(box, answer.image.width, answer.image.height) for box in ordered)
    alt = f"{answer.image.name} with {len(boxes)} boxes"
    # No higher than three quarters of the window.
    style = f"max-width:calc(75vh * {answer.image.width / answer.image.height:.4f})"
    image = f'<img src="{source}" alt="{escape(alt)}">'
    return f'<div class="glip-image" style="{style}">{image}{tags}</div>'


def _area(box: Box) -> float:
    x1, y1, x2, y2 = box.xyxy
    return (x2 - x1) * (y2 - y1)


def _box(box: Box, width: int, height: int) -> str:
    x1, y1, x2, y2 = box.xyxy
    style = (
        f"left:{x1 / width:.3%};top:{y1 / height:.3%};"
        f"width:{(x2 - x1) / width:.3%};height:{(y2 - y1) / height:.3%};{_colors(box.phrase)}"
    )
    # Inside the box where there is no space above it; to the left where there is none at its right.
    inside = " glip-inside" if y1 / height < _TOP else ""
    left = " glip-left" if x1 + x2 > 1.2 * width else ""
    tag = f"<span>{escape(box.name)} {box.score:.2f}</span>"
    data = f'data-phrase="{box.phrase}" style="{style}"'
    return f'<div class="glip-box{inside}{left}" {data}>{tag}</div>'


def _colors(phrase: int) -> str:
    color = label_color(phrase)
    return f"--c:rgb{color};--t:rgb{text_color(color)}".replace(" ", "")


def _chips(phrases: Sequence[FoundPhrase]) -> str:
    chips = []
    for phrase in phrases:
        name = escape(phrase.name)
        if phrase.count:
            what = f"{phrase.count} · {phrase.best:.2f}"
            kind = "glip-chip"
        else:
            # Rounded down: 0.299 is not 0.30, which would have been found.
            what = f"not found · best {int(phrase.best * 100) / 100:.2f}"
            kind = "glip-chip glip-absent"
        chips.append(
            f'<button type="button" class="{kind}" data-phrase="{phrase.number}" '
            f'style="{_colors(phrase.number)}"><i></i>{name} <b>{what}</b></button>'
        )
    return f'<div class="glip-chips">{"".join(chips)}</div>'


def _caption(prompt: Prompt, phrases: Sequence[FoundPhrase]) -> str:
    """Return the caption with its phrases marked; of spans that overlap the first one counts."""
    spans = sorted(
        (start, end, phrase) for phrase in phrases for start, end in phrase.spans
    )  # two phrases never have the same span
    parts, done = [], 0
    for start, end, phrase in spans:
        if start < done:
            continue
        kind = "" if phrase.count else ' class="glip-absent"'
        title = "" if phrase.count else f' title="not found, best {phrase.best:.2f}"'
        parts += [
            escape(prompt.caption[done:start]),
            f'<mark{kind}{title} tabindex="0" data-phrase="{phrase.number}" '
            f'style="{_colors(phrase.number)}">{escape(prompt.caption[start:end])}</mark>',
        ]
        done = end
    parts.append(escape(prompt.caption[done:]))
    return f'<p class="glip-caption">{"".join(parts)}</p>'
