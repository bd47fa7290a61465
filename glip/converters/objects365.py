"""Particulars of Objects365: misspelled category names, file paths, missing images.

Version 1 (``objects365_train.json``) and version 2 (``zhiyuan_objv2_train.json``) are in COCO's
format. Some category names are misspelled, and a language model does not know "Bakset".
"""

from __future__ import annotations

import re
from typing import Any

#: Corrections that MMDetection and UniDet also make (``objects365_v2_names_fix.csv``).
_COMMON_FIXES = {
    "Moniter/TV": "Monitor/TV",
    "Bakset": "Basket",
    "Dinning Table": "Dining Table",
    "Tea pot": "Teapot",
    "Extention Cord": "Extension Cord",
    "Hotair ballon": "Hot air balloon",
    "Hamimelon": "Hami melon",
    "Mushroon": "Mushroom",
    "Tape Measur/ Ruler": "Tape Measure/ Ruler",
    "Campel": "Camel",
    "Meat ball": "Meatball",
    "Buttefly": "Butterfly",
    "Table Teniis paddle": "Table Tennis paddle",
}

#: Corrections made only here: version 2 follows the names of version 1; the rest are of version 1.
_MORE_FIXES = {
    "Ballon": "Balloon",
    "Billards": "Billiards",
    "Noddles": "Noodles",
    "French": "French Horn",
    "hamimelon": "hami melon",
    "hotair balloon": "hot air balloon",
    "pine apple": "pineapple",
    "tea pot": "teapot",
}

NAME_FIXES = {**_COMMON_FIXES, **_MORE_FIXES}

#: Images of version 2 that are annotated but missing from its archives (MMDetection's list).
MISSING = frozenset(
    {
        "patch16/objects365_v2_00908726.jpg",
        "patch6/objects365_v1_00320532.jpg",
        "patch6/objects365_v1_00320534.jpg",
    }
)


def fix_name(name: str) -> str:
    """Return the corrected name of a category, without surrounding spaces.

    Example:
        >>> fix_name("Bakset"), fix_name("Cigar/Cigarette "), fix_name("Car")
        ('Basket', 'Cigar/Cigarette', 'Car')
    """
    name = name.strip()
    return NAME_FIXES.get(name, name)


def file_name(image: dict[str, Any]) -> str | None:
    """Return the path of an image in the archives.

    Version 2's annotations have ``images/v1/patch8/objects365_v1_00420917.jpg``, its archives
    ``patch8/objects365_v1_00420917.jpg``; version 1 has no folders.

    Example:
        >>> file_name({"file_name": "images/v1/patch8/objects365_v1_00420917.jpg"})
        'patch8/objects365_v1_00420917.jpg'
        >>> file_name({"file_name": "obj365_train_000000734304.jpg"})
        'obj365_train_000000734304.jpg'
    """
    name = image.get("file_name")
    if not isinstance(name, str):
        return None
    return re.sub(r"^images/v\d+/(?=patch\d+/)", "", name)
