"""Read classes: a YAML file, a list of names in a text file, or names on the command line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from glip.classes.calibration import Calibration, ScoreMap
from glip.classes.class_file import DEFAULT_NMS, ClassFile, LabelClass
from glip.text.parse import is_class_text
from glip.text.prompt import split_class_text
from glip.text.vocabulary import load_vocabulary, parse_vocabulary_shorthand
from glip.utils.errors import ClassFileError, ConfigError
from glip.utils.messages import shorten
from glip.utils.options import check_bool, check_keys
from glip.utils.regular_files import file_problem
from glip.utils.yaml_file import MAX_BYTES, Place, YamlFile, parse_yaml, read_yaml

YAML_EXTENSIONS = (".yaml", ".yml", ".json")
#: A line of YAML or JSON, which no class name looks like.
_YAML_LINE = re.compile(r":$|: *[\[{!&]|^[\[{]")
#: Keys of a class in a file -> attribute of :class:`LabelClass`.
_CLASS_KEYS = {
    each.name.rstrip("_"): each.name for each in fields(LabelClass) if each.name != "name"
}
#: Keys of a file that has them beside ``classes``.
_FILE_KEYS = ("classes", "threshold", "nms", "class_agnostic", "calibration")
_EXPECTED = (
    "expected class names, `NAME: {}` a line each, or `classes:` with the names below it, or a "
    "list of names"
)


def load_classes(source: str | os.PathLike | Sequence[str] | Mapping[str, Any]) -> ClassFile:
    """Return classes from whatever names them.

    Args:
        source: a file (see :func:`read_class_file`), period-separated class names
            (``'bench . car .'``), ``'$: coco'``, a single class name, a list of names, or a
            dictionary with the content of a class file: ``{'car': {'prompts': ['car', 'van']}}``.

    Raises:
        ClassFileError: it is something else, or the file is invalid.
    """
    if isinstance(source, os.PathLike):
        return read_class_file(source)
    if isinstance(source, Mapping):
        return _from_mapping(source)
    if not isinstance(source, str):
        return ClassFile(tuple(LabelClass(name) for name in _check_list(source)))
    if source.lower().endswith((*YAML_EXTENSIONS, ".txt")) or os.path.isfile(source):
        return read_class_file(source)
    vocabulary = parse_vocabulary_shorthand(source)
    if vocabulary is not None:
        return ClassFile(tuple(LabelClass(name) for name in load_vocabulary(vocabulary)))
    if not is_class_text(source) and ("," in source or os.sep in source):
        raise ClassFileError(
            f"expected the classes as a file or as 'bench . car .', got {shorten(source)}, which "
            "is neither"
        )
    return ClassFile(tuple(LabelClass(name) for name in split_class_text(source)))


def read_class_file(path: str | os.PathLike) -> ClassFile:
    """Read a class file.

    Args:
        path: ``.yaml``, ``.yml`` or ``.json`` with classes, see ``docs/label.md``; or ``.txt``
            with a class name in each line.

    Raises:
        ClassFileError: the file is invalid; the message names the line.
        OSError: it cannot be opened.
    """
    path = Path(path)
    problem = file_problem(path)
    if problem:
        raise ClassFileError(f"the class file '{path}' {problem}")
    if path.suffix.lower() == ".txt":
        return _read_names(path)
    if path.suffix.lower() not in YAML_EXTENSIONS:
        raise ClassFileError(
            f"expected a class file with the extension .yaml, .yml, .json or .txt, got '{path}'"
        )
    try:
        file = read_yaml(path)
    except ConfigError as error:
        raise ClassFileError(str(error)) from None
    return _from_yaml(file)


def _check_list(source: object) -> Iterable[str]:
    """Check that names are in an order of their own, from which the labels are counted."""
    if not isinstance(source, Iterable) or isinstance(source, (bytes, bytearray, Set)):
        raise ClassFileError(
            "expected the classes as a file, a text 'bench . car .', a list of names or a "
            f"dictionary, got {shorten(source)}"
        )
    return source


def _from_mapping(source: Mapping[str, Any]) -> ClassFile:
    """Return the classes of a dictionary, with the checks of a file."""
    names = source.get("classes", source)
    for key in names if isinstance(names, Mapping) else ():
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            # YAML's safe_load makes False of the name `no`.
            raise ClassFileError(f"expected class names as texts, got {shorten(key)}")
    try:
        text = json.dumps(source, ensure_ascii=False, default=_number)
        file = parse_yaml(text, "the classes")
    except (TypeError, ValueError, RecursionError) as error:  # other types, a circle
        raise ClassFileError(
            f"expected the classes as texts, numbers, lists and dictionaries, got {error}"
        ) from None
    except ConfigError as error:
        raise ClassFileError(str(error)) from None
    classes = _from_yaml(replace(file, lines=dict.fromkeys(file.lines, 0)))
    return replace(classes, path="", lines={})


def _number(value: Any) -> float:
    """Return the number of numpy or torch for JSON.

    Raises:
        TypeError: it is something else.
    """
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{shorten(value)}, a {type(value).__name__}")


def _from_yaml(file: YamlFile) -> ClassFile:
    path = file.path
    value = file.value
    if isinstance(value, list):
        return _make_file(file, _list_of_names(file, ()), {})
    if not isinstance(value, dict) or not value:
        raise ClassFileError(f"{path}: {_EXPECTED}, got {shorten(value)}")
    if "classes" not in value:
        return _make_file(file, _classes(file, value, ()), {})
    with _at(file, ()):
        check_keys("the file", value, _FILE_KEYS)
    classes = value["classes"]
    if isinstance(classes, list):
        return _make_file(file, _list_of_names(file, ("classes",)), value)
    if not isinstance(classes, dict) or not classes:
        raise ClassFileError(f"{file.where(('classes',))}: {_EXPECTED}, got {shorten(classes)}")
    return _make_file(file, _classes(file, classes, ("classes",)), value)


def _make_file(
    file: YamlFile, classes: dict[str, tuple[LabelClass, int]], value: Mapping[str, Any]
) -> ClassFile:
    """Return the classes with the settings of the file; the place is in the error of each."""
    options = dict(
        threshold=value.get("threshold"),
        nms=value.get("nms", DEFAULT_NMS),
        class_agnostic=value.get("class_agnostic", False),
    )
    with _at(file, ("class_agnostic",)):
        check_bool("class_agnostic", options["class_agnostic"])
    for name in ("threshold", "nms"):  # each alone, so that an error has its line
        with _at(file, (name,)):
            ClassFile((LabelClass("any"),), **{name: options[name]})
    calibration = None
    if value.get("calibration") is not None:
        calibration = _calibration(file, value["calibration"])
    return ClassFile(
        tuple(each for each, _ in classes.values()),
        calibration=calibration,
        path=file.path,
        lines={name: line for name, (_, line) in classes.items()},
        **options,
    )


def _classes(
    file: YamlFile, value: Mapping[str, Any], place: Place
) -> dict[str, tuple[LabelClass, int]]:
    """Return the classes of a mapping ``NAME: {...}``, and their lines."""
    found: dict[str, tuple[LabelClass, int]] = {}
    for name, content in value.items():
        own = (*place, name)
        if not isinstance(content, dict) and content is not None:
            hint = ""
            if name in _FILE_KEYS:
                hint = f"; to set {name} for all classes, put the classes below `classes:`"
            raise ClassFileError(
                f"{file.where(own)}: expected {name}: {{}} or its keys "
                f"({', '.join(_CLASS_KEYS)}), got {shorten(content)}{hint}"
            )
        content = content or {}
        with _at(file, own, f"class {shorten(name)}: "):
            check_keys("the class", content, _CLASS_KEYS)
            for key in ("prompts", "not"):
                if key in content:
                    content = content | {key: _texts(file, (*own, key), content[key])}
            if content.get("prompts") == ():
                raise ClassFileError("prompts is empty: remove the key for the name as the prompt")
            arguments = {_CLASS_KEYS[key]: each for key, each in content.items()}
            found[name] = LabelClass(name, **arguments), file.lines[own]
    return found


def _list_of_names(file: YamlFile, place: Place) -> dict[str, tuple[LabelClass, int]]:
    """Return the classes of a list of names, and their lines."""
    value = file.value["classes"] if place else file.value
    found: dict[str, tuple[LabelClass, int]] = {}
    for at in range(len(value)):
        own = (*place, at)
        with _at(file, own):
            if own not in file.texts:
                raise ClassFileError(
                    f"expected a class name, got {shorten(value[at])}: with further keys write a "
                    "mapping, `NAME: {...}`, without dashes"
                )
            name = file.texts[own]
            if name in found:
                raise ClassFileError(f"the class {shorten(name)} is there twice: keep one")
            found[name] = LabelClass(name), file.lines[own]
    return found


def _read_names(path: Path) -> ClassFile:
    """Read a text file of one class name a line; empty lines are skipped."""
    with open(path, "rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ClassFileError(f"{path} is larger than {MAX_BYTES >> 20} MiB: expected class names")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ClassFileError(
            f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8"
        ) from None
    found: dict[str, tuple[LabelClass, int]] = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if not name:
            continue
        try:
            if _YAML_LINE.search(name):
                raise ClassFileError(
                    f"{shorten(name)} reads as YAML: name the file .yaml, or write only the name"
                )
            if name in found:
                raise ClassFileError(f"the class {shorten(name)} is there twice: keep one")
            found[name] = LabelClass(name), number
        except ConfigError as error:
            raise ClassFileError(f"{path}, line {number}: {error}") from None
    return _make_file(YamlFile(str(path), None), found, {})


def _texts(file: YamlFile, place: Place, value: Any) -> tuple[str, ...]:
    """Return a text or a list of texts as they are written: ``no`` and ``7`` are words here."""
    if place in file.texts and value is not None:
        return (file.texts[place],)
    if not isinstance(value, list):
        raise ClassFileError(f"expected {place[-1]} as a list of phrases, got {shorten(value)}")
    places: list[Place] = [(*place, at) for at in range(len(value))]
    if None in value or not all(each in file.texts for each in places):
        raise ClassFileError(f"expected {place[-1]} as a list of phrases, got {shorten(value)}")
    return tuple(file.texts[each] for each in places)


def _calibration(file: YamlFile, value: Any) -> Calibration:
    place: Place = ("calibration",)
    with _at(file, place, "calibration: "):
        if not isinstance(value, dict):
            raise ClassFileError(f"expected binding and probabilities, got {shorten(value)}")
        check_keys("it", value, ("binding", "probabilities", "presence"))
        binding, maps = value.get("binding"), value.get("probabilities")
        if not isinstance(binding, dict) or not binding:
            raise ClassFileError(f"expected binding as a mapping, got {shorten(binding)}")
        if any(isinstance(each, (dict, list)) for each in binding.values()):
            raise ClassFileError("expected texts and numbers in binding")
    return Calibration(
        binding,
        _score_maps(file, "probabilities", maps),
        _score_maps(file, "presence", value.get("presence", {})),
    )


def _score_maps(file: YamlFile, key: str, maps: Any) -> dict[str, ScoreMap]:
    if not isinstance(maps, dict):
        raise ClassFileError(
            f"{file.where(('calibration',))}: calibration: expected {key} as a mapping, got "
            f"{shorten(maps)}"
        )
    found = {}
    for name, each in maps.items():
        with _at(file, ("calibration", key, name), f"{key} of {shorten(name)}: "):
            if not isinstance(each, dict):
                raise ClassFileError(f"expected isotonic or platt, got {shorten(each)}")
            check_keys("it", each, ("isotonic", "platt"))
            points, platt = each.get("isotonic"), each.get("platt")
            if points is not None and not isinstance(points, list):
                raise ClassFileError(f"expected a list of points, got {shorten(points)}")
            found[name] = ScoreMap(
                tuple((x, y) for x, y in map(_pair, points)) if points else (),
                None if platt is None else _pair(platt),
            )
    return found


def _pair(value: Any) -> tuple[float, float]:
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 2 or any(
        isinstance(each, bool) or not isinstance(each, (int, float)) for each in numbers
    ):
        raise ClassFileError(f"expected two numbers, got {shorten(value)}")
    return float(numbers[0]), float(numbers[1])


@contextmanager
def _at(file: YamlFile, place: Place, prefix: str = "") -> Iterator[None]:
    """Put the file, the line and a prefix before the message of an error."""
    try:
        yield
    except ConfigError as error:
        raise ClassFileError(f"{file.where(place)}: {prefix}{error}") from None
