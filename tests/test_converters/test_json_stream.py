"""Reading large JSON files entry by entry."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glip.converters import json_stream
from glip.converters.json_stream import stream_entries
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
OBJECTS = st.fixed_dictionaries(
    dict(info=VALUES, images=st.lists(VALUES, max_size=5), annotations=st.lists(VALUES, max_size=5))
).flatmap(lambda content: st.permutations(list(content.items())).map(dict))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("json") / "a.json"


@settings(deadline=None, max_examples=100)
@given(
    content=OBJECTS,
    chunk=st.integers(1, 40),
    indent=st.none() | st.just(2),
    ascii_only=st.booleans(),
)
def test_as_json_reads_it(path, content, chunk, indent, ascii_only):
    """Wherever a chunk ends: in a number, an escape, a key or whitespace."""
    text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = list(stream_entries(path, "images", "annotations", chunk=chunk))
    for key in ("images", "annotations"):
        assert [entry for name, entry in found if name == key] == content[key]


@settings(deadline=None, max_examples=50)
@given(content=st.lists(VALUES, max_size=5), chunk=st.integers(1, 40))
def test_a_list(path, content, chunk):
    path.write_text(json.dumps(content), encoding="utf-8")
    assert [entry for _, entry in stream_entries(path, chunk=chunk)] == content


@settings(deadline=None, max_examples=50)
@given(data=st.data(), chunk=st.integers(1, 40))
def test_every_truncation_is_detected(path, data, chunk):
    text = json.dumps(dict(images=[dict(id=1, name="a\u00e9"), 25], more=[1.5, {}]))
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    path.write_text(cut, encoding="utf-8")
    with pytest.raises(AnnotationFileError):
        list(stream_entries(path, "images", chunk=chunk))


def test_a_broken_entry_does_not_fill_the_memory(path, monkeypatch):
    """Reading stops a limited distance behind a missing quote, not at the end of the file."""
    monkeypatch.setattr(json_stream, "MAX_ENTRY_CHARS", 1000)
    path.write_text('{"images": ["a, ' + "1, " * 100000 + "]}")
    reader = stream_entries(path, "images", chunk=100)
    with pytest.raises(AnnotationFileError, match=r"not valid JSON .* at character 12"):
        list(reader)


@pytest.mark.parametrize("text", ['{"images": [1,]}', '{"images": [1],}', '{"images": [,1]}'])
def test_commas_without_a_value(path, text):
    path.write_text(text)
    with pytest.raises(AnnotationFileError, match="not valid JSON"):
        list(stream_entries(path, "images"))


def test_byte_order_mark(path):
    path.write_text('{"images": [1]}', encoding="utf-8-sig")
    assert list(stream_entries(path, "images")) == [("images", 1)]


def test_other_encodings(path):
    """UTF-16 is read, as by json.loads; a compressed file is an error, not garbage."""
    path.write_bytes("[1]".encode("utf-16"))
    assert list(stream_entries(path)) == [("", 1)]
    path.write_bytes(gzip.compress(b"[1]"))
    with pytest.raises(AnnotationFileError, match=r"not valid JSON .*utf-8"):
        list(stream_entries(path))


def test_what_is_wrong(path):
    with pytest.raises(AnnotationFileNotFoundError):
        list(stream_entries(path.with_name("none.json")))
    path.write_bytes(b'["\xff"]')
    with pytest.raises(AnnotationFileError, match=r"is not in UTF-8 \(byte 0xff at 2\)"):
        list(stream_entries(path))
    path.write_text("[" * 100000)
    with pytest.raises(AnnotationFileError, match="not valid JSON"):
        list(stream_entries(path))
    path.write_text("{1: []}")
    with pytest.raises(AnnotationFileError, match="expected a key in quotes"):
        list(stream_entries(path, "images"))
