"""The class file: what it holds, and how it says what is wrong with it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from glip.classes import (
    Calibration,
    ClassFile,
    LabelClass,
    ScoreMap,
    load_classes,
    read_class_file,
    to_yaml,
    write_class_file,
)
from glip.classes.class_file import normalize
from glip.utils.errors import ClassFileError, GLIPError

FULL = """
threshold: 0.4
nms: 0.5
class_agnostic: true
classes:
  referee:
    prompts: [striped shirt, referee]
    combine: mean
    threshold: 0.35
    max: 4
    not: player
    min_size: 12
    max_size: 800.5
  ball: {}
  goal:
calibration:
  binding: {weights: 3ab, image_scale: '(800, 1333)', chunked_size: -1}
  probabilities:
    referee: {isotonic: [[0.1, 0.0], [0.5, 0.5], [0.9, 1.0]]}
    ball: {platt: [8, -4]}
"""


def write(tmp_path, text, name="classes.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_with_everything(tmp_path):
    found = read_class_file(write(tmp_path, FULL))
    referee, ball, goal = found.classes
    assert referee == LabelClass(
        name="referee",
        prompts=("striped shirt", "referee"),
        combine="mean",
        threshold=0.35,
        max=4,
        not_=("player",),
        min_size=12,
        max_size=800.5,
    )
    assert (ball, goal) == (LabelClass("ball"), LabelClass("goal"))
    assert ball.prompts == ("ball",)
    assert (found.threshold, found.nms, found.class_agnostic) == (0.4, 0.5, True)
    assert found.phrases == ["striped shirt", "referee", "ball", "goal", "player"]
    assert found.prompt().names == found.phrases
    assert found.thresholds(0.3) == [0.35, 0.4, 0.4]
    assert found.calibration.binding["chunked_size"] == -1
    assert [found.calibration.probabilities["referee"](s) for s in (0, 0.3, 0.5, 1)] == [
        0,
        pytest.approx(0.25),
        0.5,
        1,
    ]
    assert found.calibration.probabilities["ball"](0.5) == pytest.approx(0.5)
    assert found.where("ball").endswith("classes.yaml, line 14")


def test_what_is_written_is_read_back(tmp_path):
    found = read_class_file(write(tmp_path, FULL))
    path = tmp_path / "copy.yaml"
    write_class_file(path, found)
    assert read_class_file(path) == found
    assert read_class_file(path).digest() == found.digest()
    plain = ClassFile((LabelClass("yes"), LabelClass("12"), LabelClass("Bär: 'x'")))
    write_class_file(path, plain)
    assert read_class_file(path) == plain
    assert "threshold" not in to_yaml(plain)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "\ufeffred star\n\n  bench \n"),
        ("names.yaml", "- red star\n- bench\n"),
        ("names.yml", "red star: {}\nbench:\n"),
        ("names.yaml", "classes: [red star, bench]"),
        ("names.json", '["red star", "bench"]'),
    ],
)
def test_lists_of_names(tmp_path, name, text):
    assert load_classes(str(write(tmp_path, text, name))).names == ["red star", "bench"]


def test_names_without_a_file():
    assert load_classes("red star . bench .").names == ["red star", "bench"]
    assert load_classes(["red star", "bench"]).names == ["red star", "bench"]
    assert load_classes("bench").names == ["bench"]
    assert len(load_classes("$: coco").names) == 80


def test_words_that_yaml_takes_for_other_types_are_words(tmp_path):
    text = "no: {prompts: [off, 7, 2020-01-01, 1e3]}\n3: {not: yes}\n"
    no, three = read_class_file(write(tmp_path, text)).classes
    assert (no.name, no.prompts) == ("no", ("off", "7", "2020-01-01", "1e3"))
    assert (three.name, three.not_) == ("3", ("yes",))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: {}\nb: {treshold: 0.3}", 2, "no option 'treshold': did you mean 'threshold'"),
        ("classes: {a: {}}\nnsm: 0.5", 1, "no option 'nsm': did you mean 'nms'"),
        ("a: {}\nb: {}\na: {}", 3, "the key 'a' is there twice, first in line 1"),
        ("traffic light: {}\nTraffic_Light: {}", 2, "is there already as 'traffic light' (line 1)"),
        ("a: {}\nb: {prompts: [c, A]}", 2, "has the prompt 'A', which 'a' (line 1) has too"),
        ("a: {prompts: [dog, Dog]}", 1, "prompts has 'Dog', but 'dog' is there already"),
        ("a: {not: [A]}", 1, "not has 'A', but 'a' is there already"),
        ("a: {}\n'(red)': {}", 2, "has no word that the model reads"),
        ("a: {prompts: ['\u200b']}", 1, "has no word that the model reads"),
        ('a: {prompts: ["x\\u0007"]}', 1, "control character"),
        ("a: {prompts: [dog . cat]}", 1, "reads as 2 class names"),
        ("a: {prompts: []}", 1, "prompts is empty"),
        ("a: {prompts: [[b]]}", 1, "expected prompts as a list of phrases"),
        ("a: {prompts: ['$: coco']}", 1, "stands for all class names"),
        ("a: {threshold: 1.5}", 1, "expected threshold as a finite number from 0 to 1"),
        ("a: {max: 0}", 1, "expected max as an integer of 1 or more"),
        ("a: {max: true}", 1, "expected max as an integer"),
        ("a: {combine: best}", 1, "expected combine as 'nms' or 'max' or 'mean'"),
        ("a: {min_size: 9, max_size: 3}", 1, "greater than max_size"),
        ("a: 3", 1, "expected a: {} or its keys"),
        ("a: {}\nthreshold: 0.3", 2, "put the classes below `classes:`"),
        ("classes: {a: {}}\n\nnms: 3", 3, "expected nms as"),
        ("classes: {a: {}}\nclass_agnostic: 1", 2, "expected class_agnostic as True or False"),
        ("- a\n- b: {}", 2, "expected a class name"),
        ("- a\n- a", 2, "is there twice"),
        ("a: &x {}\nb: *x", 1, "anchors"),
        ("a: !!python/name:os.system {}", 1, "remove the tag"),
        ("a: [1,\nb", 3, "invalid YAML"),
        ("a: " + "[" * 40 + "]" * 40, 1, "levels deep"),
        ("classes: {a: {}}\ncalibration: {binding: {w: 1}}", 2, "expected probabilities"),
        (
            "classes: {a: {}}\ncalibration:\n  binding: {w: 1}\n  probabilities:\n"
            "    a: {isotonic: [[0.5, 0.1], [0.2, 0.3]]}",
            5,
            "scores ascending",
        ),
        *(
            (
                f"classes: {{a: {{}}}}\ncalibration:\n  binding: {{w: 1}}\n  probabilities:\n"
                f"    a: {{isotonic: {value}}}",
                5,
                "expected",
            )
            for value in ("5", "x", "{a: b}", "[5]", "[[1]]", "[[a, b]]", "true", "[]", "[[]]")
        ),
    ],
)
def test_mistakes_name_the_line(tmp_path, text, line, message):
    path = write(tmp_path, text)
    with pytest.raises(ClassFileError) as raised:
        read_class_file(path)
    assert str(raised.value).startswith(f"{path}, line {line}: ")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent.yaml", "does not exist"),
        ("dog, cat", "expected the classes as a file or as 'bench . car .'"),
        ("$: cocoo", "did you mean 'coco'"),
        ([], "expected at least one class"),
        (["a", "A"], "is there already"),
        ([3], "expected the class name as a text"),
    ],
)
def test_other_mistakes(source, message):
    with pytest.raises(GLIPError) as raised:
        load_classes(source)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("classes.csv", b"a"),
        ("classes.yaml", b""),
        ("classes.yaml", b"\xff\xfe"),
        ("classes.yaml", b"just a text"),
        ("classes.txt", b"\n\n"),
        ("classes.txt", b"a\na\n"),
    ],
)
def test_files_of_another_kind(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ClassFileError, match=name):
        read_class_file(path)


def test_the_scoring_digest_ignores_thresholds_and_limits():
    plain = load_classes("dog . cat .")
    limited = replace(plain, classes=(LabelClass("dog", threshold=0.3, max=2), LabelClass("cat")))
    assert limited.scoring_digest() == plain.scoring_digest()
    assert limited.digest() != plain.digest()
    other = replace(plain, classes=(LabelClass("dog", not_=("wolf",)), LabelClass("cat")))
    assert other.scoring_digest() != plain.scoring_digest()
    calibrated = replace(
        plain, calibration=Calibration({"weights": "a"}, {"dog": ScoreMap(platt=(5, 0))})
    )
    assert calibrated.scoring_digest() == plain.scoring_digest()


def test_a_calibration_of_another_class_is_refused():
    with pytest.raises(ClassFileError, match="'wolf', which is no class"):
        replace(load_classes("dog"), calibration=Calibration({}, {"wolf": ScoreMap(platt=(1, 0))}))


def test_normalize():
    assert normalize("  Traffic_Light (on) ") == normalize("traffic light")
    assert normalize("ﬁsh") == "fish"


def test_classes_are_read_without_torch():
    code = (
        "import sys, glip.classes as c; c.load_classes('dog .'); c.read_class_file; c.to_yaml;"
        "print([n for n in ('torch', 'sklearn', 'transformers', 'mmengine') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_dictionary_is_the_content_of_a_file(tmp_path):
    content = {
        "classes": {"round": {"prompts": ("red circle", "no"), "max": 3}, "star": {}, "1": None},
        "threshold": 0.4,
    }
    classes = load_classes(content)
    (tmp_path / "c.json").write_text(json.dumps(content))
    from_file = load_classes(tmp_path / "c.json")
    assert classes.classes == from_file.classes
    assert classes.threshold == 0.4
    assert classes.classes[0].prompts == ("red circle", "no")
    assert load_classes({"a": {}, "b": {}}).names == ["a", "b"]
    assert not classes.path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "expected class names"),
        ({"a": {"treshold": 0.3}}, "no option 'treshold': did you mean 'threshold'"),
        ({"a": 3}, "expected a: {} or its keys"),
        ({"a": {"threshold": float("nan")}}, "the classes: class 'a': expected threshold"),
        ({"a": {"prompts": {"x"}}}, "texts, numbers, lists and dictionaries"),
        ({"a": {"prompts": [None]}}, "list of phrases"),
        ({("a", "b"): {}}, "class names as texts"),
        # What YAML's safe_load makes of the names `no`, `null` and `1.0`.
        ({False: {}}, "class names as texts, got False"),
        ({None: {}}, "class names as texts, got None"),
        ({1.0: {}}, "class names as texts, got 1.0"),
        ({"classes": {True: {}}}, "class names as texts, got True"),
        ({"a": {"threshold": object()}}, "a object"),
        ({"classes": {"a": {}}, "nsm": 0.5}, "did you mean 'nms'"),
        ({"classes": []}, "."),
        ({"a": {"prompts": "\ud800"}}, "."),
    ],
)
def test_invalid_dictionaries(content, message):
    with pytest.raises(ClassFileError, match=message):
        load_classes(content)


@pytest.mark.parametrize(
    "source",
    [None, 5, 0.5, True, b"red star", bytearray(b"a"), {"red star"}, frozenset({"a"}), object()],
)
def test_what_names_no_classes(source):
    """A set has no order, from which the labels are counted."""
    with pytest.raises(ClassFileError, match="expected the classes as a file, a text"):
        load_classes(source)


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.array(0.5)])
def test_numbers_of_numpy(number):
    classes = load_classes({"a": {"threshold": number, "max": np.int64(2)}})
    assert (classes.classes[0].threshold, classes.classes[0].max) == (0.5, 2)


@pytest.mark.parametrize(
    "line",
    [
        "red star: {}",
        "red star:",
        "red star: [a, b]",
        "red star: {prompts: [a]}",
        "classes:",
        "a: !!python/name:os.system",
        "a: &b {}",
        '{"a": {}}',
        '["a", "b"]',
        "[a, b]",
        "{a: {}}",
    ],
)
def test_yaml_in_a_text_file_is_no_name(tmp_path, line):
    (tmp_path / "c.txt").write_text(f"blue star\n{line}\n")
    with pytest.raises(ClassFileError, match=r"line 2: .*reads as YAML"):
        load_classes(tmp_path / "c.txt")


@pytest.mark.parametrize("line", ["star: red", "3:4 screen", "a & b", "dog's", "R2-D2", "- a"])
def test_other_names_in_a_text_file(tmp_path, line):
    (tmp_path / "c.txt").write_text(line)
    assert load_classes(tmp_path / "c.txt").names == [line]


def test_a_circle():
    content: dict = {}
    content["a"] = content
    with pytest.raises(ClassFileError):
        load_classes(content)
