"""The command that checks ODVG files."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from glip.utils.errors import USER_ERRORS
from tests.test_datasets.test_odvg.files import (
    make_lines,
    members_of,
    write_images,
    write_lines,
    write_shard,
)
from tests.test_tools.commands import command, tool

TOOL = "misc/check_odvg.py"


def check(*args, fails=True):
    if not fails:
        return tool(TOOL).main([str(each) for each in args])
    with pytest.raises(SystemExit) as ended:
        tool(TOOL).main([str(each) for each in args])
    assert ended.value.code == 1
    return None


def test_good_files(tmp_path, capsys):
    lines = make_lines(10)
    path = write_lines(tmp_path, lines)
    write_images(tmp_path / "img", lines)
    labels = ("--label-map", tmp_path / "labels.json")
    check(path, *labels, "--images", tmp_path / "img", fails=False)
    printed = capsys.readouterr().out
    for said in (
        "records: 10",
        "detection records: 5",
        "grounding records: 5",
        "boxes of detection records: 10",
        "phrases: 15",
        "boxes of grounding records: 20",
        "phrases with scores: 10",
        "categories: 3, the most common: cat 7, traffic light 2, dog 1",
        "invalid records: 0",
    ):
        assert said in printed.splitlines()


def test_every_bad_line_is_named(tmp_path, capsys):
    lines = make_lines(12)
    lines[2]["detection"]["instances"][0]["bbox"] = [1, 2, 0, 9]
    lines[4]["detection"]["instances"][0]["label"] = 7
    lines[4]["height"] = "40"
    lines[6]["detection"]["instances"][1]["category"] = "cow"
    lines[7]["grounding"]["regions"][1]["phrase"] = "a blue sofa"
    lines[8] = "{"
    lines[9] = "[]"
    path = write_lines(tmp_path, lines)
    check(path, "--label-map", tmp_path / "labels.json", "--json", tmp_path / "report.json")
    printed = capsys.readouterr().out.splitlines()
    named = [line for line in printed if line.startswith(f"{path}, line ")]
    assert [int(line.split(" line ")[1].split(":")[0]) for line in named] == [3, 5, 7, 8, 9, 10]
    assert "'height' is not a positive integer" in named[1]
    assert "a label is not in the label map" in named[1]
    assert "0 is 'cow' here and 'cat' in the label map" in named[2]
    assert "invalid records: 6" in printed
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["invalid_records"] == 6
    assert report["statistics"]["records"] == 12
    assert report["problems"]["a box has no area"] == dict(count=1, first_lines=[3])
    assert sum(each["count"] for each in report["problems"].values()) == 7
    check(path, "--max-report", "2")
    printed = capsys.readouterr().out
    assert printed.count(f"{path}, line ") == 2
    assert "... and 4 more invalid records" in printed


def test_pictures(tmp_path, capsys):
    lines = make_lines(6)
    path = write_lines(tmp_path, lines)
    folder = tmp_path / "img"
    write_images(folder, lines)
    check(path, "--images", folder, fails=False)
    (folder / "00001.png").unlink()
    (folder / "00002.png").write_bytes(b"none")
    Image.new("RGB", (61, 40)).save(folder / "00004.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side: 40 x 60 as stored, 60 x 40 as seen
    Image.new("RGB", (40, 60)).save(folder / "00005.png", exif=exif)
    capsys.readouterr()
    check(path, "--images", folder)
    printed = capsys.readouterr().out
    assert f"line 2: the image does not exist ({folder}/00001.png)" in printed
    assert "line 3: the image cannot be read (cannot read 00002.png: Unidentified" in printed
    assert "line 5: the image has another size (00004.png is 61 x 40, the record" in printed
    assert "invalid records: 3" in printed


def test_shards(tmp_path, capsys):
    lines = make_lines(8)
    lines[2]["width"] = 59
    first = members_of(lines[:4])
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    first[first.index(next(each for each in first if each[0] == "00002.png"))] = (
        "00002.png",
        (tmp_path / "a.png").read_bytes(),
    )
    write_shard(tmp_path / "a-0.tar", first)
    write_shard(tmp_path / "a-1.tar", members_of(lines[4:], 4))
    check(f"{tmp_path}/a-{{0,1}}.tar")
    printed = capsys.readouterr().out
    assert f"{tmp_path}/a-0.tar, JSON member 3: the image has another size" in printed
    assert "records: 8" in printed.splitlines()
    assert "invalid records: 1" in printed


def test_wrong_use(tmp_path):
    with pytest.raises(USER_ERRORS, match="there is no annotation file"):
        tool(TOOL).main([str(tmp_path / "none.jsonl")])


def test_command_line(tmp_path):
    path = write_lines(tmp_path, [*make_lines(3), "{"])
    printed = command(f"tools/{TOOL}", path, fails=True)
    assert f"{path}, line 4: invalid JSON" in printed
    assert "Traceback" not in printed
    printed = command(f"tools/{TOOL}", tmp_path / "none", fails=True)
    assert printed.startswith("error: there is no annotation file")


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (10**30, "a label is larger than 2^31 - 1"),
        (2**31, "a label is larger than 2^31 - 1"),
        (-1, "a label is not a non-negative integer"),
        (1.5, "a label is not a non-negative integer"),
    ],
)
def test_labels(tmp_path, capsys, label, reason):
    lines = make_lines(2)
    lines[0]["detection"]["instances"][0]["label"] = label
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    check(path)
    assert f"1 x {reason}" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "\n", " \n\n"])
def test_a_file_without_records(tmp_path, capsys, content):
    (tmp_path / "empty.jsonl").write_text(content)
    check(tmp_path / "empty.jsonl")
    assert "1 x a file without records" in capsys.readouterr().out
