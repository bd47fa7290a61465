"""Drawing: what changes in the image and, above all, what does not."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glip.utils.errors import ConfigError
from glip.visualization import DrawStyle, draw
from glip.visualization.draw import default_sizes, draw_detections
from glip.visualization.placement import place_tags

GRAY = 120


def gray(height, width):
    return np.full((height, width, 3), GRAY, dtype=np.uint8)


def changed(image):
    return (image != GRAY).any(axis=2)


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def inside(rect, height, width):
    return 0 <= rect[0] < rect[2] <= width and 0 <= rect[1] < rect[3] <= height


@st.composite
def scenes(draw_from):
    """An image's size, boxes within it and the sizes of their tags."""
    height, width = draw_from(st.integers(1, 300)), draw_from(st.integers(1, 300))
    xs, ys = st.integers(0, width), st.integers(0, height)
    boxes, sizes = [], []
    for _ in range(draw_from(st.integers(0, 12))):
        x1, x2 = sorted([draw_from(xs), draw_from(xs)])
        y1, y2 = sorted([draw_from(ys), draw_from(ys)])
        boxes.append((x1, y1, x2, y2))
        sizes.append((draw_from(st.integers(0, 120)), draw_from(st.integers(0, 30))))
    return (height, width), boxes, sizes


# placing tags


@given(scenes())
def test_tags_lie_within_the_image_and_never_overlap(scene):
    (height, width), boxes, sizes = scene
    places = place_tags(boxes, sizes, (height, width))
    assert len(places) == len(boxes)
    placed = [place for place in places if place is not None]
    for place, size in zip(places, sizes, strict=True):
        if place is not None:
            assert inside(place, height, width)
            assert (place[2] - place[0], place[3] - place[1]) == size
    assert not any(overlap(a, b) for a, b in itertools.combinations(placed, 2))


@given(scenes())
def test_the_first_tag_that_fits_always_has_a_place(scene):
    (height, width), boxes, sizes = scene
    fits = [0 < w <= width and 0 < h <= height for w, h in sizes]
    places = place_tags(boxes, sizes, (height, width))
    assert not any(place and not fit for place, fit in zip(places, fits, strict=True))
    if True in fits:
        assert places[fits.index(True)] is not None


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # free above: flush with the left of the box
        ((50, 50, 150, 150), (50, 38, 90, 50)),
        # no room above: inside at the top
        ((50, 5, 150, 150), (50, 5, 90, 17)),
        # no room above and too small for a tag inside: below
        ((50, 0, 70, 10), (50, 10, 90, 22)),
        # as big as the image
        ((0, 0, 200, 200), (0, 0, 40, 12)),
        # at the right edge: moved left
        ((190, 50, 200, 150), (160, 38, 200, 50)),
        # bottom right corner
        ((190, 190, 200, 200), (160, 178, 200, 190)),
        # a flat box over the whole width at the bottom
        ((0, 198, 200, 200), (0, 186, 40, 198)),
        # a high and narrow one over the whole height: only the inside is left
        ((0, 0, 5, 200), (0, 0, 40, 12)),
    ],
)
def test_where_a_lonely_tag_goes(box, expected):
    assert place_tags([box], [(40, 12)], (200, 200)) == [expected]


def test_tags_of_equal_boxes_go_around_the_box():
    places = place_tags([(50, 50, 150, 150)] * 3, [(40, 12)] * 3, (200, 200))
    above, below, above_right = (50, 38, 90, 50), (50, 150, 90, 162), (110, 38, 150, 50)
    assert places == [above, below, above_right]


def test_a_tag_goes_inside_where_the_place_above_is_taken():
    boxes = [(40, 46, 190, 158), (50, 50, 150, 150)]
    assert place_tags(boxes, [(40, 12)] * 2, (200, 200)) == [(40, 34, 80, 46), (50, 50, 90, 62)]


@pytest.mark.parametrize("num", [2, 5, 20])
def test_equal_boxes_all_get_a_tag_where_there_is_room(num):
    places = place_tags([(50, 50, 150, 150)] * num, [(40, 12)] * num, (200, 200))
    assert None not in places
    assert not any(overlap(a, b) for a, b in itertools.combinations(places, 2))


def test_a_stack_grows_over_a_small_box():
    places = place_tags([(100, 100, 104, 104)] * 5, [(40, 12)] * 5, (200, 200))
    assert None not in places


