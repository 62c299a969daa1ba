"""Every network that ships: built, captured and imported again, it is the spec from which it was built."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import archc
from archc.analysis.compare.exact import differences
from tests.helpers.zoo import SPECS, shipped, some_of

OFTEN = "lenet5 resnet20_cifar unet vit_b16 fractalnet20"


@some_of(OFTEN, " ".join(name for name in SPECS if name not in OFTEN.split()))
def test_an_import_of_a_built_spec_is_the_spec(name: str) -> None:
    spec = shipped(name)
    with torch.device("meta"):
        module = archc.build(spec)
    made = archc.import_model(archc.capture(module, [tuple(value.shape) for value in spec.inputs.values()]))
    assert differences(spec, made.graph) == []
    assert made.opaque == [] and made.graph.rename == ()
