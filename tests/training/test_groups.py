"""Parameter groups: which tensors are decayed, and by which factor each learns, seen by what a step of torch.optim does to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import nn

import archc
from archc.recipe import Part, Recipe
from archc.training.parameters import parameter_groups

RECIPE = replace(Recipe(), optimizer=Part("sgd", {"lr": 0.5, "weight_decay": 0.1}))
FACTOR = 1 - 0.5 * 0.1  # of a decayed tensor without a gradient


def step(spec: str, recipe: Recipe) -> dict[str, float]:
    """What a step without gradients multiplies each tensor by, for tensors that are in a group."""
    graph = archc.load(spec)
    module = archc.build(graph)
    for one in module.parameters():
        one.data.fill_(1.0)
        one.grad = torch.zeros_like(one)
    torch.optim.SGD(parameter_groups(module, graph, recipe)).step()
    return {name: one.flatten()[0].item() for name, one in module.named_parameters()}


def kernels(spec: str) -> set[str]:
    """The weights of convolutions and linear layers, as torch has them."""
    module = archc.build(spec)
    layers = (nn.Linear, nn.modules.conv._ConvNd)
    return {f"{name}.weight" for name, one in module.named_modules() if isinstance(one, layers)}


@pytest.mark.parametrize("spec", ["resnet20_cifar", "lenet5", "mobilenet_v2"])
def test_kernels_alone_are_decayed(spec):
    moved, decayed = step(spec, RECIPE), kernels(spec)
    assert {name for name, value in moved.items() if value == pytest.approx(FACTOR)} == decayed
    assert {value for name, value in moved.items() if name not in decayed} == {1.0}


def test_all_are_decayed_on_request():
    assert list(step("resnet20_cifar", replace(RECIPE, decay_norms=True)).values()) == pytest.approx([FACTOR] * 59)


def test_tokens_and_positions_are_not_decayed():
    moved = step("vit_b16", RECIPE)
    assert {name for name, value in moved.items() if "class_token" in name or "pos" in name}
    assert {value for name, value in moved.items() if "class_token" in name or "pos" in name} == {1.0}


def test_the_last_pattern_that_fits_decides_the_rate():
    moved = step("resnet20_cifar", replace(RECIPE, rates={"*": 0.5, "layer[12].*": 0.1, "layer2.0.*": 0.0}))
    for name in kernels("resnet20_cifar"):
        rate = 0.0 if name.startswith("layer2.0.") else 0.1 if name.startswith(("layer1.", "layer2.")) else 0.5
        assert moved[name] == pytest.approx(1 - 0.5 * rate * 0.1), name


def test_what_never_learns_is_in_no_group():
    graph = archc.load("resnet20_cifar")
    module = archc.build(graph)
    names = {id(one): name for name, one in module.named_parameters()}

    def grouped(recipe: Recipe) -> list[str]:
        return sorted(names[id(one)] for group in parameter_groups(module, graph, recipe) for one in group["params"])

    assert grouped(RECIPE) == sorted(names.values())
    frozen = replace(RECIPE, freeze=("conv1.*", "layer1.*"))
    assert grouped(frozen) == sorted(name for name in names.values() if not name.startswith(("conv1.", "layer1.")))
    late = replace(frozen, unfreeze={3: ("layer1.*",)})
    assert grouped(late) == sorted(name for name in names.values() if not name.startswith("conv1."))
