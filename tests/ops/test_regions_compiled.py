"""What is emitted in plain torch against torchvision's compiled operators: the same values, boxes and gradients.

By hand, in an environment whose torchvision has them (its wheels need the torch that they were built for, as 0.29.1 needs 2.14.1):
pytest -m heavy tests/ops/test_regions_compiled.py
"""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
ops = pytest.importorskip("torchvision").ops

from tests.helpers.torch_form import Layer

from .cases import case
from .test_regions import SPACE, boxes_for

try:
    ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
except RuntimeError:
    pytest.skip("torchvision's compiled operators do not load beside this torch", allow_module_level=True)

pytestmark = pytest.mark.heavy


def ways(facts: Any) -> tuple[Any, Any]:
    """(through torchvision's kernel, in plain torch) with the same tensors."""
    torch.manual_seed(0)
    compiled, plain = Layer(facts), Layer(facts)
    plain.load_state_dict(compiled.state_dict())
    modules = [one for one in plain.modules() if hasattr(one, "kernel")]
    assert len(modules) == 1 and all(one.kernel is not None for one in compiled.modules() if hasattr(one, "kernel"))
    modules[0].kernel = None
    return compiled, plain


def agree(facts: Any, *inputs: Any, within: float = 4e-6) -> None:
    """Outputs, and the gradients of the first input and of the layer's own tensors, to the rounding of the largest."""
    compiled, plain = ways(facts)
    found = []
    for layer in (compiled, plain):
        x = inputs[0].clone().requires_grad_()
        made = layer(x, *inputs[1:])
        torch.manual_seed(1)
        (made * torch.randn_like(made)).sum().backward()
        found.append([made, x.grad, *(one.grad for one in layer.parameters())])
    for theirs, ours in zip(*found, strict=True):
        assert (theirs - ours).abs().max() <= within * theirs.abs().max()
    assert found[0][0].std() > 0.1


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize(("size", "scale"), [((2, 3), 1.0), ((3, 3), 0.5), ((7, 7), 0.75)])
def test_roi_pool(size: tuple[int, int], scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    agree(case("roi_pool", SPACE, (8, 4), size=size, scale=scale).facts(), torch.randn(2, *SPACE), boxes_for(8, seed=seed))


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize(("size", "scale", "sampling", "half"), [((2, 3), 1.0, 2, False), ((3, 2), 0.5, 1, True), ((7, 7), 0.25, 2, True)])
def test_roi_align(size: tuple[int, int], scale: float, sampling: int, half: bool, seed: int) -> None:
    torch.manual_seed(seed)
    facts = case("roi_align", SPACE, (8, 4), size=size, scale=scale, sampling=sampling, aligned=half).facts()
    agree(facts, torch.randn(2, *SPACE), boxes_for(8, seed=seed))


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_nms(threshold: float, seed: int) -> None:
    """Also where boxes are equal, and scores tie."""
    torch.manual_seed(seed)
    boxes, scores = boxes_for(40, 6.0, seed).round(decimals=seed % 2), torch.rand(2, 40).round(decimals=1 + seed % 3)
    compiled, plain = ways(case("nms", (40, 4), (40,), most=None, threshold=threshold).facts())
    assert torch.equal(compiled(boxes, scores), plain(boxes, scores))


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize(("args", "parts", "masked"), [
    ({"kernel": 3, "padding": 1}, 1, False),
    ({"kernel": (3, 2), "stride": 2, "padding": (1, 0), "groups": 2, "bias": False}, 2, True),
    ({"kernel": 2, "dilation": 2, "padding": 2}, 4, True),
])  # fmt: skip
def test_deform_conv(args: dict[str, Any], parts: int, masked: bool, seed: int) -> None:
    torch.manual_seed(seed)
    plain = case("conv", (4, 7, 6), channels=4, **args).facts().outputs[0]
    kernel = args["kernel"] if isinstance(args["kernel"], tuple) else (args["kernel"],) * 2
    taps = kernel[0] * kernel[1]
    shapes = [(4, 7, 6), (2 * parts * taps, *plain[1:]), *([(parts * taps, *plain[1:])] if masked else [])]
    facts = case("deform_conv", *shapes, channels=4, **args).facts()
    agree(facts, *(2 * torch.randn(2, *shape) for shape in shapes))
