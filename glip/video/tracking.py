"""Ids of objects from keyframe to keyframe, and their boxes between two keyframes.

Association is ByteTrack of the package trackers. Its default thresholds (0.7 to start a track, 0.6
for the first stage) are above most scores of GLIP, so both are the threshold of the detections: all
that is shown is tracked.

Shapes: K detections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData

from glip.structures import DetDataSample
from glip.structures.export import BOX_DECIMALS, SCORE_DECIMALS
from glip.utils.errors import DependencyError

#: Keyframes that a track is kept while its object is not detected, at least.
_LOST_KEYFRAMES = 3
#: Smallest generalized IoU of a track's predicted box and a detection. Below 0 the boxes may lie
#: apart, as those of a small object do that moves by its own size between two keyframes. Chosen on
#: the generated videos of docs/video.md.
_MIN_GIOU = -0.3
#: Tracks have their ids from the second keyframe on.
_CONFIRMED_AFTER = 2
#: Largest difference in pixels of a new track's box and the detection that it starts from.
_SAME_BOX = 1e-3


def check_trackers() -> None:
    """Check that trackers is installed.

    Raises:
        DependencyError: it is not.
    """
    try:
        import trackers  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            "tracking needs trackers, which needs numpy 2: pip install trackers, or "
            f'pip install "glip[video]" ({error})'
        ) from None


class Track:
    """An object in several frames.

    Attributes:
        is_confirmed: whether it was found in two keyframes in a row.
        id: of a confirmed object, 1 for the first one; else ``None``.
    """

    def __init__(self) -> None:
        self.is_confirmed = False
        self.id: int | None = None


class ObjectTracker:
    """Assign detections of keyframes to objects; objects of different labels are different.

    An object gets its id when it is found in two keyframes in a row; a detection that no other
    keyframe supports has none.

    Args:
        keyframe_rate: keyframes per second.
        max_lost: seconds that an object keeps its id while it is not detected; at least three
            keyframes.

    Attributes:
        counts: number of the objects with an id, by label.

    Raises:
        DependencyError: trackers is not installed.
    """

    def __init__(self, keyframe_rate: float, max_lost: float = 1.0) -> None:
        check_trackers()
        import supervision
        from trackers import ByteTrackTracker
        from trackers.utils.iou import GIoU

        self._make_detections = supervision.Detections
        self._make_tracker = lambda: ByteTrackTracker(
            lost_track_buffer=round(30 * max(max_lost, _LOST_KEYFRAMES / keyframe_rate)),
            frame_rate=keyframe_rate,
            track_activation_threshold=0.0,
            high_conf_det_threshold=0.0,
            minimum_consecutive_frames=_CONFIRMED_AFTER,
            minimum_iou_threshold=_MIN_GIOU,
            iou=GIoU(),
        )
        self._trackers: dict[int, Any] = {}
        self._tracks: dict[Any, Track] = {}  # by the tracklets that the trackers hold
        self.counts: Counter[int] = Counter()

    def update(
        self,
        boxes: Sequence[Sequence[float]],
        scores: Sequence[float],
        labels: Sequence[int],
    ) -> list[Track]:
        """Return the object of each detection in the next keyframe.

        Args:
            boxes: xyxy in pixels (K, 4), as :func:`rounded` returns them.
            scores: K scores.
            labels: K labels.
        """
        found = [Track() for _ in boxes]
        for label in sorted({*self._trackers, *labels}):
            own = [at for at, each in enumerate(labels) if each == label]
            if label not in self._trackers:
                self._trackers[label] = self._make_tracker()
            self._update_label(label, own, boxes, scores, found)
            if not self._trackers[label].tracks:
                del self._trackers[label]  # a new one continues as this would
        alive = {tracklet for each in self._trackers.values() for tracklet in each.tracks}
        self._tracks = {key: track for key, track in self._tracks.items() if key in alive}
        for label, track in zip(labels, found, strict=True):
            if track.is_confirmed and track.id is None:
                track.id = self.counts.total() + 1
                self.counts[label] += 1
        return found

    def _update_label(
        self,
        label: int,
        own: Sequence[int],
        boxes: Sequence[Sequence[float]],
        scores: Sequence[float],
        found: list[Track],
    ) -> None:
        """Set the objects of one label's detections, whose indices are ``own``."""
        tracker = self._trackers[label]
        result = tracker.update(
            self._make_detections(
                xyxy=np.array([boxes[at] for at in own], np.float64).reshape(-1, 4),
                confidence=np.array([scores[at] for at in own], np.float64),
                data={"index": np.array(own, int)},
            )
        )
        by_id = {tracklet.tracker_id: tracklet for tracklet in tracker.tracks}
        for tracker_id, at in zip(
            result.tracker_id.tolist(), result.data.get("index", ()), strict=True
        ):
            # A new track has no id in the tracker yet, and its box is that of the detection.
            tracklet = by_id.get(tracker_id) if tracker_id >= 0 else _new(tracker, boxes[at])
            if tracklet is None:
                continue
            track = self._tracks.setdefault(tracklet, found[at])
            track.is_confirmed |= tracker_id >= 0
            found[at] = track


