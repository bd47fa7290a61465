"""Read the files of ``torch.save`` without ``torch.load``.

``torch.load`` takes memory for what a file announces before it checks what the file has, inflates
compressed records, and accepts a different set of objects in each version. Here sizes are compared
with the file first, a record is a range of bytes of the file, and its checksum can be verified.
"""

from __future__ import annotations

import io
import mmap
import os
import zipfile
import zlib
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from glip.checkpoint.pickle_checks import RefusedObjectError, UnsupportedContentError
from glip.checkpoint.restricted_pickle import RestrictedUnpickler
from glip.utils.errors import shorten

_ZIP_MAGIC = b"PK\x03\x04"
#: The first byte of a pickle of protocol 2, which the legacy format has.
_PICKLE_MAGIC = b"\x80"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
#: Bytes of a record that are read and summed at once; they stay in the processor's cache.
_BLOCK = 1 << 20


def load_torch_file(path: Path, *, mapped: bool, verify: bool) -> Any:
    """Return the content of a file that ``torch.save`` wrote, in the zip or the legacy format.

    Args:
        path: a regular file.
        mapped: memory-map the tensors of a zip file rather than read them.
        verify: compare the tensors of a zip file with their checksums.

    Raises:
        RefusedObjectError: the file holds more than data.
        Exception: the file is damaged; it can raise any exception.
    """
    with open(path, "rb") as file:
        magic = file.read(4)
        if magic == _ZIP_MAGIC:
            return _ZipReader(path, file, mapped=mapped, verify=verify).load()
        if magic and not magic.startswith(_PICKLE_MAGIC):
            raise UnpicklingError("it is neither a zip archive nor a pickle")
        return _load_legacy(file)


