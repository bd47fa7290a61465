"""The hook draws the right images at the right time, through the runner's visualizer."""

from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import mmcv
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer

from glip.engine import DetVisualizationHook
from glip.engine.hooks import visualization as module
from glip.registry import HOOKS
from glip.structures import DetDataSample
from glip.visualization import DetLocalVisualizer


class Recorder:
    """A visualizer that only remembers."""

    def __init__(self):
        self.calls = []

    def add_datasample(self, name, image, **kwargs):
        self.calls.append({"name": name, "image": image, **kwargs})


@pytest.fixture
def runner(tmp_path):
    return SimpleNamespace(
        visualizer=Recorder(), iter=120, work_dir=str(tmp_path / "work"), timestamp="20260101"
    )


def make_sample(path, color=(200, 100, 50)):
    """A data sample of an image, 60 x 80, of one RGB colour, with one detection."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((60, 80, 3), color[::-1], dtype=np.uint8)
    mmcv.imwrite(image, str(path))
    data_sample = DetDataSample(metainfo={"img_path": str(path)})
    data_sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[10.0, 30, 60, 55]]),
        scores=torch.tensor([0.9]),
        labels=torch.tensor([2]),
        label_names=["cat"],
    )
    return data_sample


def test_it_is_off_by_default(runner, tmp_path):
    hook = DetVisualizationHook()
    outputs = [make_sample(tmp_path / "a.png")]
    hook.before_run(runner)
    hook.after_val_iter(runner, 0, None, outputs)
    hook.after_test_iter(runner, 0, None, outputs)
    assert runner.visualizer.calls == []


def test_validation_draws_the_first_image_of_every_interval(runner, tmp_path):
    hook = DetVisualizationHook(draw=True, interval=3, score_thr=0.45)
    for batch in range(7):
        outputs = [make_sample(tmp_path / f"{batch}_{k}.png") for k in range(2)]
        hook.after_val_iter(runner, batch, None, outputs)
    calls = runner.visualizer.calls
    assert [call["name"] for call in calls] == ["val_0_0", "val_3_0", "val_6_0"]
    assert [call["step"] for call in calls] == [120] * 3
    assert calls[0]["pred_score_thr"] == 0.45
    assert calls[0]["out_file"] is None
    assert calls[0]["show"] is False


def test_images_arrive_in_rgb_order(runner, tmp_path):
    hook = DetVisualizationHook(draw=True)
    hook.after_val_iter(runner, 0, None, [make_sample(tmp_path / "a.png", (200, 100, 50))])
    image = runner.visualizer.calls[0]["image"]
    assert image.shape == (60, 80, 3)
    assert (image == (200, 100, 50)).all()


def test_a_test_draws_every_image(runner, tmp_path):
    hook = DetVisualizationHook(draw=True, interval=50)
    hook.before_test(runner)
    for batch in range(2):
        outputs = [make_sample(tmp_path / f"{batch}_{k}.png") for k in range(2)]
        hook.after_test_iter(runner, batch, None, outputs)
    assert [call["step"] for call in runner.visualizer.calls] == [1, 2, 3, 4]
    assert {call["name"] for call in runner.visualizer.calls} == {"test_img"}
    hook.before_test(runner)
    hook.after_test_iter(runner, 0, None, outputs[:1])
    assert runner.visualizer.calls[-1]["step"] == 1


def test_images_of_a_test_are_saved(runner, tmp_path):
    runner.visualizer = DetLocalVisualizer()
    hook = DetVisualizationHook(draw=True, test_out_dir="images")
    for batch, name in enumerate(["a.png", "b.jpg"]):
        hook.after_test_iter(runner, batch, None, [make_sample(tmp_path / name)])
    folder = tmp_path / "work" / "20260101" / "images"
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "b.jpg"]
    saved = mmcv.imread(str(folder / "a.png"), channel_order="rgb")
    assert saved.shape == (60, 80, 3)
    assert not (saved == (200, 100, 50)).all()


def test_images_that_cannot_be_drawn_do_not_end_the_test(runner, tmp_path):
    runner.visualizer = DetLocalVisualizer()
    runner.logger = mock.Mock()
    hook = DetVisualizationHook(draw=True, test_out_dir="images", max_pixels=60 * 80)
    samples = [make_sample(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    (tmp_path / "a.png").write_bytes(b"damaged")
    (tmp_path / "b.png").unlink()
    hook.after_test_iter(runner, 0, None, samples)
    folder = tmp_path / "work" / "20260101" / "images"
    assert [path.name for path in folder.iterdir()] == ["c.png"]
    runner.logger.warning.assert_called_once()


def test_an_absolute_folder_is_used_as_it_is(runner, tmp_path):
    hook = DetVisualizationHook(draw=True, test_out_dir=str(tmp_path / "here"))
    hook.after_test_iter(runner, 0, None, [make_sample(tmp_path / "a.png")])
    assert runner.visualizer.calls[0]["out_file"] == str(tmp_path / "here" / "a.png")


def test_images_of_one_name_do_not_overwrite_each_other(runner, tmp_path):
    hook = DetVisualizationHook(draw=True, test_out_dir=str(tmp_path / "out"))
    outputs = [make_sample(tmp_path / folder / "1.png") for folder in "abc"]
    hook.after_test_iter(runner, 0, None, outputs)
    names = [Path(call["out_file"]).name for call in runner.visualizer.calls]
    assert names == ["1.png", "1_2.png", "1_3.png"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("x/a.JPG", "a.JPG"),
        ("x/a.gif", "a.png"),
        ("http://x.y/a.jpg?size=1", "a.png"),
        ("a", "a.png"),
    ],
)
def test_names_of_images(path, name):
    assert DetVisualizationHook()._file_name(path) == name


def test_show_is_passed_on_with_the_file_name_as_title(runner, tmp_path):
    hook = DetVisualizationHook(draw=True, show=True, wait_time=0.5)
    outputs = [make_sample(tmp_path / "a.png")]
    hook.after_val_iter(runner, 0, None, outputs)
    hook.after_test_iter(runner, 0, None, outputs)
    for call in runner.visualizer.calls:
        assert (call["name"], call["show"], call["wait_time"]) == ("a.png", True, 0.5)


def test_only_the_main_process_reads_and_draws(runner, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "is_main_process", lambda: False)
    hook = DetVisualizationHook(draw=True)
    outputs = [DetDataSample(metainfo={"img_path": str(tmp_path / "missing.png")})]
    hook.after_val_iter(runner, 0, None, outputs)
    hook.after_test_iter(runner, 0, None, outputs)
    assert runner.visualizer.calls == []


def test_backend_args_reach_the_reader(runner, tmp_path):
    hook = DetVisualizationHook(draw=True, backend_args={"backend": "local"})
    hook.after_val_iter(runner, 0, None, [make_sample(tmp_path / "a.png")])
    assert len(runner.visualizer.calls) == 1


def test_a_visualizer_that_draws_nothing_is_an_error(runner):
    runner.visualizer = Visualizer()
    with pytest.raises(TypeError, match="DetLocalVisualizer"):
        DetVisualizationHook(draw=True).before_run(runner)
    DetVisualizationHook(draw=False).before_run(runner)


def test_an_interval_must_be_positive():
    with pytest.raises(ValueError, match="at least 1 batch, but got 0"):
        DetVisualizationHook(interval=0)


def test_it_is_built_from_a_config():
    built = HOOKS.build({"type": "DetVisualizationHook", "draw": True, "interval": 10})
    assert isinstance(built, DetVisualizationHook)
    assert (built.draw, built.interval) == (True, 10)
