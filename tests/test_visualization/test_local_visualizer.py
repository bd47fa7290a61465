"""From data samples to images: which boxes, which names, which colours, and where they go."""

import mmcv
import numpy as np
import pytest
import torch
from mmengine.registry import VISUALIZERS as ROOT
from mmengine.structures import InstanceData

from glip.registry import VISUALIZERS
from glip.structures import DetDataSample
from glip.visualization import DetLocalVisualizer, DrawStyle, label_color
from glip.visualization import local_visualizer as module


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture
def visualizer():
    return DetLocalVisualizer()


@pytest.fixture
def calls(monkeypatch):
    """What is handed to draw_detections, which still draws."""
    seen = []
    original = module.draw_detections

    def spy(image, boxes, names, scores=None, colors=None, **options):
        seen.append({"boxes": boxes, "names": names, "scores": scores, "colors": colors, **options})
        return original(image, boxes, names, scores, colors, **options)

    monkeypatch.setattr(module, "draw_detections", spy)
    return seen


def predictions(scores=(0.9, 0.2), names=("cat", "dog")):
    num = len(scores)
    fields = {
        "bboxes": torch.tensor([[5.0, 20, 40, 50]]).repeat(num, 1),
        "scores": torch.tensor(scores),
        "labels": torch.arange(num),
    }
    if names is not None:
        fields["label_names"] = list(names)
    return InstanceData(**fields)


def annotations(labels=(1,)):
    return InstanceData(
        bboxes=torch.tensor([[30.0, 20, 70, 50]]).repeat(len(labels), 1),
        labels=torch.tensor(labels, dtype=torch.long),
    )


def sample(**fields):
    data_sample = DetDataSample()
    for name, value in fields.items():
        setattr(data_sample, name, value)
    return data_sample


# what is drawn


def test_detections_alone_are_one_image(visualizer, image, calls):
    visualizer.add_datasample("a", image, sample(pred_instances=predictions()))
    assert visualizer.get_image().shape == image.shape
    assert len(calls) == 1


def test_annotations_alone_are_one_image(visualizer, image, calls):
    visualizer.dataset_meta = {"classes": ("zero", "one")}
    visualizer.add_datasample("a", image, sample(gt_instances=annotations()))
    assert visualizer.get_image().shape == image.shape
    assert calls[0]["names"] == ["one"]
    assert calls[0]["scores"] is None


def test_both_are_side_by_side_annotations_left(visualizer, image, calls):
    both = sample(gt_instances=annotations(), pred_instances=predictions())
    visualizer.add_datasample("a", image, both)
    drawn = visualizer.get_image()
    assert drawn.shape == (60, 160, 3)
    left, right = drawn[:, :80], drawn[:, 80:]
    assert np.array_equal(left[:, :25], image[:, :25])  # the annotated box begins at 30
    assert np.array_equal(right[:, 78:], image[:, 78:])
    assert tuple(left[45, 30]) == label_color(1)
    assert tuple(right[45, 5]) == label_color(0)
    assert [call["names"] for call in calls] == [["class 1"], ["cat"]]


@pytest.mark.parametrize("flags", [{"draw_gt": False}, {"draw_pred": False}])
def test_either_can_be_left_out(visualizer, image, calls, flags):
    both = sample(gt_instances=annotations(), pred_instances=predictions())
    visualizer.add_datasample("a", image, both, **flags)
    assert visualizer.get_image().shape == image.shape
    assert len(calls) == 1
    assert (calls[0]["scores"] is None) == ("draw_pred" in flags)


@pytest.mark.parametrize(
    "data_sample",
    [
        None,
        DetDataSample(),
        sample(gt_instances=InstanceData()),  # an image without annotations
        sample(pred_instances=predictions(scores=(), names=())),
    ],
)
def test_nothing_to_draw_leaves_the_image_equal(visualizer, image, data_sample):
    visualizer.add_datasample("a", image, data_sample)
    assert np.array_equal(visualizer.get_image(), image)


def test_the_given_image_is_not_changed(visualizer, image):
    before = image.copy()
    visualizer.add_datasample("a", image, sample(pred_instances=predictions()))
    assert np.array_equal(image, before)


def test_floating_point_images_are_rounded_down_to_pixels(visualizer):
    visualizer.add_datasample("a", np.full((20, 30, 3), 300.7, dtype=np.float32))
    assert (visualizer.get_image() == 255).all()


# which detections, names and colours


@pytest.mark.parametrize(("thr", "names"), [(0.0, ["cat", "dog"]), (0.3, ["cat"]), (0.95, [])])
def test_low_scores_are_left_out(visualizer, image, calls, thr, names):
    visualizer.add_datasample("a", image, sample(pred_instances=predictions()), pred_score_thr=thr)
    assert calls[0]["names"] == names
    assert (
        len(calls[0]["boxes"]) == len(calls[0]["scores"]) == len(calls[0]["colors"]) == len(names)
    )


def test_label_names_win_over_classes(visualizer, image, calls):
    visualizer.dataset_meta = {"classes": ("zero", "one")}
    visualizer.add_datasample("a", image, sample(pred_instances=predictions()))
    assert calls[0]["names"] == ["cat"]


def test_labels_beyond_the_classes_are_numbered(visualizer, image, calls):
    visualizer.dataset_meta = {"classes": ("zero",)}
    visualizer.add_datasample("a", image, sample(gt_instances=annotations((0, 1, 7))))
    assert calls[0]["names"] == ["zero", "class 1", "class 7"]


