"""Specs with torchvision's names against its own modules: the same state_dict in the same order, and the same outputs, bit by bit.

By hand, where torchvision is installed: pytest -m heavy tests/specs/test_against_torchvision.py
"""

from __future__ import annotations

from typing import Any

import pytest

import archc

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision").models

pytestmark = pytest.mark.heavy

SEGMENTERS = ("fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101")
SHAPES = dict.fromkeys(SEGMENTERS, (3, 97, 96)) | dict.fromkeys(("r3d_18", "mc3_18", "r2plus1d_18"), (3, 8, 64, 56))


def original(name: str) -> Any:
    if name in SEGMENTERS:
        return getattr(models.segmentation, name)(weights=None, weights_backbone=None, aux_loss=True)
    return getattr(models.video, name)(weights=None)


@pytest.mark.parametrize("name", SHAPES)
def test_state_and_outputs(name: str) -> None:
    torch.manual_seed(0)
    theirs = original(name).eval()
    ours = archc.build(archc.load(name, input=SHAPES[name])).eval()
    x = torch.randn(1, *SHAPES[name])
    with torch.no_grad():
        before = ours(x)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        ours.load_state_dict(theirs.state_dict())
        found, expected = ours(x), theirs(x)
    pairs = [(found[key], expected[key], before[key]) for key in expected] if isinstance(expected, dict) else [(found, expected, before)]
    for mine, original_value, other in pairs:
        assert torch.equal(mine, original_value)
        assert not torch.allclose(mine, other, atol=1e-3)  # the comparison can fail


def test_parameters_are_those_of_the_default_sizes() -> None:
    for name in SHAPES:
        with torch.device("meta"):
            assert sum(one.numel() for one in original(name).parameters()) == archc.analyze(archc.load(name)).parameters
