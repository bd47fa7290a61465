"""The errors, and the summary of one in the message of another."""

from __future__ import annotations

import pickle

import pytest

from glip.utils import errors
from glip.utils.errors import GLIPError, OdvgRecordError, summarize


def test_every_error_derives_from_the_base_and_a_builtin():
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    for each in set(classes) - {GLIPError}:
        assert issubclass(each, GLIPError)
        assert issubclass(each, (ValueError, RuntimeError, OSError, ImportError))


def test_record_error_survives_pickling():
    """A data-loading worker pickles it to send it to the main process."""
    copy = pickle.loads(pickle.dumps(OdvgRecordError("no regions", "line 3")))
    assert (str(copy), copy.reason, copy.detail) == ("no regions (line 3)", "no regions", "line 3")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("A is not there. Please check."), "KeyError: A is not there"),
        (ValueError("one\ntwo"), "ValueError: one"),
        (TypeError("f() got 1.5 of them."), "TypeError: f() got 1.5 of them"),
        (AssertionError(), "AssertionError"),
        (KeyError(), "KeyError"),
        (
            ValueError("Weights only load failed.\nWeightsUnpickler error: Unsupported op."),
            "ValueError: Unsupported op",
        ),
    ],
)
def test_summary_is_the_type_and_the_first_sentence(error, text):
    assert summarize(error) == text