def test_colors_belong_to_labels(visualizer, image, calls):
    visualizer.add_datasample("a", image, sample(gt_instances=annotations((7, 30, 7))))
    assert calls[0]["colors"] == [label_color(7), label_color(30), label_color(7)]


def test_the_palette_of_the_data_set_is_used(visualizer, image, calls):
    visualizer.dataset_meta = {"palette": [(1, 2, 3)]}
    visualizer.add_datasample("a", image, sample(gt_instances=annotations((0, 1))))
    assert calls[0]["colors"] == [(1, 2, 3), label_color(1)]


def test_a_palette_that_is_only_named_is_ignored(visualizer, image, calls):
    visualizer.dataset_meta = {"palette": "random"}
    visualizer.add_datasample("a", image, sample(gt_instances=annotations((0,))))
    assert calls[0]["colors"] == [label_color(0)]


def test_without_labels_colors_belong_to_names(visualizer, image, calls):
    instances = predictions((0.9, 0.8, 0.7), ("cat", "dog", "cat"))
    del instances.labels
    visualizer.add_datasample("a", image, sample(pred_instances=instances))
    assert calls[0]["colors"] == [label_color(0), label_color(1), label_color(0)]


def test_boxes_alone_are_drawn(visualizer, image, calls):
    instances = InstanceData(bboxes=torch.tensor([[5.0, 5, 30, 30]]))
    visualizer.add_datasample("a", image, sample(pred_instances=instances))
    assert calls[0]["names"] == [""]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_type_of_tensor_is_drawn(visualizer, image, calls, dtype):
    instances = predictions()
    instances.bboxes = instances.bboxes.to(dtype).requires_grad_()
    instances.scores = instances.scores.to(dtype)
    visualizer.add_datasample("a", image, sample(pred_instances=instances))
    assert np.array_equal(calls[0]["boxes"], [[5, 20, 40, 50]])


def test_arrays_are_drawn(visualizer, image, calls):
    instances = InstanceData(
        bboxes=np.array([[5, 20, 40, 50]]), scores=np.array([0.7]), labels=np.array([3])
    )
    visualizer.add_datasample("a", image, sample(pred_instances=instances))
    assert calls[0]["names"] == ["class 3"]


def test_the_style_is_passed_on(image, calls):
    visualizer = DetLocalVisualizer(line_width=5, font_size=20, hide_scores=True)
    visualizer.add_datasample("a", image, sample(pred_instances=predictions()))
    assert calls[0]["style"] == DrawStyle(line_width=5, font_size=20, hide_scores=True)


# what mmengine's visualizer does besides


def test_an_image_comes_back_as_it_was_set(visualizer, image):
    visualizer.set_image(image)
    returned = visualizer.get_image()
    assert np.array_equal(returned, image)
    returned[:] = 0
    assert np.array_equal(visualizer.get_image(), image)
    assert np.array_equal(DetLocalVisualizer(image=image).get_image(), image)


def test_one_can_draw_more_on_an_image(visualizer, image):
    visualizer.add_datasample("a", image, sample(pred_instances=predictions()))
    before = visualizer.get_image()
    visualizer.draw_bboxes(np.array([10, 10, 50, 50]), edge_colors="r")
    after = visualizer.get_image()
    assert after.shape == before.shape
    assert not np.array_equal(after, before)
    visualizer.set_image(image)
    assert np.array_equal(visualizer.get_image(), image)


# where the image goes


def test_out_file_is_written_in_a_new_folder(visualizer, image, tmp_path):
    out_file = tmp_path / "new" / "folder" / "ünï.png"
    visualizer.add_datasample("a", image, sample(pred_instances=predictions()), out_file=out_file)
    saved = mmcv.imfrombytes(out_file.read_bytes(), channel_order="rgb")
    assert np.array_equal(saved, visualizer.get_image())


def test_backends_store_the_image(image, tmp_path):
    visualizer = DetLocalVisualizer(
        vis_backends=[{"type": "LocalVisBackend"}], save_dir=str(tmp_path)
    )
    data_sample = sample(pred_instances=predictions())
    visualizer.add_datasample("a", image, data_sample, step=7)
    (stored,) = tmp_path.rglob("a_7.png")
    assert np.array_equal(mmcv.imread(str(stored), channel_order="rgb"), visualizer.get_image())


def test_a_saved_or_shown_image_is_not_stored_as_well(visualizer, image, tmp_path, monkeypatch):
    stored, shown = [], []
    monkeypatch.setattr(visualizer, "add_image", lambda *args: stored.append(args))
    monkeypatch.setattr(visualizer, "show", lambda *args, **kwargs: shown.append((args, kwargs)))
    visualizer.add_datasample("a", image, out_file=str(tmp_path / "a.jpg"))
    assert (len(stored), len(shown)) == (0, 0)
    visualizer.add_datasample("title", image, show=True, wait_time=3)
    assert (len(stored), len(shown)) == (0, 1)
    assert shown[0][1] == {"win_name": "title", "wait_time": 3}
    assert np.array_equal(shown[0][0][0], image)
    visualizer.add_datasample("a", image)
    assert (len(stored), len(shown)) == (1, 1)


def test_it_is_built_from_a_config():
    built = VISUALIZERS.build({"type": "DetLocalVisualizer", "name": "from config"})
    assert isinstance(built, DetLocalVisualizer)
    built = ROOT.build({"type": "glip.DetLocalVisualizer", "name": "from the root"})
    assert isinstance(built, DetLocalVisualizer)
