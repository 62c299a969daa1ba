"""Optimizers by name: fused where that exists, and the same steps as without."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from archc.runtime.build.optimizers import optimizer


def stepped(name: str, **options: object) -> tuple[torch.Tensor, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = nn.Linear(7, 5)
    made = optimizer(module, name, lr=0.1, **options)
    for _ in range(3):
        made.zero_grad()
        module(torch.ones(2, 7)).square().sum().backward()
        made.step()
    return module.weight.detach(), made


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adam", "adamw", "adagrad"])
def test_fused_steps_are_the_same(name: str) -> None:
    fused, made = stepped(name)
    plain, other = stepped(name, fused=False)
    assert made.defaults["fused"] and not other.defaults["fused"]
    assert torch.allclose(fused, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["rmsprop", "adafactor"])
def test_what_has_no_fused_form(name: str) -> None:
    assert not stepped(name)[1].defaults.get("fused")


def test_unknown() -> None:
    with pytest.raises(ValueError, match=r'no optimizer is called adamv; did you mean "adam" or "radam" or "nadam"\?'):
        optimizer(nn.Linear(1, 1), "adamv")
