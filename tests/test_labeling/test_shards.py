"""Shards: each image once, in full batches, merged into what one process would have written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glip.labeling import ResumableOutput, Shard, Statistics, merge_shards
from glip.utils.errors import ConfigError, LabelingMismatchError

SETTINGS = dict(score_thr=0.5)


@given(st.integers(0, 40), st.integers(1, 7), st.integers(1, 9))
def test_batches(num_images, size, count):
    whole = Shard().batches(num_images, size)
    assert [at for batch in whole for at in batch] == list(range(num_images))
    assert all(len(batch) == size for batch in whole[:-1])
    parts = [Shard(index, count).batches(num_images, size) for index in range(count)]
    assert [batch for part in parts for batch in part] == whole
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_parse():
    assert Shard.parse("3/4") == Shard(3, 4)
    assert str(Shard(3, 4)) == "3/4"
    for text in ("4/4", "1", "-1/4", "a/b"):
        with pytest.raises(ValueError, match="expected a shard such as 0/4"):
            Shard.parse(text)


def test_launcher(monkeypatch):
    for name, value in dict(RANK="3", WORLD_SIZE="4", LOCAL_RANK="1").items():
        monkeypatch.setenv(name, value)
    assert Shard.of_launcher("pytorch") == Shard(3, 4, local_rank=1)
    monkeypatch.delenv("WORLD_SIZE")
    with pytest.raises(ConfigError, match="torchrun sets"):
        Shard.of_launcher("pytorch")


def write(path, batches, settings=SETTINGS, finish=True):
    with ResumableOutput(path, settings=settings, num_batches=len(batches)) as out:
        for number in batches:
            lines = [{"number": number, "again": at} for at in range(number)]
            excluded = [{"reason": str(number)}] * (number % 2)
            statistics = Statistics()
            statistics.counts["lines"] += number
            out.add_batch(lines, excluded, statistics)
        if finish:
            out.finish()


def write_shards(path, count, **options):
    for index in range(count):
        batches = range(10)[10 * index // count : 10 * (index + 1) // count]
        shard = Shard(index, count)
        write(shard.path(path), batches, SETTINGS | {"shard": str(shard)}, **options)


def merge(path, settings=SETTINGS):
    with ResumableOutput(path, settings=settings, num_batches=10) as out:
        merge_shards(out, settings)


@pytest.mark.parametrize("count", [1, 3, 12])
def test_merge(tmp_path, count):
    write(tmp_path / "whole" / "out.jsonl", range(10))
    path = tmp_path / "parts" / "out.jsonl"
    write_shards(path, count)
    merge(path)
    for each in (tmp_path / "whole").iterdir():
        assert (path.parent / each.name).read_bytes() == each.read_bytes(), each.name


def test_merge_resumes(tmp_path, monkeypatch):
    write(tmp_path / "whole" / "out.jsonl", range(10))
    path = tmp_path / "parts" / "out.jsonl"
    write_shards(path, 3)
    add, calls = ResumableOutput.append, []

    def stop(self, *args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        add(self, *args)

    monkeypatch.setattr(ResumableOutput, "append", stop)
    with pytest.raises(KeyboardInterrupt):
        merge(path)
    merge(path)
    assert len(calls) == 4  # the first shard was copied once
    assert path.read_bytes() == (tmp_path / "whole" / "out.jsonl").read_bytes()


def test_what_cannot_be_merged(tmp_path):
    path = tmp_path / "out.jsonl"
    with pytest.raises(LabelingMismatchError, match="got none"):
        merge(path)
    write_shards(path, 2)
    with pytest.raises(LabelingMismatchError, match=r"0/2 was made with other settings: score_thr"):
        merge(path, dict(score_thr=0.6))
    write(Shard(0, 3).path(path), range(3), SETTINGS | {"shard": "0/3"})
    with pytest.raises(LabelingMismatchError, match="got shards of 2 and of 3"):
        merge(path)
    write_shards(tmp_path / "other.jsonl", 2, finish=False)
    with pytest.raises(
        LabelingMismatchError, match=r"shard 0/2 is not finished \(5 of 5 batches\)"
    ):
        merge(tmp_path / "other.jsonl")


def test_shards_that_were_changed(tmp_path):
    path = tmp_path / "out.jsonl"
    write_shards(path, 2)
    shard = Shard(0, 2).path(path)
    for file in (shard, shard.with_name(f"{shard.name}.left_out.jsonl")):
        content = file.read_bytes()
        for changed in (content[:-1], content + b"{}\n", content.replace(b"1", b"2"), b""):
            file.write_bytes(changed)
            with pytest.raises(LabelingMismatchError, match="was changed since the run finished"):
                merge(path)
            assert not path.exists()
        file.write_bytes(content)
    merge(path)


def test_merge_beside_a_labelling_in_progress(tmp_path):
    path = tmp_path / "out.jsonl"
    write_shards(path, 2)
    with ResumableOutput(path, settings=SETTINGS, num_batches=10) as out:
        out.add_batch([], [], Statistics())
    with pytest.raises(LabelingMismatchError, match=r"in progress \(1 of 10 batches\)"):
        merge(path)
