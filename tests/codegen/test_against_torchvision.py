"""Every spec that is a torchvision model, with that model's weights: the same outputs. tests/figures/names.csv says which is which."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from tests.helpers.paths import FIGURES

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision", reason="compares with torchvision's own models: pip install torchvision")

import archc

NAMES = FIGURES / "names.csv"
CLASSES = 20
SIDE = 64
AS_PUBLISHED = ("inception_v3", "vit")  # they accept no smaller image: an extra head, and position embeddings
HEAVY = ("vgg13", "vgg16", "vgg19", "wide_resnet101", "vit_l16", "vit_h14")  # 2 to 30 seconds each


def models() -> list[tuple[str, str]]:
    """(spec, model)"""
    with NAMES.open() as file:
        rows = [(row["spec"], row["model"].split()) for row in csv.DictReader(file)]
    return [(spec, words[-1]) for spec, words in rows if words[0] == "torchvision"]


def cases() -> list[Any]:
    found = [pytest.param(*case, id=case[0], marks=[pytest.mark.heavy] * case[0].startswith(HEAVY)) for case in models()]
    assert len(found) >= 34
    return found


def torchvision_model(model: str, shape: tuple[int, ...]) -> Any:
    """Random weights, and the statistics of random images: without them the signal dies out on its way, and hides mistakes."""
    extra = {"init_weights": False} if model in ("googlenet", "inception_v3") else {}
    net = getattr(torchvision.models, model)(num_classes=CLASSES, **extra)
    normalizations = [part for part in net.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for value in net.parameters():
            if value.dim() == 1 or not value.any():
                value.add_(torch.empty_like(value).uniform_(-0.3, 0.3))
        for part in normalizations:
            part.momentum = 1.0
        if normalizations:
            net.train()(torch.randn(4, *shape))
    return net.eval()


@pytest.mark.parametrize(("spec", "model"), cases())
def test_equal_outputs(spec: str, model: str) -> None:
    """The weights fit strictly, and the outputs are equal bit by bit, in a batch of two."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    changes = {} if spec.startswith(AS_PUBLISHED) else {"input": [3, SIDE, SIDE]}
    graph = archc.load(spec, classes=CLASSES, **changes)
    (value,) = graph.inputs.values()
    theirs, ours = torchvision_model(model, value.shape), archc.build(graph).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, *value.shape)
    with torch.no_grad():
        expected, found = theirs(x.clone()), ours(x.clone())
    assert expected.isfinite().all() and (expected[0] - expected[1]).abs().max() > 1e-3 * expected.abs().max()
    assert torch.equal(found, expected), f"differs by {(found - expected).abs().max():.1e}"
