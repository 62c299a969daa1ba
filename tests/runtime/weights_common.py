"""What the tests of weights share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archc.cli.console import option
from archc.runtime.weights.load import load_weights
from archc.runtime.weights.renaming import WeightsError


class Net(nn.Module):
    def __init__(self, classes: int = 10, width: int = 4, blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3)
        self.blocks = nn.Sequential(*(nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width)) for _ in range(blocks)))
        self.head = nn.Linear(width, classes)
        for buffer in self.buffers():  # so that each has a value of its own
            buffer.copy_(torch.randint(1, 1000, buffer.shape))

    def forward(self, x: Any) -> Any:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 3)
        self.head = nn.Linear(3, 7, bias=False)
        self.head.weight = self.embed.weight


def same(a: nn.Module, b: nn.Module) -> bool:
    one, other = a.state_dict(), b.state_dict()
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def snapshot(module: nn.Module) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def refused(module: nn.Module, path: Path, **options: Any) -> str:
    """The text of the error, less the path that it begins with; the module is as it was; arguments are spelled as options."""
    before = snapshot(module)
    with pytest.raises(WeightsError) as caught:
        load_weights(module, path, **options)
    after = module.state_dict()
    assert all(before[name].is_meta or torch.equal(before[name], after[name]) for name in before)
    assert "--" not in str(caught.value)
    text = caught.value.spelled(option)
    assert all(line.isprintable() for line in text.split("\n"))
    return text.partition(path.name)[2].lstrip(": ") if text.startswith(str(path)[:20]) else text
