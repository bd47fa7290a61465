"""Shards: every picture once, in whole blocks, and joined as one process would have written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glip.labeling import Output, Shard, Tally, join_shards
from glip.utils.errors import ConfigError, LabelingMismatchError

SETTINGS = dict(score_thr=0.5)


@given(st.integers(0, 40), st.integers(1, 7), st.integers(1, 9))
def test_blocks(num_pictures, size, count):
    whole = Shard().blocks(num_pictures, size)
    assert [at for block in whole for at in block] == list(range(num_pictures))
    assert all(len(block) == size for block in whole[:-1])
    parts = [Shard(index, count).blocks(num_pictures, size) for index in range(count)]
    assert [block for part in parts for block in part] == whole
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
    assert Shard.of_launcher("pytorch") == Shard(3, 4, local=1)
    monkeypatch.delenv("WORLD_SIZE")
    with pytest.raises(ConfigError, match="torchrun sets"):
        Shard.of_launcher("pytorch")


def write(path, blocks, settings=SETTINGS, finish=True):
    with Output(path, settings=settings, num_blocks=len(blocks)) as out:
        for number in blocks:
            lines = [{"number": number, "again": at} for at in range(number)]
            left_out = [{"reason": str(number)}] * (number % 2)
            tally = Tally()
            tally.counts["lines"] += number
            out.add(lines, left_out, tally)
        if finish:
            out.finish()


def write_shards(path, count, **options):
    for index in range(count):
        blocks = range(10)[10 * index // count : 10 * (index + 1) // count]
        shard = Shard(index, count)
        write(shard.path(path), blocks, SETTINGS | {"shard": str(shard)}, **options)


def join(path, settings=SETTINGS):
    with Output(path, settings=settings, num_blocks=10) as out:
        join_shards(out, settings)


@pytest.mark.parametrize("count", [1, 3, 12])
def test_join(tmp_path, count):
    write(tmp_path / "whole" / "out.jsonl", range(10))
    path = tmp_path / "parts" / "out.jsonl"
    write_shards(path, count)
    join(path)
    for each in (tmp_path / "whole").iterdir():
        assert (path.parent / each.name).read_bytes() == each.read_bytes(), each.name


def test_join_goes_on(tmp_path, monkeypatch):
    write(tmp_path / "whole" / "out.jsonl", range(10))
    path = tmp_path / "parts" / "out.jsonl"
    write_shards(path, 3)
    add, calls = Output.add_finished, []

    def stop(self, *args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        add(self, *args)

    monkeypatch.setattr(Output, "add_finished", stop)
    with pytest.raises(KeyboardInterrupt):
        join(path)
    join(path)
    assert len(calls) == 4  # the first shard was copied once
    assert path.read_bytes() == (tmp_path / "whole" / "out.jsonl").read_bytes()


def test_what_cannot_be_joined(tmp_path):
    path = tmp_path / "out.jsonl"
    with pytest.raises(LabelingMismatchError, match="found none"):
        join(path)
    write_shards(path, 2)
    with pytest.raises(LabelingMismatchError, match=r"0/2 was made otherwise .*: score_thr"):
        join(path, dict(score_thr=0.6))
    write(Shard(0, 3).path(path), range(3), SETTINGS | {"shard": "0/3"})
    with pytest.raises(LabelingMismatchError, match="of 2 and of 3"):
        join(path)
    write_shards(tmp_path / "other.jsonl", 2, finish=False)
    with pytest.raises(LabelingMismatchError, match=r"shard 0/2 is not finished \(5 of 5 blocks\)"):
        join(tmp_path / "other.jsonl")


def test_join_beside_a_labelling_in_progress(tmp_path):
    path = tmp_path / "out.jsonl"
    write_shards(path, 2)
    with Output(path, settings=SETTINGS, num_blocks=10) as out:
        out.add([], [], Tally())
    with pytest.raises(LabelingMismatchError, match=r"in progress \(1 of 10 blocks\)"):
        join(path)
