"""Ids of objects, and boxes between keyframes."""

from __future__ import annotations

import pytest
import torch
from mmengine.structures import InstanceData

from glip.structures import DetDataSample
from glip.video.tracking import ObjectTracker, Track, interpolate

pytest.importorskip("trackers")


def box(x: float, y: float = 10.0, side: float = 20.0) -> list[float]:
    return [x, y, x + side, y + side]


def ids(tracks):
    return [each.id for each in tracks]


def test_ids():
    """Scores below the default thresholds of ByteTrack; order of the detections changes."""
    tracker = ObjectTracker(25)
    first = tracker.update([box(10), box(100)], [0.35, 0.4], [0, 0])
    assert ids(first) == [None, None]  # not confirmed yet
    second = tracker.update([box(103), box(12), box(60)], [0.4, 0.3, 0.5], [0, 0, 0])
    assert ids(second) == [1, 2, None]
    assert ids(first) == [2, 1]  # confirmed by the second keyframe
    third = tracker.update([box(14)], [0.3], [0])
    assert ids(third) == [2]
    fourth = tracker.update([box(109), box(16)], [0.3, 0.3], [0, 0])
    assert ids(fourth) == [1, 2]  # found again
    assert tracker.counts == {0: 2}


def test_labels_are_tracked_apart():
    tracker = ObjectTracker(25)
    tracker.update([box(10), box(10)], [0.5, 0.5], [1, 0])
    assert ids(tracker.update([box(11), box(11)], [0.5, 0.5], [0, 1])) == [1, 2]
    assert ids(tracker.update([box(12)], [0.5], [1])) == [2]
    assert tracker.counts == {0: 1, 1: 1}


def test_small_objects_that_move_by_their_size():
    """Between keyframes an object may leave its box; generalized IoU still matches it."""
    tracker = ObjectTracker(5)
    tracker.update([box(10)], [0.4], [0])
    assert ids(tracker.update([box(33)], [0.4], [0])) == [1]


def test_memory_is_constant():
    tracker = ObjectTracker(25)
    for at in range(200):
        tracker.update([box(500.0 * (at // 2))], [0.5], [at // 2 % 3])
    assert tracker.counts.total() == 100
    assert len(tracker._tracks) < 40


def sample(boxes, scores, labels) -> DetDataSample:
    names = ["a", "b"]
    made = DetDataSample()
    made.pred_instances = InstanceData(
        bboxes=torch.tensor(boxes).reshape(-1, 4),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels, dtype=torch.long),
        label_names=[names[label] for label in labels],
    )
    return made


def test_interpolation():
    one, two, three = Track(), Track(), Track()
    before = sample([box(0), box(50)], [0.8, 0.5], [0, 1])
    after = sample([box(90), box(10)], [0.7, 0.4], [0, 0])
    tracks = [one, two], [three, one]
    middle, objects = interpolate(before, after, tracks, 0.25)
    assert objects == [one, two]
    assert middle.pred_instances.bboxes.tolist() == [box(2.5), box(50)]
    assert middle.pred_instances.scores.tolist() == pytest.approx([0.7, 0.5])
    assert middle.pred_instances.label_names == ["a", "b"]
    later, objects = interpolate(before, after, tracks, 0.75)
    assert objects == [three, one]
    assert later.pred_instances.bboxes.tolist() == [box(90), box(7.5)]
    assert before.pred_instances.bboxes.tolist() == [box(0), box(50)]  # not changed
    none, objects = interpolate(sample([], [], []), after, ([], tracks[1]), 0.25)
    assert objects == []
    assert len(none.pred_instances) == 0


@pytest.mark.parametrize(("max_lost", "same"), [(1.0, False), (3.0, True)])
def test_an_object_keeps_its_id_while_it_is_hidden(max_lost, same):
    """Two seconds at 5 keyframes per second; it goes on moving."""
    tracker = ObjectTracker(5.0, max_lost)
    ids = []
    for step in range(30):
        hidden = 10 <= step < 20
        boxes = [] if hidden else [[10.0 + 2 * step, 10, 40.0 + 2 * step, 40]]
        found = tracker.update(boxes, [0.9] * len(boxes), [0] * len(boxes))
        ids += [track.id for track in found]
    assert ids[9] == 1
    assert (ids[-1] == 1) == same
