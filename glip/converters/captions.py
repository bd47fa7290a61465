"""Collecting images with captions but no boxes (CC3M, SBU, ...) as image-caption pairs.

``tools/pseudo_label.py`` labels such pairs. A pair is a JSON object per line: ``filename``,
``height`` and ``width`` in pixels, ``caption``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from glip.converters.image_files import ImageFolder
from glip.converters.progress import byte_progress
from glip.converters.report import Report
from glip.datasets.annotation_file import check_exists
from glip.datasets.odvg.writing import RecordWriter
from glip.utils.errors import AnnotationFileError, ImageReadError, TarFileError
from glip.utils.file_names import is_safe_name
from glip.utils.image_files import MAX_BYTES, preferred_extension
from glip.utils.tar_files import MAX_TEXT, TarMember, iter_members


class PairWriter(RecordWriter):
    """Write pairs atomically, as :class:`RecordWriter` writes ODVG records."""

    def check(self, record: dict[str, Any]) -> None:
        """Check that a pair could become a grounding record.

        Raises:
            OdvgRecordError: it could not.
        """
        super().check({**record, "grounding": dict(caption=record["caption"], regions=[])})


class Pair(NamedTuple):
    """An image and its caption.

    Attributes:
        file_name: of the image, relative to the image folder.
        caption: as the source states it.
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
    """Write the pairs whose caption and image are valid; see ``docs/converters.md``.

    Args:
        sources: ``.tsv`` (caption, tab, file or URL), ``.jsonl`` or ``.tar`` files.
        out: file of pairs to write.
        img_root: folder of the images; those of ``a.tar`` are unpacked to ``img_root/a/``.
        caption_key: key of the caption in JSON.
        file_key: key of the file name in JSON lines.
        decode: decode every image, to detect truncated files.
        overwrite: overwrite an existing file.

    Raises:
        DataError: the output exists.
        AnnotationFileError: a source cannot be used.
    """
    for source in sources:
        check_exists(str(source))
        if source.suffix not in (".tsv", ".jsonl", ".tar"):
            raise AnnotationFileError(f"expected a .tsv, .jsonl or .tar file, got '{source}'.")
        if source.suffix == ".tar" and not is_safe_name(source.stem):
            raise AnnotationFileError(
                f"'{source}' names no folder to unpack its images to: rename the file."
            )
    shards = [source.stem for source in sources if source.suffix == ".tar"]
    if len(set(shards)) < len(shards):
        raise AnnotationFileError(
            "two of the .tar files have the same name and would be unpacked to the same folder; "
            "convert them separately, each with its own --img-root."
        )
    if shards:
        img_root.mkdir(parents=True, exist_ok=True)
    folder = ImageFolder(img_root)
    report = Report()
    with PairWriter(out, overwrite) as writer:
        for source in sources:
            if source.suffix == ".tar":
                pairs = _tar_pairs(source, img_root, caption_key, report)
            elif source.suffix == ".tsv":
                pairs = _tsv_pairs(source, report)
            else:
                pairs = _json_pairs(source, caption_key, file_key, report)
            for pair in pairs:
                _write(writer, pair, folder, report, decode=decode)
        report.check_not_empty("', '".join(map(str, sources[:3])))
    return report


def _write(
    writer: RecordWriter, pair: Pair, folder: ImageFolder, report: Report, *, decode: bool
) -> None:
    """Write a pair if its caption has words and its image can be read."""
    caption = " ".join(pair.caption.split()) if isinstance(pair.caption, str) else ""
    if not any(map(str.isalnum, caption)):
        report.exclude("pair", "without a caption", pair.file_name)
        return
    problem = folder.problem(pair.file_name)
    if problem is None:
        try:
            height, width = folder.size(pair.file_name, decode=decode)
        except ImageReadError:
            problem = "with a broken image"
    if problem is not None:
        report.exclude("pair", problem, pair.file_name)
        return
    record = dict(filename=pair.file_name, height=height, width=width, caption=caption)
    report.write(writer, record, dict(pair=1))


def _tsv_pairs(path: Path, report: Report) -> Iterator[Pair]:
    """Yield the pairs of lines: caption, tab, file name or URL; a third column names the file."""
    for line in _lines(path, report):
        columns = line.split("\t")
        if len(columns) < 2 or not columns[-1]:
            report.exclude("pair", "without a tab and a file", f"{line[:40]!r}")
            continue
        name = columns[2] if len(columns) > 2 else columns[1]
        if "://" in name:  # downloaded under the last part of the URL's path
            name = _url_file_name(name)
        if name:
            yield Pair(name, columns[0])
        else:
            report.exclude("pair", "with a URL that names no file", columns[1])


def _url_file_name(url: str) -> str:
    """Return the last part of a URL's path."""
    try:
        return unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:  # not a URL, such as http://[x
        return ""


def _json_pairs(path: Path, caption_key: str, file_key: str, report: Report) -> Iterator[Pair]:
    """Yield the pairs of JSON lines."""
    for line in _lines(path, report):
        entry = _parse_object(line)
        name = entry.get(file_key)
        if isinstance(name, str) and name:
            yield Pair(name, entry.get(caption_key))
        else:
            report.exclude("pair", f"without '{file_key}' in a JSON object", f"{line[:40]!r}")


def _tar_pairs(path: Path, img_root: Path, caption_key: str, report: Report) -> Iterator[Pair]:
    """Yield the pairs of a WebDataset shard, whose images are unpacked."""
    try:
        for _, members in groupby(_safe_members(path, report), key=lambda member: member.key):
            by_extension = {member.extension: member for member in members}
            extension = preferred_extension(set(by_extension))
            image = None if extension is None else by_extension[extension]
            if image is None:
                name = next(iter(by_extension.values())).name
                report.exclude("pair", "without an image in the shard", name)
                continue
            texts = [by_extension[each] for each in (".txt", ".json") if each in by_extension]
            if any(each.size > MAX_TEXT for each in texts) or image.size > MAX_BYTES:
                report.exclude("pair", "with a caption or an image that is too large", image.name)
                continue
            caption = None
            if ".txt" in by_extension:
                caption = by_extension[".txt"].read().decode("utf-8", "replace")
            elif ".json" in by_extension:
                text = by_extension[".json"].read().decode("utf-8", "replace")
                caption = _parse_object(text).get(caption_key)
            name = f"{path.stem}/{image.path}"
            target = img_root / name
            content = image.read()
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            except (NotADirectoryError, FileExistsError, IsADirectoryError):
                # One member is the folder of another.
                report.exclude("pair", "with a file where its folder would be", image.name)
                continue
            yield Pair(name, caption)
    except TarFileError:
        report.exclude("shard", "truncated or not a tar file", path)


def _safe_members(path: Path, report: Report) -> Iterator[TarMember]:
    """Yield the members of a shard that stay inside the folder they are unpacked to."""
    with byte_progress(path) as progress:
        for member in iter_members(path):
            progress.update(member.offset + member.size - progress.n)
            if member.is_safe:
                yield member
            else:
                report.exclude("pair", "with a path out of the shard", member.name)


def _lines(path: Path, report: Report) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file that are not empty, with a progress bar."""
    with open(path, "rb") as file, byte_progress(path) as progress:
        for line in file:
            progress.update(len(line))
            try:
                text = line.decode("utf-8-sig").strip("\r\n")
            except UnicodeDecodeError:
                report.exclude("pair", "not in UTF-8", f"{line[:40]!r}")
                continue
            if text.strip():
                yield text


def _parse_object(text: str) -> dict[str, Any]:
    """Return a JSON object; an empty one if the text is something else."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
