"""Labeling: what it keeps, what it excludes, and how often it encodes."""

from __future__ import annotations

import pytest
from PIL import Image

from glip.datasets.odvg.records import boxes_of, scores_of
from glip.labeling import Labeler, Shard, Statistics, label_pairs, open_pairs
from glip.labeling.labeler import NO_BOX, NO_IMAGE, NO_PHRASE, NO_TOKENS
from glip.text import Prompt
from tests.test_labeling.generated import write_pairs


@pytest.fixture
def label(tmp_path, images, nano):
    """Label entries in batches of two images."""

    def run(entries, folder=images, **options):
        pairs = open_pairs(write_pairs(tmp_path / "pairs.jsonl", entries), folder)
        labeler = Labeler(nano, **options)
        return list(label_pairs(labeler, pairs, Shard().batches(len(pairs), 2)))

    return run


#: Not in the second image.
ABSENT = "a large yellow moon"


def records_of(batches):
    return [line for labels in batches for line in labels.records]


def as_pair(entry, **more):
    return dict(filename=entry["filename"], caption=entry["caption"]) | more


def test_an_image_is_encoded_once(label, captions, nano):
    texts = [each["caption"] for each in captions[:4]]
    entries = [as_pair(captions[0], captions=texts), as_pair(captions[1]), as_pair(captions[2])]
    entries.insert(2, as_pair(captions[1], caption="a red thing"))
    seen, encoded = [], []
    hooks = [
        nano.backbone.register_forward_hook(lambda _, given, out: seen.append(len(given[0]))),
        nano.bbox_head.tower.register_forward_hook(lambda *_: pytest.fail("it does not fuse")),
        nano.language_model.register_forward_hook(
            lambda _, given, out: encoded.extend(given[0].tolist())
        ),
    ]
    try:
        batches = label(entries, keep_empty=True)
    finally:
        for hook in hooks:
            hook.remove()
    assert seen == [2, 1]  # two batches, three images
    assert len(records_of(batches)) == 7
    # Six captions of the first batch, one of them twice, and one of the second.
    assert len(encoded) == 5 + 1


def test_captions_do_not_change_each_other(label, captions):
    """Together or alone, the same boxes are found, except for the last digits."""
    entries = [as_pair(captions[0], caption=each["caption"]) for each in captions[:3]]
    together = records_of(label(entries, keep_empty=True))
    alone = [line for each in entries for line in records_of(label([each], keep_empty=True))]
    assert len(together) == 3
    for one, other in zip(together, alone, strict=True):
        pairs = zip(one["grounding"]["regions"], other["grounding"]["regions"], strict=True)
        for region, same in pairs:
            assert region["phrase"] == same["phrase"]
            assert region["score"] == pytest.approx(same["score"], abs=2e-3)


def test_a_batch_does_not_depend_on_those_before(label, captions):
    """A caption that was encoded with others before is encoded again: no digit differs."""
    entries = [as_pair(each) for each in captions[:4]]
    entries[3]["captions"] = [captions[0]["caption"], captions[1]["caption"] + " and a blue moon"]
    whole = label(entries)
    assert label(entries[2:])[0].records == whole[1].records


def test_a_long_caption_loses_nothing(label, captions, nano):
    """The phrases are behind the 256 tokens that the teacher reads at once."""
    filler = " and then" * 300
    entry = captions[1]
    words = filler.strip() + " " + entry["caption"]
    both = entry["caption"] + " " + words
    assert len(nano.chunk_prompt(Prompt.from_caption(both))) == 2
    short, long, twice = (
        records_of(label([as_pair(entry, caption=text)]))[0]["grounding"]
        for text in (entry["caption"], words, both)
    )
    phrases = [region["phrase"] for region in short["regions"]]
    assert [region["phrase"] for region in long["regions"]] == phrases
    assert [region["phrase"] for region in twice["regions"]] == phrases * 2
    assert twice["regions"][-1]["tokens_positive"][0][0] > 300 * len(" and then")
    for found in (long, twice):
        for region in found["regions"]:
            ((start, end),) = region["tokens_positive"]
            assert found["caption"][start:end] == region["phrase"]


def scores_of_regions(batches):
    regions = [region for line in records_of(batches) for region in line["grounding"]["regions"]]
    return [scores_of(region) for region in regions]


def test_what_is_kept(label, images, captions):
    entries = [as_pair(each, source="here") for each in captions]
    batches = label(entries, score_thr=0.1)
    loose = scores_of_regions(batches)
    strict = scores_of_regions(label(entries, score_thr=0.6))
    best = scores_of_regions(label(entries, score_thr=0.1, max_boxes_per_phrase=1))
    assert max(map(len, loose)) > 2
    assert all(each == sorted(each, reverse=True) for each in loose)
    assert best == [each[:1] for each in loose]
    above = [[score for score in each if score > 0.6] for each in loose]
    assert strict == [each for each in above if each]
    for line in records_of(batches):
        with Image.open(images / line["filename"]) as image:
            assert (line["width"], line["height"]) == image.size
        assert line["source"] == "here"
        for region in line["grounding"]["regions"]:
            for x1, y1, x2, y2 in boxes_of(region):
                assert 0 <= x1 < x2 <= line["width"]
                assert 0 <= y1 < y2 <= line["height"]


def test_what_is_excluded(label, tmp_path, images, captions):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("000000.jpg", "000001.jpg"):
        (folder / name).write_bytes((images / name).read_bytes())
    (folder / "broken.jpg").write_bytes((images / "000002.jpg").read_bytes()[:900])
    Image.new("RGB", (1, 3000)).save(folder / "thin.png")
    entries = [
        as_pair(captions[0]),
        as_pair(captions[1], filename="broken.jpg"),
        as_pair(captions[1], filename="absent.jpg", captions=["a star"]),
        dict(filename="000001.jpg", captions=["it is there", "red " * 300 + "star", ABSENT]),
        dict(filename="thin.png", caption="a red star"),
    ]
    batches = label(entries, folder, score_thr=0.5)
    assert [line["filename"] for line in records_of(batches)] == ["000000.jpg"]
    excluded = [each for labels in batches for each in labels.excluded]
    assert [each["filename"] for each in excluded] == [
        *("broken.jpg", "absent.jpg", "000001.jpg", "000001.jpg", "000001.jpg", "thin.png"),
    ]
    assert "truncated or damaged" in excluded[0]["reason"]
    assert "does not exist" in excluded[1]["reason"]
    reasons = [each["reason"] for each in excluded[2:]]
    assert reasons == [NO_PHRASE, NO_TOKENS, NO_BOX, NO_BOX]
    statistics = Statistics()
    for labels in batches:
        statistics.update(labels.statistics)
    assert statistics.counts["pictures"] == 5
    assert statistics.counts["unreadable"] == 2
    assert statistics.counts["captions"] == 8
    assert statistics.excluded == {NO_IMAGE: 3, NO_PHRASE: 1, NO_TOKENS: 1, NO_BOX: 2}
    assert (
        statistics.counts["lines"] + sum(statistics.excluded.values())
        == statistics.counts["captions"]
    )
    nothing = label([dict(filename="000001.jpg", caption="it is there")])
    assert (nothing[0].records, nothing[0].statistics.excluded) == ([], {NO_PHRASE: 1})
    empty = label(entries[3:4], folder, keep_empty=True)[0].records
    assert [line["grounding"]["regions"] for line in empty] == [[]]
