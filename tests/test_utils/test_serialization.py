"""Values for files that are read without unpickling arbitrary objects."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np
import torch

from glip.utils.serialization import to_builtin

Point = namedtuple("Point", "x y")


def test_containers_are_converted_recursively():
    value = OrderedDict(point=Point(np.float32(0.5), [np.int64(2)]), path=Path("a"), none=None)
    plain = to_builtin(value)
    assert plain == {"point": (0.5, [2]), "path": "a", "none": None}
    assert type(plain) is dict
    assert type(plain["point"]) is tuple
    assert type(plain["point"][0]) is float


def test_tensors_and_arrays_are_kept():
    tensor, array = torch.zeros(2), np.zeros(2)
    assert to_builtin([tensor, array])[0] is tensor
    assert to_builtin([tensor, array])[1] is array