def test_a_tag_without_a_place_is_left_out():
    places = place_tags([(0, 0, 40, 12)] * 3, [(40, 12)] * 3, (12, 40))
    assert places == [(0, 0, 40, 12), None, None]


def test_empty_and_oversized_tags_have_no_place():
    assert place_tags([(0, 0, 9, 9)] * 3, [(0, 0), (101, 5), (5, 101)], (100, 100)) == [None] * 3


# drawing


def test_no_boxes_leave_the_image_equal():
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for boxes in (np.zeros((0, 4)), []):
        drawn = draw_detections(image, boxes, [], [], [])
        assert np.array_equal(drawn, image)
        assert drawn is not image


@pytest.mark.parametrize(
    "box",
    [
        (200, 10, 220, 30),  # right of it
        (10, -30, 20, -10),  # above it
        (np.nan, 0, 10, 10),
        (0, 0, np.inf, 10),
    ],
)
def test_boxes_elsewhere_are_left_out(box):
    assert not changed(draw_detections(gray(100, 100), [box], ["name"], [0.9])).any()


def test_the_given_image_is_not_changed():
    image = gray(100, 100)
    image.flags.writeable = False
    drawn = draw_detections(image, [[10, 30, 60, 80]], ["cat"], [0.9])
    assert drawn.flags.writeable
    assert drawn.dtype == np.uint8
    assert not changed(image).any()
    assert changed(drawn).any()


def test_a_box_is_where_it_should_be():
    drawn = draw_detections(gray(100, 120), [[20, 30, 80, 90]], [""], colors=[(255, 0, 0)])
    red = (drawn == (255, 0, 0)).all(axis=2)
    rows, columns = np.nonzero(red)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (20, 30, 80, 90)
    assert not changed(drawn)[35:85, 25:75].any()  # not filled
    assert not changed(drawn)[:25].any()


def test_non_contiguous_images_are_drawn():
    image = np.zeros((3, 40, 50), dtype=np.uint8).transpose(1, 2, 0)[:, ::-1]
    drawn = draw_detections(image, [[5, 15, 40, 35]], ["a"], [0.5])
    assert drawn.shape == (40, 50, 3)
    assert drawn.any()


# random boxes that cross the edges of the image, in and far out of it
coordinates = st.floats(-1e6, 1e6, width=32) | st.floats(-30, 130, width=32)


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
    st.lists(
        st.tuples(st.tuples(*[coordinates] * 4), st.text(max_size=60), st.floats(0, 1)), max_size=6
    ),
)
def test_any_box_and_any_text_can_be_drawn(shape, detections):
    boxes, names, scores = zip(*detections, strict=True) if detections else ((), (), ())
    drawn = draw_detections(gray(*shape), boxes, names, scores)
    assert drawn.shape == (*shape, 3)
    assert drawn.dtype == np.uint8


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([0, 1, 50, 98, 100]), st.sampled_from([0, 1, 50, 98, 100]), st.data())
def test_only_boxes_and_tags_change_the_image(x, y, data):
    """Boxes at every edge and corner, and outlines no further than their shade."""
    box = (x, y, data.draw(st.integers(x, 100)), data.draw(st.integers(y, 100)))
    places = []
    original = draw.place_tags

    def spy(*args):
        found = original(*args)
        places.extend(found)
        return found

    draw.place_tags = spy
    try:
        drawn = draw_detections(gray(100, 100), [box], ["dog"], [0.8])
    finally:
        draw.place_tags = original
    expected = np.zeros((100, 100), dtype=bool)
    for x1, y1, x2, y2 in [box, *(place for place in places if place)]:
        expected[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = True
    assert not (changed(drawn) & ~expected).any()
    assert all(inside(place, 100, 100) for place in places if place)


def test_the_best_score_lies_on_top():
    boxes = [[20, 20, 80, 80]] * 2
    colors = [(255, 0, 0), (0, 0, 255)]
    for scores, top in [([0.9, 0.4], (255, 0, 0)), ([0.4, 0.9], (0, 0, 255))]:
        drawn = draw_detections(gray(100, 100), boxes, ["", ""], scores, colors)
        assert tuple(drawn[20, 50]) == top


def test_without_scores_the_smallest_lies_on_top():
    boxes = [[40, 20, 60, 80], [20, 20, 80, 80]]
    drawn = draw_detections(gray(100, 100), boxes, ["", ""], colors=[(255, 0, 0), (0, 0, 255)])
    assert tuple(drawn[20, 50]) == (255, 0, 0)


def test_each_name_has_its_color():
    boxes = [[10, 40, 60, 90], [100, 40, 150, 90], [200, 40, 250, 90]]
    drawn = draw_detections(gray(120, 300), boxes, ["cat", "dog", "cat"])
    first, second, third = (tuple(drawn[60, x]) for x in (10, 100, 200))
    assert first == third != second


def test_the_tag_has_the_color_of_its_box():
    drawn = draw_detections(gray(200, 200), [[50, 100, 150, 150]], ["cat"], [0.5], [(9, 9, 200)])
    above = drawn[80:99]
    assert (above == (9, 9, 200)).all(axis=2).sum() > 200
    assert (above == 255).all(axis=2).any()  # white text


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (400, 3), (48, 64), (600, 800)])
def test_images_of_odd_sizes(shape):
    height, width = shape
    drawn = draw_detections(gray(*shape), [[0, 0, width, height]], ["a long phrase"], [0.75])
    assert drawn.shape == (height, width, 3)
    assert changed(drawn).any()


