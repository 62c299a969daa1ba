"""What a resumed training needs of its optimizer comes back as it was, for every optimizer of the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

import archc
from archc.catalog.optimizers import OPTIMIZERS

torch = pytest.importorskip("torch")

from torch import nn

from archc.training.state import load_optimizer, optimizer_tensors


def made(name: str) -> tuple[nn.Module, Any]:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 1))
    return module, archc.optimizer(module, name)


def step(module: nn.Module, optimizer: Any, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    module(torch.randn(5, 4, generator=generator)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_next_step_is_the_same(name: str) -> None:
    module, optimizer = made(name)
    for number in range(7):
        step(module, optimizer, number)
    again, other = made(name)
    again.load_state_dict(module.state_dict())
    load_optimizer(other, again, optimizer_tensors(optimizer, module))
    for one, number in ((module, 7), (again, 7)):
        step(one, optimizer if one is module else other, number)
    assert all(torch.equal(mine, its) for mine, its in zip(module.parameters(), again.parameters(), strict=True))
