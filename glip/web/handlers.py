"""What the page does when a visitor changes something; without gradio, so that it is tested so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from glip.utils.errors import GLIPError, PromptError
from glip.utils.messages import shorten
from glip.utils.options import check_number
from glip.visualization.saving import save_image
from glip.web.answers import Answer
from glip.web.folder import label_archive
from glip.web.markup import message_html, result_html, status_html
from glip.web.models import WebModel
from glip.web.prompts import NAMES, notes_on, read_prompts
from glip.web.settings import WebSettings
from glip.web.snippets import command_of, python_of
from glip.web.visit import Upload, Visit

NO_IMAGE = "Upload, paste or take an image, or click an example."


@dataclass(frozen=True)
class Shown:
    """What a part of the page shows.

    Attributes:
        result: HTML of the image with its boxes, or of a message.
        status: HTML of one line.
        rows: of the table.
        files: the predictions as JSON and the drawn image, none without an answer.
        command: the same detection as a command.
        python: the same as Python.
    """

    result: str
    status: str = ""
    rows: tuple[list[str | float], ...] = ()
    files: tuple[str, ...] = ()
    command: str = ""
    python: str = ""


class Handlers:
    """The actions of a page.

    Args:
        models: by name.
        settings: of the page.
        folder: for the files of visitors, which the server serves.
    """

    def __init__(self, models: Mapping[str, WebModel], settings: WebSettings, folder: Path) -> None:
        self.models = models
        self.settings = settings
        self.folder = folder

    @property
    def first_model(self) -> WebModel:
        """The model that is chosen at the start."""
        return next(iter(self.models.values()))

    def model(self, name: str) -> WebModel:
        """Return a model.

        Raises:
            PromptError: there is none of this name.
        """
        if not isinstance(name, str) or name not in self.models:
            raise PromptError(
                f"there is no model {shorten(name)}: expected one of {', '.join(self.models)}"
            )
        return self.models[name]

    def detect(
        self,
        part: str,
        visit: Visit | None,
        upload: Upload | None,
        kind: str,
        text: str,
        model: str,
    ) -> Visit:
        """Run a model; the answer, or what prevents it, is then in ``visit.answers``.

        Args:
            part: of the page.
            visit: ``None`` for a new visitor, and for one who was away for long.
            upload: the image, ``None`` without one.
            kind: how the text is read, see :func:`~glip.web.prompts.read_prompts`.
            text: of the visitor.
            model: name of the model.
        """
        visit = visit or Visit(self.folder, self.settings.image_limits)
        if upload is None:
            visit.answers[part] = NO_IMAGE
            return visit
        try:
            prompts = read_prompts(text, kind, self.settings)
            visit.detect(part, self.model(model), upload, prompts)
        except GLIPError as error:
            visit.answers[part] = str(error)
        return visit

    def show(self, part: str, visit: Visit | None, score_thr: float) -> Shown:
        """Return what is shown of the last answer; no model runs.

        Args:
            part: of the page.
            visit: the visitor, ``None`` before the first detection.
            score_thr: boxes with lower scores are not shown.
        """
        answer = NO_IMAGE if visit is None else visit.answers.get(part, NO_IMAGE)
        if visit is None or isinstance(answer, str):
            return Shown(message_html(str(answer), is_error=answer != NO_IMAGE))
        try:
            check_number("the threshold", score_thr, low=0, high=1)
        except GLIPError as error:
            return Shown(message_html(str(error), is_error=True))
        notes = notes_on(list(answer.prompts), answer.model.weights)
        return Shown(
            result=result_html(answer, score_thr),
            status=status_html(answer, score_thr, notes),
            rows=tuple(answer.rows(score_thr)),
            files=_write(answer, score_thr, visit.folder / part),
            command=command_of(answer, score_thr),
            python=python_of(answer, score_thr),
        )

    def label(
        self,
        visit: Visit | None,
        upload: Upload | None,
        text: str,
        model: str,
        score_thr: float,
        format_name: str,
    ) -> tuple[Visit, str | None, str]:
        """Label the images of a zip file.

        Args:
            visit: the visitor, ``None`` for a new one.
            upload: the zip file, ``None`` without one.
            text: class names.
            model: name of the model.
            score_thr: smallest score of a label.
            format_name: format of the labels.

        Returns:
            The visit; the zip file of the labels, ``None`` without one; and the report, or why
            there is none.
        """
        visit = visit or Visit(self.folder, self.settings.image_limits)
        if upload is None:
            return visit, None, "Choose a zip file of images."
        try:
            (prompt,) = read_prompts(text, NAMES, self.settings)
            path, report = label_archive(
                upload,
                prompt,
                self.model(model),
                check_number("score_thr", score_thr, low=0, high=1),
                format_name,
                visit.folder,
                self.settings,
            )
        except GLIPError as error:
            return visit, None, str(error)
        return visit, str(path), report


def _write(answer: Answer, score_thr: float, folder: Path) -> tuple[str, str]:
    """Write the predictions and the drawn image; return the paths."""
    folder.mkdir(exist_ok=True)
    stem = PurePath(answer.image.name).stem
    record, drawn = folder / f"{stem}.json", folder / f"{stem}_drawn.jpg"
    record.write_text(answer.to_json(score_thr), encoding="utf-8")
    save_image(drawn, answer.draw(score_thr))
    return str(record), str(drawn)
