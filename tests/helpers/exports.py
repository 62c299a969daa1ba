"""Modules to export, and exported files run by their own programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn

from tests.helpers.onnx_operators import operators_read_once  # noqa: F401

SUFFIXES = [".onnx", ".pt2"]


formats = pytest.mark.parametrize("suffix", SUFFIXES)


class Residual(nn.Module):
    """A convolution with a normalization, in place, and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        return self.relu(self.bn(self.conv(x)) + x)


class TwoInTwoOut(nn.Module):
    """`relu` is an inner value of the trace as well as the name of an input; the keys are not in the order of the alphabet."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, a: Any, relu: Any) -> Any:
        y = torch.relu(a) + relu
        return {"tanh": self.fc(torch.tanh(y)), "add": y}


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.drop = nn.Dropout(0.5)

    def forward(self, tokens: Any) -> Any:
        return self.drop(self.embedding(tokens)).mean(1)


class Calls(nn.Module):
    """A module that is a function."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run

    def forward(self, *inputs: Any) -> Any:
        return self.run(*inputs)


def convnet() -> nn.Module:
    """With statistics that are not those of a start, which would hide a wrong normalization."""
    net = nn.Sequential(
        nn.ReLU(inplace=True), nn.Conv2d(3, 8, 3, stride=2, padding=1), Residual(8), nn.MaxPool2d(2), nn.Dropout(0.5),
        Residual(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return net


def run_again(path: Path, inputs: dict[str, Any]) -> list[Any]:
    """The file's outputs, by no code of ours."""
    if path.suffix == ".pt2":
        made = torch.export.load(path).module()(*inputs.values())
        return [made] if isinstance(made, torch.Tensor) else list(made.values() if isinstance(made, dict) else made)
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(inputs)
    return [torch.as_tensor(one) for one in session.run(None, {name: x.numpy() for name, x in inputs.items()})]
