"""A compiled model computes the same as the original, for images of any size."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.utils import digit_version
from torch import nn

from glip.models import FPN, SwinTransformer
from glip.models.compile import compile_model
from glip.utils.errors import ConfigError


class Parts(nn.Module):
    """The compiled parts of a detector, small."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = SwinTransformer(
            embed_dims=8, depths=(2,), num_heads=(2,), out_indices=(0,), drop_path_rate=0.0
        )
        self.neck = FPN([8], 8, num_outs=3)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.neck(self.backbone(images))


@pytest.mark.slow
@pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version("2.2"), reason="this torch cannot compile it"
)
def test_compiled():
    torch.manual_seed(0)
    model = Parts().eval()
    compiled = copy.deepcopy(model)
    compile_model(compiled)
    assert compiled.state_dict().keys() == model.state_dict().keys()
    with torch.inference_mode():
        for size in ((64, 96), (96, 160)):
            images = torch.randn(1, 3, *size)
            for ours, theirs in zip(compiled(images), model(images), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0


def test_old_torch(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.1.2")
    with pytest.raises(ConfigError, match=r"torch >= 2\.2"):
        compile_model(Parts())