def _new(tracker: Any, box: Sequence[float]) -> Any | None:
    """Return the tracklet without an id that starts from a box."""
    for tracklet in tracker.tracks:
        same = np.abs(tracklet.get_state_bbox() - np.asarray(box)).max() < _SAME_BOX
        if tracklet.tracker_id < 0 and same:
            return tracklet
    return None


def rounded(instances: InstanceData) -> tuple[list[list[float]], list[float], list[int]]:
    """Return the boxes, scores and labels of detections as JSON lines store them.

    Tracks are made of these values, so that a resumed run, which reads them from its JSON lines,
    makes the same.
    """
    return (
        [[round(at, BOX_DECIMALS) for at in box] for box in instances.bboxes.tolist()],
        [round(score, SCORE_DECIMALS) for score in instances.scores.tolist()],
        instances.labels.tolist(),
    )


def interpolate(
    before: DetDataSample,
    after: DetDataSample,
    tracks: tuple[Sequence[Track], Sequence[Track]],
    share: float,
) -> tuple[DetDataSample, list[Track]]:
    """Return the detections of a frame between two keyframes.

    Boxes and scores of an object that is in both are interpolated linearly; one that is in one of
    them is in the half of the frames that is closer to it.

    Args:
        before: the sample of the keyframe before.
        after: the sample of the keyframe after.
        tracks: the objects of both.
        share: the time of the frame, 0 at the keyframe before, 1 at that after.

    Returns:
        The sample, with the presence of the keyframe before, and the objects of its detections.
    """
    one, two = before.pred_instances, after.pred_instances
    place = {track: at for at, track in enumerate(tracks[1])}
    both = [(at, place[track]) for at, track in enumerate(tracks[0]) if track in place]
    first = [at for at, _ in both]
    second = [at for _, at in both]
    alone, others = (tracks[0], first) if share < 0.5 else (tracks[1], second)
    rest = sorted(set(range(len(alone))) - set(others))
    moving, end = _select(one, first), _select(two, second)
    moving.bboxes = torch.lerp(moving.bboxes, end.bboxes, share)
    moving.scores = torch.lerp(moving.scores, end.scores, share)
    still = _select(one if share < 0.5 else two, rest)
    sample = before.new()
    instances = InstanceData.cat([moving, still])
    order = torch.argsort(instances.scores, descending=True, stable=True).tolist()
    sample.pred_instances = _select(instances, order)
    objects = [*(tracks[0][at] for at in first), *(alone[at] for at in rest)]
    return sample, [objects[at] for at in order]


def _select(instances: InstanceData, indices: Sequence[int]) -> InstanceData:
    """Return a copy with the instances of some indices."""
    if not len(instances):  # mmengine does not index empty instances
        return instances.clone()
    return instances[torch.tensor(indices, dtype=torch.long)]
