"""Read a YAML file that a user wrote, with limits and with the line of every value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from glip.utils.errors import ConfigError
from glip.utils.messages import shorten
from glip.utils.regular_files import file_problem

#: Largest file in bytes; a class file with a calibration of LVIS's 1203 classes has about 1 MB.
MAX_BYTES = 16 << 20
#: Mappings and lists inside each other.
MAX_DEPTH = 12
#: libyaml's parser, which PyYAML's wheels have, is about ten times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: The keys and list positions that lead to a value.
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """The content of a YAML file.

    Keys are texts as they are written, so ``no:`` and ``1:`` are the keys ``'no'`` and ``'1'``.

    Attributes:
        path: of the file.
        value: mappings, lists, texts, numbers, booleans and ``None``.
        lines: place of a value -> its line, from 1.
        texts: place of a scalar -> its text as it is written.
    """

    path: str
    value: Any
    lines: dict[Place, int] = field(default_factory=dict)
    texts: dict[Place, str] = field(default_factory=dict)

    def where(self, place: Sequence[str | int] = ()) -> str:
        """Return the file and the line of a value, for a message."""
        line = self.lines.get(tuple(place))
        return f"{self.path}, line {line}" if line else self.path


def read_yaml(path: str | Path) -> YamlFile:
    """Read a YAML file; JSON is YAML too.

    Raises:
        ConfigError: the file is not UTF-8 or not valid YAML, is larger than 16 MiB or nested more
            than 12 levels deep, has a key twice, or has anchors or tags.
        OSError: it cannot be opened.
    """
    problem = file_problem(path)
    if problem:
        raise ConfigError(f"{path} {problem}: expected a YAML file")
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES >> 20} MiB: expected a YAML file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8 text"
        ) from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, path: str) -> YamlFile:
    """Parse the text of a YAML file.

    Args:
        text: the content.
        path: name of the file in messages.

    Raises:
        ConfigError: see :func:`read_yaml`.
    """
    try:
        _check_events(text, path)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise ConfigError(f"{path}{line}: invalid YAML ({problem})") from None
    result = YamlFile(path, None)
    if node is None:
        return result
    return YamlFile(path, _convert(node, (), result), result.lines, result.texts)


def _check_events(text: str, path: str) -> None:
    """Check the nesting before anything recursive reads the text."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        where = f"{path}, line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ConfigError(f"{where}: write the value out; anchors (&, *) are not read")
        if isinstance(event, yaml.NodeEvent) and (getattr(event, "tag", None) or "")[1:]:
            raise ConfigError(f"{where}: remove the tag {shorten(event.tag)}; tags are not read")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ConfigError(f"{where}: nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _convert(node: yaml.Node, place: Place, result: YamlFile) -> Any:
    result.lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        content: dict[str, Any] = {}
        for key, value in node.value:
            where = f"{result.path}, line {key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{where}: expected a text as a key, got a list or a mapping")
            own = (*place, key.value)
            if key.value in content:
                raise ConfigError(
                    f"{where}: the key {shorten(key.value)} is there twice, first in line "
                    f"{result.lines[own]}; keep one"
                )
            content[key.value] = _convert(value, own, result)
            result.lines[own] = key.start_mark.line + 1
        return content
    if isinstance(node, yaml.SequenceNode):
        return [_convert(each, (*place, at), result) for at, each in enumerate(node.value)]
    result.texts[place] = node.value
    return _scalar(node)


def _scalar(node: yaml.ScalarNode) -> Any:
    """Return a number, a boolean, ``None`` or a text; other types, such as dates, stay texts."""
    kind = node.tag.rpartition(":")[2]
    if kind not in ("int", "float", "bool", "null"):
        return node.value
    constructor = yaml.constructor.SafeConstructor()
    try:
        return constructor.construct_object(node)
    except ValueError:  # an integer of more than 4300 digits
        return node.value
