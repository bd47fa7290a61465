"""Images with captions but no boxes (CC3M, SBU, ...) to pairs, which a teacher model can label.

A pair is a JSON object a line: ``filename``, ``height`` and ``width`` in pixels, ``caption``.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from glip.converters.image_files import ImageFolder
from glip.converters.report import Report
from glip.datasets.annotation_file import check_exists
from glip.datasets.odvg.writing import RecordWriter
from glip.utils.errors import AnnotationFileError, ImageReadError
from glip.utils.image_files import IMAGE_EXTENSIONS


class PairWriter(RecordWriter):
    """Write pairs as :class:`RecordWriter` writes lines: whole, and named when all are there."""

    def check(self, line: dict[str, Any]) -> None:
        """See to it that a pair could become a grounding line.

        Raises:
            OdvgRecordError: it could not.
        """
        super().check({**line, "grounding": dict(caption=line["caption"], regions=[])})


class Captioned(NamedTuple):
    """An image and its caption.

    Attributes:
        file_name: below the folder of the images.
        caption: as it stands there.
    """

    file_name: str
    caption: Any


def convert_captions(
    sources: Sequence[Path],
    out: Path,
    *,
    img_root: Path,
    caption_key: str,
    file_key: str,
    decode: bool,
    overwrite: bool,
) -> Report:
    """Write the pairs of captions and images that are there; see ``docs/converters.md``.

    Args:
        sources: ``.tsv`` (caption, tab, file or URL), ``.jsonl`` or ``.tar`` files.
        out: the file of pairs.
        img_root: the folder of the images; those of ``a.tar`` are unpacked to ``img_root/a/``.
        caption_key: where JSON has the caption.
        file_key: where JSON lines have the file name.
        decode: decode every image, to find those that are cut off.
        overwrite: write although the file is there already.

    Raises:
        DataError: the file is there already.
        AnnotationFileError: a source cannot be used.
    """
    for source in sources:
        check_exists(str(source))
        if source.suffix not in (".tsv", ".jsonl", ".tar"):
            raise AnnotationFileError(f"expected a .tsv, .jsonl or .tar file, got '{source}'.")
    shards = [source.stem for source in sources if source.suffix == ".tar"]
    if len(set(shards)) < len(shards):
        raise AnnotationFileError(
            "two of the .tar files have one name, and both would be unpacked to the folder of that "
            "name; gather them apart, each with its own --img-root."
        )
    if shards:
        img_root.mkdir(parents=True, exist_ok=True)
    folder = ImageFolder(img_root)
    report = Report()
    with PairWriter(out, overwrite) as writer:
        for source in sources:
            if source.suffix == ".tar":
                found = _tar_pairs(source, img_root, caption_key, report)
            elif source.suffix == ".tsv":
                found = _tsv_pairs(source, report)
            else:
                found = _json_pairs(source, caption_key, file_key, report)
            for pair in found:
                _write(writer, pair, folder, report, decode=decode)
        report.check_not_empty("', '".join(map(str, sources[:3])))
    return report


def _write(
    writer: PairWriter, pair: Captioned, folder: ImageFolder, report: Report, *, decode: bool
) -> None:
    """Write a pair if its caption has words and its image is one."""
    caption = " ".join(pair.caption.split()) if isinstance(pair.caption, str) else ""
    if not any(map(str.isalnum, caption)):
        report.exclude("pair", "without a caption", pair.file_name)
        return
    reason, size = folder.problem(pair.file_name), (0, 0)
    try:
        size = size if reason else folder.size(pair.file_name, decode=decode)
    except ImageReadError:
        reason = "with a broken image"
    if reason is not None:
        report.exclude("pair", reason, pair.file_name)
        return
    line = dict(filename=pair.file_name, height=size[0], width=size[1], caption=caption)
    report.write(writer, line, dict(pair=1))


def _tsv_pairs(path: Path, report: Report) -> Iterator[Captioned]:
    """Read lines of a caption, a tab and a file name or URL; a third column names the file."""
    for line in _lines(path, report):
        parts = line.split("\t")
        if len(parts) < 2 or not parts[-1]:
            report.exclude("pair", "without a tab and a file", f"{line[:40]!r}")
            continue
        name = parts[2] if len(parts) > 2 else parts[1]
        if "://" in name:  # downloaded under the last part of its address
            name = _file_of(name)
        if name:
            yield Captioned(name, parts[0])
        else:
            report.exclude("pair", "with a URL that names no file", parts[1])


def _file_of(url: str) -> str:
    """Return the last part of an address, without what follows a question mark."""
    try:
        return unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:  # no address, such as http://[x
        return ""


def _json_pairs(path: Path, caption_key: str, file_key: str, report: Report) -> Iterator[Captioned]:
    for line in _lines(path, report):
        entry = _object(line)
        name = entry.get(file_key)
        if isinstance(name, str) and name:
            yield Captioned(name, entry.get(caption_key))
        else:
            report.exclude("pair", f"without '{file_key}' in a JSON object", f"{line[:40]!r}")


def _tar_pairs(path: Path, img_root: Path, caption_key: str, report: Report) -> Iterator[Captioned]:
    """Unpack a shard in webdataset's style, where members with one key belong together."""
    key, members = None, {}
    try:
        with (
            tarfile.open(path, "r:") as tar,
            tqdm(
                total=os.path.getsize(path), unit="B", unit_scale=True, desc=path.name
            ) as progress,
        ):
            for member in tar:
                progress.update(member.offset_data + member.size - progress.n)
                if not member.isfile():
                    continue
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts:
                    report.exclude("pair", "with a path out of the shard", member.name)
                    continue
                stem, _, ending = name.name.partition(".")
                if (name.parent, stem) != key:
                    yield from _tar_pair(tar, members, img_root, path.stem, caption_key, report)
                    key, members = (name.parent, stem), {}
                members[f".{ending.lower()}"] = member
            yield from _tar_pair(tar, members, img_root, path.stem, caption_key, report)
    except (tarfile.TarError, EOFError):
        report.exclude("shard", "cut off or no tar file", path)