def test_a_big_image_is_drawn_in_seconds():
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 3000, (300, 4))
    names = [f"thing {k % 40}" for k in range(300)]
    start = time.perf_counter()
    draw_detections(gray(3000, 4000), boxes, names, rng.uniform(0.3, 1, 300))
    assert time.perf_counter() - start < 20


def test_sizes_follow_the_image():
    sizes = [default_sizes(h, w) for h, w in [(48, 64), (480, 640), (800, 1333), (3000, 4000)]]
    assert sizes == sorted(sizes)
    assert sizes[0] == (9, 1)
    assert 11 <= sizes[1][0] <= 16
    assert 1 <= sizes[1][1] <= 3
    assert 45 <= sizes[3][0] <= 80
    assert 6 <= sizes[3][1] <= 14


def test_sizes_can_be_given():
    plain, thick, large = (
        draw_detections(gray(200, 200), [[50, 100, 150, 190]], ["cat"], style=style)
        for style in (
            DrawStyle(line_width=1),
            DrawStyle(line_width=9),
            DrawStyle(line_width=1, font_size=40),
        )
    )
    assert changed(thick).sum() > changed(plain).sum()
    assert changed(large)[:80].any()
    assert not changed(plain)[:80].any()


def test_options_that_are_no_style():
    for values in (dict(line_width=0), dict(font_size=1.5), dict(font="no.ttf")):
        with pytest.raises(ConfigError, match=f"expected {next(iter(values))} as"):
            DrawStyle(**values)
    with pytest.raises(ConfigError, match="hide_labels"):
        DrawStyle(hide_labels="yes")


def test_what_is_not_set_is_the_configs():
    style = DrawStyle(font_size=20, hide_scores=True)
    visualizer = dict(type="DetLocalVisualizer", font_size=9, line_width=4, hide_labels=True)
    merged = style.over(visualizer)
    assert merged == DrawStyle(line_width=4, font_size=20, hide_labels=True, hide_scores=True)
    assert style.over(None) == style


def test_names_and_scores_can_be_hidden(monkeypatch):
    texts = []
    monkeypatch.setattr(draw, "_draw_tag", lambda _, place, text, *rest: texts.append(text))
    for style in (DrawStyle(hide_labels=True), DrawStyle(hide_scores=True), DrawStyle()):
        draw_detections(gray(200, 200), [[50, 100, 150, 190]], ["cat"], [0.5], style=style)
    assert texts == ["0.50", "cat", "cat 0.50"]
    bare = DrawStyle(hide_labels=True, hide_scores=True)
    draw_detections(gray(200, 200), [[50, 100, 150, 190]], ["cat"], [0.5], style=bare)
    assert len(texts) == 3


def crowd(number=100, height=480, width=640):
    """Boxes all over an image, with names of several lengths."""
    rng = np.random.default_rng(0)
    centers = rng.uniform(0, 1, (number, 2)) * [width, height]
    sides = rng.uniform(0.03, 0.25, (number, 2)) * [width, height]
    names = ["red star", "a man in a red jacket", "car", "traffic light", "person"]
    return (
        np.concatenate([centers - sides / 2, centers + sides / 2], axis=1),
        [names[k % len(names)] for k in range(number)],
        rng.uniform(0.3, 1, number),
    )


