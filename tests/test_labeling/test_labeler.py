"""The teacher's pass: what it keeps, what it leaves out, and how often it looks."""

from __future__ import annotations

import pytest
from PIL import Image

from glip.datasets.odvg.records import boxes_of, scores_of
from glip.labeling import Labeler, Shard, Tally, label_pairs, open_pairs
from glip.labeling.labeler import NO_BOX, NO_PHRASE, NO_PICTURE, NO_TOKENS
from glip.text import Prompt
from tests.test_labeling.generated import write_pairs


@pytest.fixture
def label(tmp_path, images, nano):
    """Label entries, two pictures at a time."""

    def run(entries, folder=images, **options):
        pairs = open_pairs(write_pairs(tmp_path / "pairs.jsonl", entries), folder)
        teacher = Labeler(nano, **options)
        return list(label_pairs(teacher, pairs, Shard().blocks(len(pairs), 2)))

    return run


#: What the second picture does not show.
ABSENT = "a large yellow moon"


def lines_of(blocks):
    return [line for labels in blocks for line in labels.lines]


def as_pair(entry, **more):
    return dict(filename=entry["filename"], caption=entry["caption"]) | more


def test_an_image_is_looked_at_once(label, captions, nano):
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
        blocks = label(entries, keep_empty=True)
    finally:
        for hook in hooks:
            hook.remove()
    assert seen == [2, 1]  # two blocks, three pictures
    assert len(lines_of(blocks)) == 7
    # Of the first block six captions, one of them twice, of the second one.
    assert len(encoded) == 5 + 1


def test_captions_do_not_change_each_other(label, captions):
    """Asked together or alone, the same boxes are found, but for the last digits."""
    entries = [as_pair(captions[0], caption=each["caption"]) for each in captions[:3]]
    together = lines_of(label(entries, keep_empty=True))
    alone = [line for each in entries for line in lines_of(label([each], keep_empty=True))]
    assert len(together) == 3
    for one, other in zip(together, alone, strict=True):
        pairs = zip(one["grounding"]["regions"], other["grounding"]["regions"], strict=True)
        for region, same in pairs:
            assert region["phrase"] == same["phrase"]
            assert region["score"] == pytest.approx(same["score"], abs=2e-3)


def test_a_block_does_not_depend_on_those_before(label, captions):
    """A caption that was encoded with others before is encoded anew: not a digit differs."""
    entries = [as_pair(each) for each in captions[:4]]
    entries[3]["captions"] = [captions[0]["caption"], captions[1]["caption"] + " and a blue moon"]
    whole = label(entries)
    assert label(entries[2:])[0].lines == whole[1].lines


def test_a_long_caption_loses_nothing(label, captions, nano):
    """The phrases stand beyond the 256 tokens that the teacher reads at once."""
    filler = " and then" * 300
    entry = captions[1]
    words = filler.strip() + " " + entry["caption"]
    both = entry["caption"] + " " + words
    assert len(nano.chunk_prompt(Prompt.from_caption(both))) == 2
    short, long, twice = (
        lines_of(label([as_pair(entry, caption=text)]))[0]["grounding"]
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


def scores_of_regions(blocks):
    regions = [region for line in lines_of(blocks) for region in line["grounding"]["regions"]]
    return [scores_of(region) for region in regions]


def test_what_is_kept(label, images, captions):
    entries = [as_pair(each, source="here") for each in captions]
    blocks = label(entries, score_thr=0.1)
    loose = scores_of_regions(blocks)
    strict = scores_of_regions(label(entries, score_thr=0.6))
    best = scores_of_regions(label(entries, score_thr=0.1, max_boxes_per_phrase=1))
    assert max(map(len, loose)) > 2
    assert all(each == sorted(each, reverse=True) for each in loose)
    assert best == [each[:1] for each in loose]
    above = [[score for score in each if score > 0.6] for each in loose]
    assert strict == [each for each in above if each]
    for line in lines_of(blocks):
        with Image.open(images / line["filename"]) as picture:
            assert (line["width"], line["height"]) == picture.size
        assert line["source"] == "here"
        for region in line["grounding"]["regions"]:
            for x1, y1, x2, y2 in boxes_of(region):
                assert 0 <= x1 < x2 <= line["width"]
                assert 0 <= y1 < y2 <= line["height"]


def test_what_is_left_out(label, tmp_path, images, captions):
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
    blocks = label(entries, folder, score_thr=0.5)
    assert [line["filename"] for line in lines_of(blocks)] == ["000000.jpg"]
    left_out = [each for labels in blocks for each in labels.left_out]
    assert [each["filename"] for each in left_out] == [
        *("broken.jpg", "absent.jpg", "000001.jpg", "000001.jpg", "000001.jpg", "thin.png"),
    ]
    assert "truncated or damaged" in left_out[0]["reason"]
    assert "does not exist" in left_out[1]["reason"]
    reasons = [each["reason"] for each in left_out[2:]]
    assert reasons == [NO_PHRASE, NO_TOKENS, NO_BOX, NO_BOX]
    tally = Tally()
    for labels in blocks:
        tally.update(labels.tally)
    assert tally.counts["pictures"] == 5
    assert tally.counts["unreadable"] == 2
    assert tally.counts["captions"] == 8
    assert tally.left_out == {NO_PICTURE: 3, NO_PHRASE: 1, NO_TOKENS: 1, NO_BOX: 2}
    assert tally.counts["lines"] + sum(tally.left_out.values()) == tally.counts["captions"]
    nothing = label([dict(filename="000001.jpg", caption="it is there")])
    assert (nothing[0].lines, nothing[0].tally.left_out) == ([], {NO_PHRASE: 1})
    empty = label(entries[3:4], folder, keep_empty=True)[0].lines
    assert [line["grounding"]["regions"] for line in empty] == [[]]
