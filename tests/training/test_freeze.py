"""Frozen weights stay, statistics of frozen normalizations as well, and what is unfrozen learns from its epoch on."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

import archc
from archc.recipe import Recipe
from archc.training.parameters import Freezer, frozen_names

BODY = replace(Recipe(), freeze=("conv1.*", "bn1.*", "layer1.*"))


def trained_a_little(recipe: Recipe, epoch: int) -> tuple[dict, dict]:
    torch.manual_seed(0)
    module = archc.build("resnet20_cifar")
    freezer = Freezer(module, recipe)
    freezer.begin(epoch)
    freezer.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    optimizer = torch.optim.SGD((one for one in module.parameters() if one.requires_grad), lr=0.1)
    module(torch.randn(4, 3, 32, 32)).square().mean().backward()
    optimizer.step()
    return before, module.state_dict()


def changed(before: dict, after: dict) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def is_body(name: str) -> bool:
    return name.startswith(("conv1.", "bn1.", "layer1."))


def test_frozen_weights_and_statistics_stay():
    before, after = trained_a_little(BODY, 0)
    moved = changed(before, after)
    assert not any(map(is_body, moved))
    assert moved == {name for name in before if not is_body(name)}


def test_without_a_recipe_everything_learns():
    before, after = trained_a_little(Recipe(), 0)
    assert changed(before, after) == set(before)


def test_a_normalization_of_which_a_part_learns_keeps_its_statistics_going():
    before, after = trained_a_little(replace(Recipe(), freeze=("*.weight",)), 0)
    moved = changed(before, after)
    assert not any(name.endswith(".weight") for name in moved)
    assert {name for name in before if "running_mean" in name} <= moved


def test_unfreezing_is_gradual():
    recipe = replace(BODY, unfreeze={2: ("layer1.*",), 4: ("bn1.*",)})
    names = list(archc.build("resnet20_cifar").state_dict())
    frozen = [{name.partition(".")[0] for name in frozen_names(names, recipe, epoch)} for epoch in range(6)]
    assert frozen == [{"conv1", "bn1", "layer1"}] * 2 + [{"conv1", "bn1"}] * 2 + [{"conv1"}] * 2


def test_begin_tells_of_a_change_and_drops_gradients():
    module = archc.build("resnet20_cifar")
    freezer = Freezer(module, replace(BODY, unfreeze={3: ("*",)}))
    module(torch.randn(2, 3, 32, 32)).sum().backward()
    assert freezer.begin(0)
    assert module.conv1.weight.grad is None and module.fc.weight.grad is not None
    assert [freezer.begin(epoch) for epoch in (1, 2, 3, 4)] == [False, False, True, False]
    assert all(one.requires_grad for one in module.parameters())