class _Storages(dict[str, tuple[Tensor, int]]):
    """Storages by key, with the bytes of an item; together they are not larger than their file."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size

    def allocate(self, key: str, number: int, itemsize: int) -> Tensor:
        """Return the bytes (n,) uint8 of a storage of so many items, to be filled."""
        if key in self:
            storage = self[key][0]
            if storage.numel() != number * itemsize:
                raise UnpicklingError("a storage has two lengths")
            return storage
        self._left -= number * itemsize
        if self._left < 0:
            raise UnpicklingError("the tensors are larger than the file")
        self[key] = torch.empty(number * itemsize, dtype=torch.uint8), itemsize
        return self[key][0]


class _ZipReader:
    """A file of torch's zip format: ``NAME/data.pkl`` and a record of bytes for each storage."""

    def __init__(self, path: Path, file: BinaryIO, *, mapped: bool, verify: bool) -> None:
        self._file = file
        self._verify = verify
        self._size = os.fstat(file.fileno()).st_size
        self._zip = zipfile.ZipFile(file)
        entries = self._zip.infolist()
        self._records = {entry.filename: entry for entry in entries}
        if len(self._records) != len(entries):
            raise UnpicklingError("two records have the same name")
        pickles = [name for name in self._records if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise UnpicklingError("a zip archive without data.pkl")
        self._folder = pickles[0].removesuffix("data.pkl")
        if f"{self._folder}constants.pkl" in self._records:
            raise RefusedObjectError("it is a TorchScript program")
        order = self._records.get(f"{self._folder}byteorder")
        if order is not None and self._content(order) != b"little":
            raise UnpicklingError("the byte order is not little-endian")
        self._mapped: torch.UntypedStorage | None = None
        if mapped:
            self._mapped = torch.UntypedStorage.from_file(os.fspath(path), False, self._size)  # type: ignore[assignment]
        self._storages = _Storages(self._size)

    def load(self) -> Any:
        """Return the unpickled content."""
        content = self._content(self._records[f"{self._folder}data.pkl"])
        return RestrictedUnpickler(io.BytesIO(content), self._size, self._load_storage).load()

    def _content(self, entry: zipfile.ZipInfo) -> bytes:
        """Return a record after comparing its checksum."""
        self._file.seek(self._start(entry))
        content = self._file.read(entry.file_size)
        self._compare(entry, zlib.crc32(content))
        return content

    def _compare(self, entry: zipfile.ZipInfo, checksum: int) -> None:
        # torch writes 0 if it is told to write no checksums.
        if entry.CRC not in (0, checksum):
            raise UnpicklingError(
                f"the checksum of the record {shorten(repr(entry.filename))} is wrong"
            )

    def _start(self, entry: zipfile.ZipInfo) -> int:
        """Return the first byte of a record, after checking that it is a range of the file."""
        name = shorten(repr(entry.filename))
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise UnsupportedContentError(f"its record {name} is compressed")
        if entry.flag_bits & 1 or entry.header_offset + entry.file_size > self._size:
            raise UnpicklingError(f"the record {name} is encrypted or longer than the file")
        self._file.seek(entry.header_offset)
        header = self._file.read(30)
        if len(header) != 30 or header[:4] != _ZIP_MAGIC:
            raise UnpicklingError(f"the record {name} has no header")
        lengths = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
        start = entry.header_offset + 30 + sum(lengths)
        if start + entry.file_size > self._size:
            raise UnpicklingError(f"the record {name} is longer than the file")
        return start

    def _load_storage(self, key: str, number: int, itemsize: int) -> Tensor:
        """Return the bytes (n,) uint8 of a storage."""
        if key in self._storages:
            return self._storages.allocate(key, number, itemsize)
        entry = self._records[f"{self._folder}data/{key}"]
        start = self._start(entry)
        if entry.file_size != number * itemsize:
            name = shorten(repr(entry.filename))
            raise UnpicklingError(
                f"the record {name} has {entry.file_size} bytes, expected {number * itemsize}"
            )
        if self._mapped is None:
            storage = self._storages.allocate(key, number, itemsize)
            self._file.seek(start)
            checksum = _read_into(self._file, storage, summed=self._verify)
        else:
            mapped = self._mapped[start : start + entry.file_size]
            storage = torch.empty(0, dtype=torch.uint8).set_(mapped)
            if start % 16:  # other programs that write zip files do not align numbers
                storage = storage.clone()
            self._storages[key] = storage, itemsize
            checksum = zlib.crc32(_view(storage)) if self._verify else None
        if checksum is not None:
            self._compare(entry, checksum)
        return storage


def _load_legacy(file: BinaryIO) -> Any:
    """Read the format of torch before 1.6: pickles, then each storage after its length."""
    size = os.fstat(file.fileno()).st_size
    if not size:
        raise EOFError("the file is empty")
    storages = _Storages(size)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:

        def load() -> Any:
            return RestrictedUnpickler(cast(BinaryIO, content), size, storages.allocate).load()

        if load() != _LEGACY_MAGIC or load() != 1001:
            raise UnpicklingError("not a file of torch.save")
        system = load()
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise UnpicklingError("the byte order is not little-endian")
        value, keys = load(), load()
        file.seek(content.tell())
    if type(keys) is not list or len(keys) != len(storages) or set(keys) != storages.keys():
        raise UnpicklingError("the storages are not those of the tensors")
    for key in keys:
        number = int.from_bytes(file.read(8), "little")
        storage, itemsize = storages[key]
        if number * itemsize != storage.numel():
            raise UnpicklingError("a storage has another length than its tensors expect")
        _read_into(file, storage)
    return value


def _view(storage: Tensor) -> memoryview:
    """Return the memory of a tensor (n,) uint8."""
    return memoryview(storage.numpy())  # type: ignore[arg-type]


def _read_into(file: BinaryIO, target: Tensor, *, summed: bool = False) -> int | None:
    """Fill a tensor (n,) uint8 from a file; return the checksum if ``summed``.

    Raises:
        EOFError: the file ends early.
    """
    view = _view(target)
    step = _BLOCK if summed else max(len(view), 1)
    checksum = 0
    for start in range(0, len(view), step):
        block = view[start : start + step]
        if file.readinto(block) != len(block):  # type: ignore[attr-defined]
            raise EOFError("the file ends early")
        checksum = zlib.crc32(block, checksum) if summed else 0
    return checksum if summed else None
