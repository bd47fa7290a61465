"""Errors that a user can fix; each message says what was expected, what came and what to do.

All of them derive from :class:`GLIPError`, so ``except GLIPError`` catches every one. Each also
derives from the built-in error that fits, so ``except ValueError`` works too.
"""

from __future__ import annotations


class GLIPError(Exception):
    """Base class of the library's errors."""


class PromptError(GLIPError, ValueError):
    """A prompt is empty, malformed or too long."""


class TokenizerNotFoundError(GLIPError, RuntimeError):
    """Neither the checkpoint nor ``lang_model_name`` gives a tokenizer."""


class ConfigError(GLIPError, ValueError):
    """A config, an option or a device cannot be used."""


class TuningError(ConfigError):
    """A tuning mode is unknown, or would leave no trainable parameter."""


class PrecisionError(ConfigError):
    """A dtype cannot be computed in on this device."""


class CompileError(GLIPError, RuntimeError):
    """This version of torch cannot compile the model."""


class TrainingError(GLIPError, ValueError):
    """A training cannot start or continue."""


class CheckpointError(GLIPError, ValueError):
    """A file is not a checkpoint of this model."""


class DataError(GLIPError, ValueError):
    """Data do not match the config, or cannot be used."""


class ImageReadError(DataError):
    """An image cannot be read."""


class AnnotationFileError(DataError):
    """An annotation file cannot be used."""


class AnnotationFileNotFoundError(AnnotationFileError, FileNotFoundError):
    """An annotation file does not exist."""


class TarFileError(AnnotationFileError):
    """A tar archive is damaged, truncated or compressed."""


class OdvgRecordError(AnnotationFileError):
    """A record of an ODVG file is invalid.

    Attributes:
        reason: a short text without numbers, the same for all records with this problem.
        detail: what this record holds instead; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple:  # a data-loading worker sends both to the main process
        return type(self), (self.reason, self.detail)


class PairsError(DataError):
    """Images and captions for pseudo-labeling cannot be used."""


class EvaluationMismatchError(DataError):
    """Stored predictions belong to another evaluation."""


class LabelingMismatchError(DataError):
    """The labels at the output belong to another labeling run."""


#: What a command line reports in one line, without a traceback.
USER_ERRORS = (GLIPError, OSError)