def test_a_hundred_boxes_all_have_readable_labels(monkeypatch):
    tags = []
    original = draw._draw_tag

    def spy(canvas, place, text, color, font):
        tags.append((place, text, font.size))
        original(canvas, place, text, color, font)

    monkeypatch.setattr(draw, "_draw_tag", spy)
    drawn = draw_detections(gray(480, 640), *crowd())
    assert len(tags) == 100
    assert not any(overlap(a, b) for (a, *_), (b, *_) in itertools.combinations(tags, 2))
    # smaller than usual, and a few with the score alone
    assert {size for *_, size in tags} == {round(0.7 * default_sizes(480, 640)[0])}
    assert sum(text[0].isalpha() for _, text, _ in tags) > 90
    assert np.array_equal(drawn, draw_detections(gray(480, 640), *crowd()))


def test_a_given_font_size_is_kept(monkeypatch):
    sizes = []
    monkeypatch.setattr(draw, "_draw_tag", lambda *args: sizes.append(args[-1].size))
    draw_detections(gray(480, 640), *crowd(), style=DrawStyle(font_size=13))
    assert set(sizes) == {13}
    assert len(sizes) > 60


# texts


@pytest.mark.parametrize(
    "name",
    [
        "猫",
        "😀 face",
        "👩‍👩‍👧",
        "مرحبا بالعالم",
        "\ud800",  # half a surrogate pair has no UTF-8 form
        "nul\x00 and \x1b",
        "two\nlines\tand more",
        "\u202eright to left override",
        "e" + "\u0301" * 200,
        "Ωμέγα ß ñ",
        " ",
        "",
        "x" * 10_000,
    ],
)
def test_unusual_names_do_not_crash(name):
    drawn = draw_detections(gray(100, 200), [[20, 50, 120, 90]], [name], [0.5])
    assert changed(drawn).any()
    assert not changed(drawn)[:30].any()  # nothing grows out of its tag


@pytest.mark.parametrize(
    ("name", "score", "expected"),
    [
        ("cat", 0.876, "cat 0.88"),
        ("cat", None, "cat"),
        ("", 0.5, "0.50"),
        ("", None, ""),
        ("two\nlines", 1.0, "two lines 1.00"),
        ("a\x00b", None, "ab"),
    ],
)
def test_texts(name, score, expected):
    assert draw._tag_text(name, score, draw.load_font(12), 500) == expected


@given(st.text(max_size=80), st.none() | st.floats(0, 1), st.integers(0, 300))
def test_a_text_is_as_wide_as_allowed_at_most(name, score, limit):
    font = draw.load_font(12)
    text = draw._tag_text(name, score, font, limit)
    assert draw._tag_size(text, font)[0] <= limit


def test_a_long_phrase_is_shortened_as_little_as_needed():
    font = draw.load_font(12)
    name = "a man in a red jacket holding a camera"
    text = draw._tag_text(name, 0.5, font, 160)
    shortened, number = text.split(draw.ELLIPSIS)
    assert number == " 0.50"
    assert name.startswith(shortened)
    longer = f"{name[: len(shortened) + 2]}{draw.ELLIPSIS} 0.50"
    assert draw._tag_size(longer, font)[0] > 160


def test_where_no_name_fits_the_score_stays():
    font = draw.load_font(12)
    limit = draw._tag_size("0.50", font)[0]
    assert draw._tag_text("elephant", 0.5, font, limit) == "0.50"
    assert draw._tag_text("elephant", 0.5, font, limit - 1) == ""


# wrong arguments


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((9, 9), np.uint8)}, r"uint8 \(H, W, 3\).*uint8 \(9, 9\)"),
        ({"image": np.zeros((9, 9, 3))}, r"got float64 \(9, 9, 3\)"),
        ({"boxes": [[1, 2, 3]]}, r"boxes must be \(K, 4\).*\(1, 3\)"),
        ({"names": []}, "names must be one for each box, but got 0 for 1"),
        ({"scores": [0.1, 0.2]}, "scores must be one for each box, but got 2 for 1"),
        ({"colors": []}, "colors must be one for each box, but got 0 for 1"),
    ],
)
def test_wrong_arguments_are_explained(change, message):
    good = {"image": gray(9, 9), "boxes": [[0, 0, 5, 5]], "names": ["a"]}
    with pytest.raises(ValueError, match=message):
        draw_detections(**{**good, **change})
