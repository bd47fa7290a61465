"""The command that checks annotation files of either format."""

from __future__ import annotations

import json

import pytest

from glip.cli.check import main
from glip.utils.errors import AnnotationFileError, DataError
from tests.test_datasets.files import coco_content, draw, write
from tests.test_datasets.test_odvg.files import make_lines, members_of, write_lines, write_shard


def run(*args, code=None):
    """Run the command; ``code`` is the exit code if it is not 0."""
    if code is None:
        return main([str(each) for each in args])
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in args])
    assert ended.value.code == code
    return None


@pytest.fixture
def coco(tmp_path):
    draw(tmp_path / "images", coco_content())
    return write(tmp_path, coco_content())


def test_coco(coco, tmp_path, capsys):
    run(coco, "--images", tmp_path / "images")
    assert "problems: 0" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("indent", [None, 1])
def test_repair(tmp_path, indent, capsys):
    content = coco_content()
    content["annotations"][0]["iscrowd"] = "0"
    (tmp_path / "a.json").write_text(json.dumps(content, indent=indent))
    run(tmp_path / "a.json", "--fix", tmp_path / "b.json", code=1)
    assert "[written in COCO's form]" in capsys.readouterr().out
    run(tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text()) == coco_content()


@pytest.mark.parametrize("name", ["train.jsonl", "train.json", "records.txt"])
def test_records(tmp_path, name, capsys):
    lines = make_lines(4)
    path = write_lines(tmp_path, lines, name)
    run(path, "--label-map", tmp_path / "labels.json", "--json", tmp_path / "report.json")
    assert "invalid records: 0" in capsys.readouterr().out.splitlines()
    assert json.loads((tmp_path / "report.json").read_text())["invalid_records"] == 0
    write_lines(tmp_path, [*lines, '{"filename": "a", "filename": "b"}'], name)
    run(path, code=1)
    assert "1 x a key is there twice, keep one" in capsys.readouterr().out


def test_shards(tmp_path, capsys):
    write_shard(tmp_path / "a.tar", members_of(make_lines(4)))
    run(tmp_path / "*.tar")
    assert "records: 4" in capsys.readouterr().out.splitlines()


def test_several_files(coco, tmp_path, capsys):
    content = coco_content()
    del content["images"][0]["id"]
    other = write(tmp_path, content, "other.json")
    run(other, coco, code=1)
    printed = capsys.readouterr().out
    assert printed.count("problems: ") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["instances.json", "train.jsonl"], "files of one format"),
        (["train.jsonl", "--fix", "b.json"], "skips invalid records"),
        (["instances.json", "--label-map", "labels.json"], "--label-map is for ODVG"),
        (["instances.json", "--json", "b.json"], "--json is for ODVG"),
        (["instances.json", "other.json", "--fix", "b.json"], "one file at a time, got 2"),
        (["instances.json", "--max-report", "0"], "0"),
        (["--images", "images"], "FILE"),
    ],
)
def test_arguments(coco, tmp_path, monkeypatch, arguments, said, capsys):
    write_lines(tmp_path, make_lines(2))
    write(tmp_path, coco_content(), "other.json")
    monkeypatch.chdir(tmp_path)
    run(*arguments, code=2)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (["absent.json"], AnnotationFileError, "no annotation file"),
        (["."], AnnotationFileError, "is a folder"),
        (["instances.json", "--images", "absent"], DataError, "no folder 'absent'"),
        (["empty.json"], AnnotationFileError, "invalid JSON"),
        (["list.json"], AnnotationFileError, "format of results"),
    ],
)
def test_files_that_cannot_be_checked(coco, tmp_path, monkeypatch, arguments, error, said):
    (tmp_path / "empty.json").touch()
    (tmp_path / "list.json").write_text("[{}]")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        run(*arguments)
