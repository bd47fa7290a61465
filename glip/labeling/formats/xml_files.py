"""The formats in XML: Pascal VOC, a file per image, and CVAT for images 1.1, one file."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from glip.labeling.formats.coco import dump
from glip.labeling.formats.export import Export


def write_voc(export: Export) -> list[Path]:
    """Write ``annotations/NAME.xml``: corners are pixels from 1, both inclusive, as in VOC."""
    folder = export.files.path("annotations")
    for record in export.records():
        root = ET.Element("annotation")
        path = Path(record["file_name"])
        _add(root, "folder", path.parent.as_posix() if path.parent != Path() else "")
        _add(root, "filename", path.name)
        source = ET.SubElement(root, "source")
        _add(source, "database", "unknown")
        _add(source, "annotation", export.model)
        _add_all(
            ET.SubElement(root, "size"),
            dict(width=record["width"], height=record["height"], depth=3),
        )
        _add(root, "segmented", 0)
        for found in record["detections"]:
            each = ET.SubElement(root, "object")
            _add(each, "name", export.names[found["label"]])
            _add_all(each, dict(pose="Unspecified", truncated=0, difficult=0))
            x1, y1, x2, y2 = map(round, found["bbox"])
            xmin, ymin = min(x1 + 1, record["width"]), min(y1 + 1, record["height"])
            corners = dict(xmin=xmin, ymin=ymin, xmax=max(x2, xmin), ymax=max(y2, ymin))
            _add_all(ET.SubElement(each, "bndbox"), corners)
            if "score" in found:
                _add(each, "score", found["score"])
        ET.indent(root)
        export.files.write(folder / f"{record['stem']}.xml", ET.tostring(root, "utf-8") + b"\n")
    return [folder]


def write_cvat(export: Export) -> list[Path]:
    """Write ``annotations.xml``, and the labels of the task, ``cvat_labels.json``.

    Boxes have the attributes ``score`` and ``prompt``, which the labels declare.
    """
    path, labels_path = (
        export.files.path("annotations.xml"),
        export.files.path("cvat_labels.json"),
    )
    with export.files.open(path) as file:
        file.write(b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
        file.write(b"<version>1.1</version>\n" + _meta(export) + b"\n")
        for index, record in enumerate(export.records()):
            image = ET.Element(
                "image",
                id=str(index),
                name=record["file_name"],
                width=str(record["width"]),
                height=str(record["height"]),
            )
            for found in record["detections"]:
                box = ET.SubElement(image, "box", label=export.names[found["label"]])
                source = "manual" if "corrected" in found else "auto"
                box.attrib.update(source=source, occluded="0", z_order="0")
                for name, value in zip(("xtl", "ytl", "xbr", "ybr"), found["bbox"], strict=True):
                    box.set(name, f"{value:.2f}")
                for name in ("score", "prompt"):
                    ET.SubElement(box, "attribute", name=name).text = str(found.get(name, ""))
            ET.indent(image)
            file.write(ET.tostring(image, "utf-8") + b"\n")
        file.write(b"</annotations>\n")
    attributes = [
        dict(name=name, mutable=False, input_type="text", default_value="", values=[""])
        for name in ("score", "prompt")
    ]
    labels = [dict(name=name, type="rectangle", attributes=attributes) for name in export.names]
    export.files.write(labels_path, dump(labels) + b"\n")
    return [path, labels_path]


def _meta(export: Export) -> bytes:
    meta = ET.Element("meta")
    task = ET.SubElement(meta, "task")
    _add(task, "name", f"labels of {export.model}")
    labels = ET.SubElement(task, "labels")
    for name in export.names:
        label = ET.SubElement(labels, "label")
        _add_all(label, dict(name=name, type="rectangle"))
        attributes = ET.SubElement(label, "attributes")
        for attribute in ("score", "prompt"):
            _add_all(
                ET.SubElement(attributes, "attribute"),
                dict(
                    name=attribute, mutable="False", input_type="text", default_value="", values=""
                ),
            )
    ET.indent(meta)
    return ET.tostring(meta, "utf-8")


def _add(parent: ET.Element, tag: str, value: Any) -> None:
    ET.SubElement(parent, tag).text = str(value)


def _add_all(parent: ET.Element, values: dict[str, Any]) -> None:
    for tag, value in values.items():
        _add(parent, tag, value)
