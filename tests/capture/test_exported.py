"""Programs of torch.export: what is captured of one is what is captured of its module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archc
from archc.tracing import capture


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.down = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.MaxPool2d(2)
        self.ln, self.drop, self.fc = nn.LayerNorm(8), nn.Dropout(0.1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Any:
        x = self.down(torch.relu(self.norm(self.conv(x))))
        return self.fc(self.drop(self.ln(x.flatten(2).transpose(1, 2)))).mean(1)


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.fc = nn.Embedding(20, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.table(x)).softmax(-1)


CASES = {
    "images": (Net(), torch.randn(2, 3, 8, 8), (3, 8, 8)),
    "words": (Words(), torch.zeros(2, 6, dtype=torch.int64), "6:int64"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("free", [True, False])
def test_an_exported_program(name: str, free: bool, tmp_path: Path) -> None:
    net, example, input = CASES[name]
    net.eval()
    sizes = ({0: torch.export.Dim("batch")},) if free else None
    torch.export.save(torch.export.export(net, (example,), dynamic_shapes=sizes), tmp_path / "net.pt2")
    graph = capture(torch.export.load(tmp_path / "net.pt2").module(), input)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(example[:1])
    report = archc.analyze(graph)
    assert [node.args["why"] for node in graph.nodes if node.kind == "opaque"] == []
    assert report.parameters == sum(one.numel() for one in net.parameters()) and report.macs == counter.get_total_flops() // 2
    assert graph.captured is not None and "as it was exported" in graph.captured.notes[0]


def test_a_file_is_not_opened(tmp_path: Path) -> None:
    from archc.tracing.source import load_model

    with pytest.raises(archc.ArgumentError, match=r"pickled objects, and torch\.export\.load runs"):
        load_model(str(tmp_path / "net.pt2"))
