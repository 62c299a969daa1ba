"""Classes that packages map by entry points of the group `archc.importers`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

import archc
from archc.tracing.rules import importers

CODE = """
opaque = "opaque"
number = 7

def dense(module):
    return "linear", {"features": module.out, "bias": False}, {"weight": "inner.w"}

def wrong(module):
    return "linear", {"features": 3, "bias": False}, {"weight": "inner.w"}

def unknown(module):
    return "linaer", {}, {}

def as_it_is(module):
    return None
"""


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(5, 4))


class Dense(nn.Module):
    out = 5

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensordot(x, self.inner.w, dims=([1], [1]))


class Other(Dense):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


Mapped = Callable[[str], Any]


@pytest.fixture
def mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapped]:
    """`mapped("dense")` is the graph of a network with a Dense, whose class a package maps by that name in it."""
    info = tmp_path / "fake_importers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-importers\nVersion: 1.0\n")
    (tmp_path / "fake_importers.py").write_text(CODE)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def capture(name: str, kind: type[Dense] = Dense) -> Any:
        (info / "entry_points.txt").write_text(f"[archc.importers]\n{__name__}.Dense = fake_importers:{name}\n")
        importers._entries.cache_clear()
        return archc.capture(nn.Sequential(nn.Linear(3, 4), kind()), 3)

    yield capture
    importers._entries.cache_clear()
    sys.modules.pop("fake_importers", None)


def test_a_class_is_an_operator(mapped: Mapped) -> None:
    graph = mapped("dense")
    assert [node.kind for node in graph.nodes] == ["linear", "linear"]
    assert archc.analyze(graph).parameters == 16 + 20 and archc.analyze(graph).macs == 12 + 20


def test_a_class_is_a_leaf(mapped: Mapped) -> None:
    assert [node.args.get("name") for node in mapped("opaque").nodes] == [None, "Dense"]


@pytest.mark.parametrize("name", ["wrong", "as_it_is"])
def test_what_is_mapped_wrongly_is_no_figure(mapped: Mapped, name: str) -> None:
    graph = mapped(name)
    assert graph.nodes[-1].kind == "opaque" and archc.analyze(graph).parameters == 36


def test_a_forward_of_its_own_is_not_mapped(mapped: Mapped) -> None:
    assert "tensordot" in [node.args.get("name") for node in mapped("dense", Other).nodes]


@pytest.mark.parametrize(
    ("name", "text"), [("unknown", "names the operator linaer"), ("number", "neither a function"), ("no", "cannot be")]
)
def test_importers_that_cannot_be_used(mapped: Mapped, name: str, text: str) -> None:
    with pytest.raises(archc.CaptureError, match=text):
        mapped(name)