def _tar_pair(
    tar: tarfile.TarFile,
    members: dict[str, tarfile.TarInfo],
    img_root: Path,
    shard: str,
    caption_key: str,
    report: Report,
) -> Iterator[Captioned]:
    """Unpack the image of one key, whose members are given by their endings."""
    picture = next((members[ending] for ending in IMAGE_EXTENSIONS if ending in members), None)
    if picture is None:
        if members:
            name = next(iter(members.values())).name
            report.exclude("pair", "without an image in the shard", name)
        return
    caption = None
    if ".txt" in members:
        caption = _read(tar, members[".txt"]).decode("utf-8", "replace")
    elif ".json" in members:
        caption = _object(_read(tar, members[".json"]).decode("utf-8", "replace")).get(caption_key)
    name = f"{shard}/{PurePosixPath(picture.name)}"
    target = img_root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_read(tar, picture))
    yield Captioned(name, caption)


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Read a member.

    Raises:
        tarfile.ReadError: the file ends in it.
    """
    content = tar.extractfile(member).read()
    if len(content) < member.size:
        raise tarfile.ReadError("unexpected end of data")
    return content


def _lines(path: Path, report: Report) -> Iterator[str]:
    """Go through the lines of a text in UTF-8 that are not empty, with a progress bar."""
    with (
        open(path, "rb") as file,
        tqdm(total=os.path.getsize(path), unit="B", unit_scale=True, desc=path.name) as progress,
    ):
        for line in file:
            progress.update(len(line))
            try:
                text = line.decode("utf-8-sig").strip("\r\n")
            except UnicodeDecodeError:
                report.exclude("pair", "not in UTF-8", f"{line[:40]!r}")
                continue
            if text.strip():
                yield text


def _object(text: str) -> dict[str, Any]:
    """Read a JSON object; empty if it is none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
