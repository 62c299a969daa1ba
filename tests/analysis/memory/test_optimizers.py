"""What the catalogue says of each optimizer, against the classes themselves: what they keep, and what a step makes on the way."""

from __future__ import annotations

from typing import Any

import pytest

import archc
from archc.analysis.memory.timeline.optimizers import FOREACH, FUSED, LOOP, state_bytes, step_bytes
from archc.catalog.optimizers import OPTIMIZERS

torch = pytest.importorskip("torch")

from archc.runtime.build.optimizers import class_of
from tests.helpers.allocations import recorded

SHAPES = ((64, 32, 3, 3), (64,), (10, 64), (1,), (48, 48), (48, 64), (3, 5, 7), ())
FLAGS = {LOOP: {"foreach": False}, FOREACH: {"foreach": True}, FUSED: {"fused": True}}
MORE: dict[str, list[dict[str, Any]]] = {
    "adam": [{"amsgrad": True}],
    "adamw": [{"amsgrad": True}, {"weight_decay": 0.0}],
    "nadam": [{"decoupled_weight_decay": True, "weight_decay": 0.1}],
    "radam": [{"decoupled_weight_decay": True, "weight_decay": 0.1}],
    "rmsprop": [{"momentum": 0.9}, {"centered": True}, {"momentum": 0.9, "centered": True, "weight_decay": 0.1}],
    "asgd": [{"t0": 0.0, "weight_decay": 0.1}],
}
CASES = [(name, more) for name in OPTIMIZERS for more in ({}, {"weight_decay": 0.1}, *MORE.get(name, []))]


def stepped(name: str, arguments: dict[str, Any]) -> Any:
    """An optimizer that has made so many steps that nothing is new to it."""
    values = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    for one in values:
        one.grad = torch.randn_like(one)
    made = class_of(name)(values, **{**OPTIMIZERS[name].fixed, **arguments})
    for _ in range(8):  # the first steps of RAdam have no divisor
        made.step()
    return made


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda one: one if isinstance(one, str) else ",".join(one) or "default")
def test_state(name: str, arguments: dict[str, Any]) -> None:
    """Each tensor of the state by its name, and all bytes."""
    made, one = stepped(name, arguments), OPTIMIZERS[name]
    kept = [entry for state in made.state.values() for entry in state.items() if torch.is_tensor(entry[1])]
    assert sum(value.nbytes for _, value in kept) == sum(state_bytes(name, SHAPES, 4, "cpu", LOOP, arguments))
    if not one.factored:
        given = one.with_defaults(arguments)
        names = {key.partition("?")[0] for key in one.keeps if "?" not in key or given[key.partition("?")[2]]}
        counters = {key for key, value in kept if value.ndim == 0 and key not in names}
        assert {key for key, _ in kept} - counters == names and len(counters) == one.counters


@pytest.mark.parametrize("how", FLAGS)
@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda one: one if isinstance(one, str) else ",".join(one) or "default")
def test_a_step(name: str, arguments: dict[str, Any], how: str) -> None:
    """The most bytes that a step makes. Adafactor's is an estimate, and said to be one."""
    one = OPTIMIZERS[name]
    if (how == FUSED and not one.fused) or (how == FOREACH and one.foreach is None):
        with pytest.raises(ValueError, match=f"no {how} {name}|a {how} {name} is not modelled"):
            step_bytes(name, SHAPES, 4, "cpu", how, arguments)
        return
    made = stepped(name, arguments | FLAGS[how])
    if name != "adafactor":
        assert recorded(made.step).peak == step_bytes(name, SHAPES, 4, "cpu", how, arguments)


def test_lion_is_that_of_the_paper() -> None:
    """Algorithm 2 of Chen et al., 2023, in plain numbers, for both implementations."""
    rate, (first, second), decay = 0.1, (0.9, 0.99), 0.2
    for foreach in (False, True):
        value = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64))
        made = archc.optimizer([value], "lion", lr=rate, betas=(first, second), weight_decay=decay, foreach=foreach)
        wanted, mean = [1.0, -2.0, 3.0], [0.0, 0.0, 0.0]
        for grads in ([0.5, -1.0, 0.0], [-3.0, 0.1, 2.0], [0.2, 0.2, -0.1]):
            value.grad = torch.tensor(grads, dtype=torch.float64)
            made.step()
            for i, grad in enumerate(grads):
                at = first * mean[i] + (1 - first) * grad
                wanted[i] -= rate * ((at > 0) - (at < 0) + decay * wanted[i])
                mean[i] = second * mean[i] + (1 - second) * grad
        torch.testing.assert_close(value.detach(), torch.tensor(wanted, dtype=torch.float64))
        torch.testing.assert_close(made.state[value]["exp_avg"], torch.tensor(mean, dtype=torch.float64))
