"""Class names find their category ids, or the error says which do not and why."""

import pytest

from glip.datasets.categories import check_classes, match_categories
from glip.utils.errors import AnnotationFileError, DataError


def categories(**ids):
    return [dict(id=number, name=name.replace("_", " ")) for name, number in ids.items()]


def match(classes, entries, used=(), **others):
    return match_categories(classes, entries, used, "file.json", **others)


def test_ids_of_any_order():
    entries = categories(traffic_light=90, dog=5, cat=18)
    assert match(("cat", "dog", "traffic light"), entries) == [18, 5, 90]


def test_some_classes_of_the_file():
    assert match(("dog",), categories(cat=1, dog=2)) == [2]


def test_class_that_the_file_lacks():
    assert match(("cat", "unicorn", "dog"), categories(cat=1, dog=2, kite=3)) == [1, None, 2]


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("Cat", "cat"),
        ("traffic_light", "traffic light"),
        ("trafic light", "traffic light"),
        ("traffic-lights", "traffic light"),
    ],
)
def test_close_spellings_are_named(name, spelled):
    entries = [*categories(dog=2), dict(id=7, name=spelled)]
    with pytest.raises(AnnotationFileError) as error:
        match(("dog", name), entries)
    assert f"{name!r} is not in the file, but {spelled!r} is" in str(error.value)
    assert "file.json" in str(error.value)


def test_no_name_in_common():
    with pytest.raises(AnnotationFileError, match=r"none of the 2 class names.*'cat', 'dog'"):
        match(("apple", "banana"), categories(cat=1, dog=2))
    with pytest.raises(AnnotationFileError, match="no other name"):
        match(("apple",), [])


def test_two_categories_of_one_name():
    entries = [dict(id=0, name="pothole"), dict(id=1, name="pothole")]
    assert match(("pothole",), entries, used={1}) == [1]
    assert match(("pothole",), entries) == [0]
    with pytest.raises(AnnotationFileError, match=r"\[0, 1\] all 'pothole'"):
        match(("pothole",), entries, used={0, 1})


def test_same_order():
    entries = [dict(id=2, name="bat"), dict(id=1, name="aerosol can"), dict(id=3, name="bat")]
    classes = ("aerosol_can", "bat_(animal)", "bat_(sports_equipment)")
    assert match(classes, entries, same_order=True) == [1, 2, 3]
    with pytest.raises(AnnotationFileError):
        match(classes, entries)
    with pytest.raises(AnnotationFileError):
        match(("aerosol_can", "ball", "bat"), entries, same_order=True)


def test_check_classes():
    assert check_classes(["a", "b"]) == ("a", "b")
    with pytest.raises(ValueError, match=r"\('cat',\)"):
        check_classes("cat")
    with pytest.raises(ValueError, match="list of names"):
        check_classes(("a", 3))
    with pytest.raises(ValueError, match="twice"):
        check_classes(("a", "b", "a"))


def test_many_classes():
    """The time is linear in their number."""
    names = tuple(f"class {index}" for index in range(100_000))
    assert check_classes(names) == names
    with pytest.raises(DataError, match="'class 0'") as caught:
        check_classes(names + names)
    assert len(str(caught.value)) < 300
