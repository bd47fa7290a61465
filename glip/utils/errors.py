"""Errors that a user can fix; each message says what was expected, what was found and what to do.

All of them derive from :class:`GLIPError`, so ``except GLIPError`` catches every one. Each also
derives from the built-in error that fits, so ``except ValueError`` works too.
"""

from __future__ import annotations

import re


class GLIPError(Exception):
    """Base class of the library's errors."""


class PromptError(GLIPError, ValueError):
    """A prompt is empty, malformed or too long."""


class DependencyError(GLIPError, ImportError):
    """A package that the library or an option needs is not installed."""


class TokenizerNotFoundError(GLIPError, RuntimeError):
    """Neither the checkpoint nor ``lang_model_name`` provides a tokenizer."""


class ConfigError(GLIPError, ValueError):
    """A config, an option, a device or a dtype cannot be used."""


class ClassFileError(ConfigError):
    """A class file or a list of class names cannot be used."""


class UnknownTypeError(ConfigError, KeyError):
    """No class is registered under the ``type`` of a config."""

    __str__ = Exception.__str__  # that of KeyError is the repr of the message


class TrainingError(GLIPError, ValueError):
    """Training cannot start or continue."""


class CheckpointError(GLIPError, ValueError):
    """A file is not a checkpoint, cannot be read safely, or does not fit the model."""


class ExportError(GLIPError, RuntimeError):
    """An exported model does not detect what the model in torch does."""


class DownloadError(CheckpointError, OSError):
    """A file cannot be downloaded, or is not the expected one."""


class DataError(GLIPError, ValueError):
    """Data do not match the config, or cannot be used."""


class ImageReadError(DataError):
    """An image cannot be read."""


class VideoError(DataError):
    """A video cannot be read, or a stored part of one belongs to another run."""


class AnnotationFileError(DataError):
    """An annotation file cannot be used."""


class AnnotationFileNotFoundError(AnnotationFileError, FileNotFoundError):
    """An annotation file does not exist."""


class TarFileError(AnnotationFileError):
    """A tar archive is damaged, truncated or compressed."""


class OdvgRecordError(AnnotationFileError):
    """A record of an ODVG file is invalid.

    Attributes:
        reason: a short text without values, the same for all records with this problem.
        detail: the invalid value of this record; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple:
        # Pickled when a data-loading worker sends it to the main process.
        return type(self), (self.reason, self.detail)


class StorageError(GLIPError, OSError):
    """A file cannot be written: the disk is full or read-only, or the folder is not writable."""


class EvaluationMismatchError(DataError):
    """Stored predictions belong to another evaluation."""


class LabelingMismatchError(DataError):
    """The labels at the output path belong to another labeling run."""


class OutputInUseError(LabelingMismatchError):
    """Another process is writing the output of a labeling run."""


#: Packages whose tracebacks are not shown with a message that sums up their error.
_LIBRARIES = frozenset(
    [
        "glip",
        "mmengine",
        "mmcv",
        "torch",
        "torchvision",
        "timm",
        "transformers",
        "numpy",
        "PIL",
        "cv2",
        "importlib",
        "copy",
    ]
)
#: What a command line reports in one line, without a traceback.
USER_ERRORS = (GLIPError, OSError)


def summarize(error: BaseException) -> str:
    """Return an error's type and the first sentence of its message.

    For the message of another error that is raised from it.
    """
    if is_out_of_memory(error):
        return "not enough memory"
    # str(KeyError) is the repr of its message.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    text = text.rpartition("WeightsUnpickler error: ")[2]  # torch.load wraps the reason in advice
    sentence = re.split(r"\.\s|\n", text.strip())[0].rstrip(".")[:200]
    return f"{type(error).__name__}: {sentence}" if sentence else type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory cannot be allocated, of the machine or of a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    words = (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "cannot allocate memory",
    )
    return isinstance(error, (RuntimeError, OSError)) and any(each in text for each in words)


def foreign_cause(error: BaseException) -> BaseException | None:
    """Return an error if code of the user raised it, to be shown as the cause of another.

    The traceback of an error inside this library and the libraries that it uses says nothing that
    the message of the other error does not say.
    """
    place = error.__traceback__
    while place is not None:
        package = str(place.tb_frame.f_globals.get("__name__")).partition(".")[0]
        if package not in _LIBRARIES:
            return error
        place = place.tb_next
    return None


def shorten(text: str, length: int = 100) -> str:
    """Return a text for a message: at most ``length`` characters, which can all be printed.

    The middle is left out, because a path or a URL ends with the name that says most. Control
    characters and lone surrogates, which a file name may hold, are escaped.
    """
    if len(text) > length:
        text = f"{text[: length // 2]}...{text[-(length - length // 2 - 3) :]}"
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
