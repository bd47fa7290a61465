"""Pickles that would take memory, time or the process, and what they may build."""

import pickle
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glip.checkpoint.restricted_pickle import restricted_loads


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def array(dtype="f8", shape=b"K\x01\x85", content=b"C\x08" + bytes(8), order="<"):
    made = name("numpy", "dtype") + b"(" + text(dtype) + b"\x89\x88tR(K\x03" + text(order)
    made += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    start = name("numpy.core.multiarray", "_reconstruct") + b"(" + name("numpy", "ndarray")
    return start + b"K\x00\x85C\x01btR(K\x01" + shape + made + b"\x89" + content + b"tb"


def doubled(times, wrap=b"]"):
    """A container of twice the previous one, and so on."""
    return wrap + b"".join(b"q%c(h%ch%ct" % (at, at, at) for at in range(times))


OBJECT_DTYPE = name("numpy", "dtype") + b"(" + text("O8") + b"\x89\x88tR"
HISTORY = name("mmengine.logging.history_buffer", "HistoryBuffer") + b")\x81"
MEBIBYTE = text("a" * 2**20)
HOSTILE = {
    "an object dtype with bytes as pointers": array("O8", content=b"C\x08" + b"A" * 8),
    "a state of an object dtype": OBJECT_DTYPE + b"(K\x03X\x01\0\0\0|NNNK\xffK\xffK?tb",
    "a void dtype": array("V8"),
    "a string dtype": array("S8"),
    "a dtype by code": array("float64,object"),
    "another byte order": array(order=">"),
    "an array of a list": array(content=b"]"),
    "an array larger than its bytes": array(shape=b"\x8a\x08" + struct.pack("<q", 2**40) + b"\x85"),
    "an array of negative shape": array(shape=b"J\xff\xff\xff\xff\x85"),
    "the state of an array twice": array() + b"q\x01h\x01b",
    "bytes of 2^40": b"\x8e" + struct.pack("<Q", 2**40),
    "bytes of 2^32": b"B\xff\xff\xff\xff",
    "a text of 2^40": b"\x8d" + struct.pack("<Q", 2**40),
    "a bytearray of 2^40": b"\x96" + struct.pack("<Q", 2**40),
    "a frame of 2^40": b"\x95" + struct.pack("<Q", 2**40),
    "a frame of 2^63": b"\x95" + struct.pack("<Q", 2**63),
    "an integer of 2^31 bytes": b"\x8b\xff\xff\xff\x7f",
    "an integer of 6000 digits": b"I" + b"9" * 6000 + b"\n",
    "deep lists": b"]" * 2000 + b"a" * 1999,
    "many deep lists": b"]" * 200_000 + b"a" * 199_999,
    "many deep dictionaries": b"}" * 200_000,
    "deep lists in lists": (b"](" * 30_000),
    "deep tuples": b")" + b"\x85" * 2000,
    "a list of itself": b"]q\x00h\x00a",
    "a billion laughs": doubled(60),
    "a key that takes for ever": b"}" + doubled(60, b")") + b"K\x01s",
    "keys of one hash": b"}("
    + b"".join(b"\x8a\x0c" + ((2**61 - 1) * k).to_bytes(12, "little") + b"N" for k in range(1, 99))
    + b"u",
    "a billion laughs in a message": name("builtins", "getattr") + doubled(60, b")") + b"N\x86R",
    "the same bytes in many copies": MEBIBYTE
    + b"q\x01"
    + name("_codecs", "encode")
    + b"q\x02]("
    + (b"h\x02h\x01" + text("latin1") + b"\x86R") * 20
    + b"e",
    "another encoding": name("_codecs", "encode") + text("a") + text("rot13") + b"\x86R",
    "the extension registry": b"\x82\x01",
    "a set": b"\x8f",
    "a buffer": b"\x97",
    "an instance": b"(ios\nsystem\n",
    "an object": b"(cos\nsystem\nX\x02\0\0\0lso",
    "keyword arguments": name("collections", "OrderedDict") + b")}\x92",
    "an attribute of a function": name("builtins", "getattr") + b"N}" + text("x") + b"K\x01s\x86b",
    "an attribute of a class": name("mmengine.logging.history_buffer", "HistoryBuffer") + b"}b",
    "an invalid HistoryBuffer": HISTORY + b"}b",
    "a call of a dtype": name("torch", "float32") + b")R",
    "an item of a list": b"]K\x01K\x01s",
    "an item of an array": array() + b"K\x00K\x01s",
    "append to a dict": b"}K\x01a",
    "a persistent object": b"Pabc\n",
    "a class through a module": name("torch", "nn.Module"),
    "nothing on the stack": b"0",
    "no mark": b"t",
    "an absent reference": b"h\x05",
    "a name of a million characters": b"c" + b"a" * 10**6 + b"\nb\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pickles(kind):
    with pytest.raises(pickle.UnpicklingError) as caught:
        restricted_loads(b"\x80\x04" + HOSTILE[kind] + b".")
    assert len(str(caught.value)) < 300


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(0, 9), inner)
    ),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(PLAIN, st.integers(2, 5))
def test_plain_values_stay(value, protocol):
    assert restricted_loads(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u1", "?"])
def test_arrays_stay(protocol, dtype):
    values = {
        "a": np.arange(6).reshape(2, 3).astype(dtype),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3).astype(dtype)),
        "empty": np.zeros((0, 4), dtype),
        "scalar": np.dtype(dtype).type(1),
    }
    values["shared"] = values["a"]
    loaded = restricted_loads(pickle.dumps(values, protocol))
    assert loaded["shared"] is loaded["a"]
    for key, value in values.items():
        assert type(loaded[key]) is type(value)
        assert loaded[key].dtype == value.dtype
        assert np.array_equal(loaded[key], value)


@pytest.mark.parametrize(
    "content", [b"not a pickle", b"Invalid\n.", b"L12x\n.", b"", b"{}", b"\x89PNG\r\n", b"[1, 2]"]
)
def test_files_that_are_no_pickle(content):
    with pytest.raises(pickle.UnpicklingError) as caught:
        restricted_loads(content)
    assert "literal" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(content):
    with suppress(pickle.UnpicklingError):
        restricted_loads(content)
