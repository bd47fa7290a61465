"""Load the JSON of a COCO-style annotation file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine import fileio

from glip.datasets import json_keys
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError
from glip.utils.messages import shorten
from glip.utils.regular_files import file_problem

#: The first bytes of a gzip file.
_GZIP = b"\x1f\x8b"


def check_exists(path: str, backend_args: dict[str, Any] | None = None) -> None:
    """Check that an annotation file exists and, if it is local, that it is a regular file.

    Raises:
        AnnotationFileError: It is a folder, a device or a pipe.
        AnnotationFileNotFoundError: It does not; the message names the part of the path that does.
    """
    is_local = "://" not in str(path) and not backend_args
    if is_local and "\0" in str(path):
        raise AnnotationFileError(f"the path {shorten(str(path))} has a NUL character: remove it.")
    if fileio.exists(str(path), backend_args=backend_args):
        problem = file_problem(path) if is_local else None
        if problem:
            raise AnnotationFileError(f"'{path}' {problem}; give the path of the annotation file.")
        return
    existing = ""
    if "://" not in str(path):
        parent = Path(path)
        while not parent.exists() and parent != parent.parent:
            parent = parent.parent
        existing = f" ('{parent}' is the last folder of the path that exists)"
    raise AnnotationFileNotFoundError(
        f"there is no annotation file '{path}'{existing}; check data_root and ann_file."
    )


def not_unicode(path: str, error: UnicodeDecodeError) -> str:
    """Return the message about a file that is in another encoding."""
    return (
        f"the annotation file '{path}' is not in UTF-8 (byte {error.object[error.start]:#x} at "
        f"{error.start}): save it in UTF-8; Python writes it so with open(path, 'w', "
        "encoding='utf-8')"
    )


def load_content(
    path: str,
    backend_args: dict[str, Any] | None = None,
    repeated: list[json_keys.RepeatedKey] | None = None,
    needs_boxes: bool = False,
) -> dict[str, Any]:
    """Load a file in COCO's format; ``images``, ``annotations`` and ``categories`` are lists.

    Args:
        path: Path of the file.
        backend_args: mmengine's file backend and its settings; by default chosen by ``path``.
        repeated: Collects the keys that an object has twice; by default a warning counts them.
        needs_boxes: Whether a file without ``annotations`` is invalid, which else has no boxes.

    Raises:
        AnnotationFileNotFoundError: The file does not exist.
        AnnotationFileError: It is not valid JSON, or not in COCO's format, or has one of the lists
            twice, or lacks the boxes.
    """
    check_exists(path, backend_args)
    try:
        data = fileio.get(str(path), backend_args=backend_args)
        if data.startswith(_GZIP):
            raise AnnotationFileError(
                f"'{path}' is invalid JSON: it is compressed; unpack it first."
            )
        content, found = json_keys.loads(data)
    except AnnotationFileError:
        raise
    except MemoryError:
        raise AnnotationFileError(
            f"the annotation file '{path}' does not fit into the memory; split it by images, or "
            "convert it to ODVG records, which are read one by one."
        ) from None
    except RecursionError:
        raise AnnotationFileError(
            f"the annotation file '{path}' is invalid JSON: it is nested too deeply."
        ) from None
    except UnicodeDecodeError as error:
        raise AnnotationFileError(not_unicode(path, error)) from None
    except ValueError as error:  # also a number of thousands of digits
        raise AnnotationFileError(
            f"the annotation file '{path}' is invalid JSON ({shorten(str(error), 200)[1:-1]}); "
            "copy or download it again."
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        keys = sorted(content)[:20] if isinstance(content, dict) else type(content).__name__
        raise AnnotationFileError(
            f"'{path}' is not an annotation file in COCO's format: expected an object with "
            f"'images', 'annotations' and 'categories', got {shorten(keys, 200)}. A list is "
            "COCO's format of results, not of annotations."
        )
    for each in found:
        if each.entry is content:
            raise AnnotationFileError(
                f"'{path}' has {shorten(each.key, 40)} {len(each.values)} times: only the last one "
                "would be read; merge them, as after joining files, into one."
            )
    if repeated is None:
        json_keys.warn(path, found)
    else:
        repeated.extend(found)
    for key in ("annotations", "categories"):
        if content.get(key) is None:
            if key == "annotations" and needs_boxes:
                raise AnnotationFileError(f"'{path}' has no list 'annotations': expected the boxes")
            content[key] = []
        elif not isinstance(content[key], list):
            raise AnnotationFileError(
                f"'{path}' is not an annotation file in COCO's format: expected '{key}' as a list, "
                f"got {shorten(content[key])}."
            )
    return content
