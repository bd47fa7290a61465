"""The reader of tar archives: what it returns, skips and refuses."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from contextlib import suppress
from unittest import mock

import pytest

from glip.converters.captions import _tar_pairs
from glip.datasets.odvg.sources import iter_records
from glip.labeling import open_pairs
from glip.utils.errors import DataError, TarFileError
from glip.utils.tar_files import TarMember, iter_members


def write_tar(path, members, **options):
    """Write members: a name with content, or a TarInfo without."""
    with tarfile.open(path, "w", **options) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 7
            tar.addfile(info, io.BytesIO(content))
    return path


def special(name, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "a.txt"
    return info


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_members(tmp_path, format):
    long = "long " * 30 + "ä/" + "b" * 90 + ".jpg"  # beyond the 100 characters of a header
    contents = {"./a.txt": b"1", long: b"x" * 1000, "b.seg.PNG": b"", "c": b"3"}
    if format == tarfile.USTAR_FORMAT:
        contents.pop(long)
    path = write_tar(tmp_path / "a.tar", contents.items(), format=format)
    members = list(iter_members(path))
    assert {member.name: member.read() for member in members} == contents
    content = path.read_bytes()
    for member in members:
        assert content[member.offset :][: member.size] == contents[member.name]
        assert (member.archive, member.mtime) == (str(path), 7)
    assert str(members[0].path) == "a.txt"


@pytest.mark.parametrize(
    ("name", "key", "extension"),
    [
        ("a.jpg", "a", ".jpg"),
        ("./x/a.seg.PNG", "x/a", ".seg.png"),
        ("x.y/a", "x.y/a", ""),
        ("x/.hidden", "x", ".hidden"),
    ],
)
def test_keys(tmp_path, name, key, extension):
    (member,) = iter_members(write_tar(tmp_path / "a.tar", [(name, b"")]))
    assert (member.key, member.extension) == (key, extension)


@pytest.mark.parametrize(
    ("name", "safe"),
    [("a/b.jpg", True), ("a..b", True), ("/etc/a", False), ("../a", False), ("a/../../b", False)],
)
def test_paths_out_of_the_folder(tmp_path, name, safe):
    (member,) = iter_members(write_tar(tmp_path / "a.tar", [(name, b"")]))
    assert member.is_safe is safe


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
    ],
)
def test_other_kinds_are_skipped(tmp_path, kind):
    members = [("a.txt", b"1"), special("b", kind), ("c.txt", b"2")]
    path = write_tar(tmp_path / "a.tar", members)
    assert [member.name for member in iter_members(path)] == ["a.txt", "c.txt"]


def test_sparse_files_are_skipped(tmp_path):
    sparse = tarfile.TarInfo("sparse.jpg")
    sparse.pax_headers = {
        "GNU.sparse.map": "0,1",
        "GNU.sparse.size": "9",
        "GNU.sparse.numblocks": "1",
    }
    path = write_tar(tmp_path / "a.tar", [sparse, ("a.txt", b"1")], format=tarfile.PAX_FORMAT)
    assert [member.name for member in iter_members(path)] == ["a.txt"]


@pytest.mark.parametrize("left", [3, 700, 1500, 1536])
def test_a_truncated_archive(tmp_path, left):
    """Members before the damage are returned, then an error is raised."""
    path = write_tar(tmp_path / "a.tar", [("a", b"1"), ("b", b"2" * 600), ("c", b"3")])
    path.write_bytes(path.read_bytes()[:left])
    contents = []

    def read_all():
        for member in iter_members(path):
            contents.append(member.read())

    with pytest.raises(TarFileError, match="a complete, uncompressed archive"):
        read_all()
    assert contents == ([] if left == 3 else [b"1"])


def test_a_damaged_header(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("a", b"1"), ("b", b"2"), ("c", b"3")])
    content = bytearray(path.read_bytes())
    content[1024 + 150] ^= 1  # in the checksum of the second header
    path.write_bytes(content)
    with pytest.raises(TarFileError, match="damaged or truncated at byte 1024"):
        list(iter_members(path))


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_compressed_archives_are_refused(tmp_path, mode):
    with tarfile.open(tmp_path / "a.tar", mode) as tar:
        tar.addfile(tarfile.TarInfo("a"))
    with pytest.raises(TarFileError, match="without compression"):
        list(iter_members(tmp_path / "a.tar"))


def test_a_missing_archive(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(iter_members(tmp_path / "a.tar"))


def test_memory_does_not_grow(tmp_path):
    path = write_tar(tmp_path / "a.tar", [(f"{number}.txt", b"1") for number in range(4000)])
    tracemalloc.start()
    assert sum(1 for _ in iter_members(path)) == 4000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


def header(name, size, kind=b"0"):
    """A header block of a tar archive that announces any size, also a negative one."""
    block = tarfile.TarInfo(name)
    block.type = kind
    data = bytearray(block.tobuf(tarfile.GNU_FORMAT))
    data[124:136] = (
        size.to_bytes(12, "big", signed=True) if size < 0 else b"\x80" + size.to_bytes(11, "big")
    )
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


@pytest.mark.parametrize("kind", [b"0", b"x", b"g", b"L", b"K", b"S", b"5", b"7"])
@pytest.mark.parametrize("size", [-1, -512, -(2**62), 2**33, 2**40, 2**62, 2**80])
def test_announced_sizes(kind, size, tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(header("a.jpg", size, kind) + bytes(512) + header("b.jpg", 3) + bytes(1536))
    with suppress(TarFileError):  # folders and sparse files are skipped
        assert {member.read() for member in iter_members(path)} <= {bytes(3)}


@pytest.mark.parametrize("content", ["1\n", "x\n", "999999999\n1\n", "2\n0\n1\n5\n"])
def test_damaged_sparse_files(content, tmp_path):
    path = tmp_path / "a.tar"
    info = tarfile.TarInfo("a.jpg")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": "9" * 15,
    }
    info.size = 512
    path.write_bytes(
        info.tobuf(tarfile.PAX_FORMAT) + content.encode().ljust(512, b"\0") + bytes(1024)
    )
    with suppress(TarFileError):
        assert list(iter_members(path)) == []


def test_archives_are_regular_files(tmp_path):
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(TarFileError, match="not a regular file"):
        list(iter_members(tmp_path / "a.tar"))


def test_texts_that_are_too_long(tmp_path, monkeypatch):
    """No reader takes memory for a text that no caption or record has."""
    record = b'{"filename": "a.png", "height": 6, "width": 8, "detection": {"instances": []}}'
    for module in ("labeling.pairs", "converters.captions", "datasets.odvg.sources"):
        monkeypatch.setattr(f"glip.{module}.MAX_TEXT", 10)
    shard = write_tar(tmp_path / "0.tar", [("a.png", b"image"), ("a.json", record)])
    monkeypatch.setattr(TarMember, "read", lambda self: pytest.fail("the text was read"))
    with pytest.raises(DataError, match="with captions of more than 64 MiB"):
        open_pairs(shard)
    (error,) = (each.error for each in iter_records(str(shard)))
    assert "more than 64 MiB" in str(error)
    report = mock.Mock()
    assert list(_tar_pairs(shard, tmp_path / "out", "caption", report)) == []
    assert "too large" in report.exclude.call_args.args[1]
