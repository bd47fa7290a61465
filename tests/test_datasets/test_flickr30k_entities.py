"""The original annotations of Flickr30k Entities."""

import pytest

from glip.datasets.flickr30k_entities import Flickr30kEntities, Mention, parse_sentence
from glip.utils.errors import AnnotationFileNotFoundError

LINES = (
    "[/EN#1/people Two men] in [/EN#2/clothing green shirts] stand in [/EN#0/notvisual a yard] .\n"
    "\n"
    "[/EN#1/people They]  look at [/EN#3/other/scene a house] [/EN#3/scene itself] .\n"
)

BOXES = """<annotation><filename>77.jpg</filename>
<object><name>1</name><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>60</ymax></bndbox>
</object>
<object><name>1</name><name>2</name>
<bndbox><xmin>40</xmin><ymin>20</ymin><xmax>60</xmax><ymax>60</ymax></bndbox></object>
<object><name>3</name><scene>1</scene><nobndbox>1</nobndbox></object></annotation>"""


def entities(root):
    for name in ("Sentences", "Annotations"):
        (root / name).mkdir(parents=True)
    (root / "Sentences" / "77.txt").write_text(LINES)
    (root / "Annotations" / "77.xml").write_text(BOXES)
    return Flickr30kEntities(root)


def test_sentence():
    caption, mentions = parse_sentence(LINES.splitlines()[0])
    assert caption == "Two men in green shirts stand in a yard ."
    assert [caption[slice(*each.span)] for each in mentions] == [
        "Two men",
        "green shirts",
        "a yard",
    ]
    assert [each.types for each in mentions] == [("people",), ("clothing",), ("notvisual",)]


def test_spaces_and_several_types():
    caption, mentions = parse_sentence(LINES.splitlines()[2])
    assert caption == "They look at a house itself ."
    assert mentions[1] == Mention((13, 20), "3", ("other", "scene"))
    assert mentions[2] == Mention((21, 27), "3", ("scene",))
    assert parse_sentence("nothing here .") == ("nothing here .", ())


def test_folder(tmp_path):
    release = entities(tmp_path / "entities")
    assert release.mentions("77", 1)[0, 4].entity == "1"
    assert release.boxes("77") == {
        "1": [[10, 20, 30, 60], [40, 20, 60, 60]],
        "2": [[40, 20, 60, 60]],
    }
    with pytest.raises(AnnotationFileNotFoundError, match="Sentences"):
        Flickr30kEntities(tmp_path)
