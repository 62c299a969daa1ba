"""The specs that ship, and the few among them that have all that any of them has."""

from __future__ import annotations

from functools import cache

import pytest

import archc
from archc.graph import Graph
from tests.helpers.paths import ROOT

SPECS = sorted(path.stem for path in (ROOT / "specs").glob("*.yaml"))

# Together they have every operator and nearly every block of the zoo, heads that are there in training alone, and splits, windows,
# recalibration and stochastic depth in the sizes in which they were published: `tests/specs/test_specs.py` holds them to it.
VARIED = """
amoebanet_b autoencoder bit_resnet50x1 densenet_40_12 efficientnet_b0 fractalnet20 googlenet_caffe inception_v2 inception_v3 inception_v4
lambda_resnet26t lenet5_1998 mobilenet_v1 mobilenet_v2 nin_cifar10 pyramidnet110_a84 resnet20_cifar resnet50_v1 se_bn_inception unet
vgg16 vit_b16 wide_resnet16_8 xception
""".split()  # noqa: SIM905

every_spec = pytest.mark.parametrize("name", [name if name in VARIED else pytest.param(name, marks=pytest.mark.heavy) for name in SPECS])


@cache
def shipped(name: str) -> Graph:
    """The network of a spec that ships, read once for all tests of a process; none of them changes it."""
    return archc.load(name)


def some_of(often: str, rarely: str) -> pytest.MarkDecorator:
    """For a test that takes long: the names of networks for which it runs, and those for which it runs by hand."""
    return pytest.mark.parametrize("name", [*often.split(), *(pytest.param(name, marks=pytest.mark.heavy) for name in rarely.split())])
