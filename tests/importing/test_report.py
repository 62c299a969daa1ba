"""What an import is held against: figures, outputs and training of the original, and differences that each comparison sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import archc
from archc.cli.main import main
from archc.runtime.likeness import compare


class Net(nn.Module):
    """A residual part, a normalization with an activation, dropout, a part of training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)
        self.aux = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(x)
        x = (x + self.conv(x)).mean((2, 3))
        out = self.head(self.drop(x))
        return (out, self.aux(x)) if self.training else out


def test_a_model_and_its_import_are_alike() -> None:
    module = Net()
    made = archc.import_model(module, input=(3, 8, 8))
    found = made.report()
    assert found.good
    assert found.parameters == (sum(one.numel() for one in module.parameters()),) * 2
    assert found.macs == ("50,728", 50_728)
    assert found.likeness is not None
    like = found.likeness
    assert (like.outputs, like.trained, like.gradients, like.statistics) == (0, 0, (0, 9), (0, 3))
    assert min(like.nudged, like.other) > 0.001
    assert "9 gradients equal" in found.text() and "none: all tensors keep their names" in found.text()
    assert module.training


@pytest.mark.parametrize(("old", "new", "seen"), [("dropout: {}", "dropout: 0.25", "trained"), ("relu: {}", "gelu: {}", "outputs")])
def test_a_difference_is_seen(old: str, new: str, seen: str) -> None:
    module = Net()
    made = archc.import_model(module, input=(3, 8, 8), flat=True)
    assert old in made.text
    like = compare(archc.loads(made.text.replace(old, new)), made.tensors(), module)
    assert getattr(like, seen) > 0.001
    assert not like.alike


def test_other_weights_are_seen() -> None:
    module = Net()
    made = archc.import_model(module, input=(3, 8, 8))
    tensors = made.tensors()
    tensors["head.weight"] = tensors["head.weight"] + 0.01
    assert not compare(made.graph, tensors, module).alike


class Odd(Net):
    """Weights that no layer uses, weights that are computed from weights, and a buffer that its state_dict does not keep."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(4, 4)
        self.table = nn.Parameter(torch.randn(5, 6))
        self.mix = nn.Linear(6, 5, bias=False)
        self.register_buffer("shift", torch.randn(5), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return nn.functional.linear(self.head((x + self.conv(x)).mean((2, 3))), self.mix(self.table), self.shift)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_the_original_has_beyond_the_spec_is_no_difference(dtype: torch.dtype) -> None:
    module = Odd().to(dtype)
    before = {name: one.clone() for name, one in module.state_dict().items()}
    made = archc.import_model(module, input=(3, 8, 8))
    found = made.report()
    assert found.good, found.text()
    used = sum(one.numel() for name, one in module.named_parameters() if not name.startswith(("idle", "aux")))
    assert found.parameters[0] == used
    assert "but for 65 that no layer uses" in found.text()
    assert "as of the counter of PyTorch but for 150 that are spent on weights alone" in found.text()
    assert all(torch.equal(one, before[name]) for name, one in module.state_dict().items())
    theirs = {made.imported.renames.get(name, name): one for name, one in made.tensors().items()}
    assert torch.equal(torch.as_tensor(theirs["shift"]), module.shift.float())


def test_gradients_that_differ_are_seen() -> None:
    """In a step whose outputs and statistics are equal."""
    module = Net()
    like = archc.import_model(module, input=(3, 8, 8)).report().likeness
    assert like is not None and like.alike and like.steepest > 0
    assert not replace(like, gradients=(like.steepest / 100, 9)).alike
    assert not replace(like, statistics=(like.kept / 100, 3)).alike


def test_what_cannot_be_compared_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Turned(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.rot90(self.stem(x), 1, (2, 3)).mean((2, 3))

    made = archc.import_model(Turned(), input=(3, 8, 8))
    assert "what is opaque cannot be built" in made.report().text()
    assert "rot90 at " in made.text and "test_report.py:" in made.text
    assert "not compared: --no-check" in made.report(compare=False).text()
    (tmp_path / "net.prototxt").write_text(
        'name: "n" input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 } '
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 3 } }'
    )
    assert main(["import", str(tmp_path / "net.prototxt"), "-o", str(tmp_path / "net.yaml")]) == 0
    assert "nothing here runs the original" in capsys.readouterr().out


def test_the_status_is_1_where_outputs_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archc.importing import report

    (tmp_path / "net_of_report.py").write_text("from torch import nn\n\nnet = nn.Linear(3, 2)\n")
    words = ["import", f"{tmp_path / 'net_of_report.py'}:net", "--input", "3", "-o", str(tmp_path / "net.yaml")]
    assert main(words) == 0
    before = report.report

    def worse(made: object, compare: bool = True) -> object:
        found = before(made, compare)  # type: ignore[arg-type]
        assert found.likeness is not None
        return replace(found, likeness=replace(found.likeness, outputs=0.5))

    monkeypatch.setattr(report, "report", worse)
    assert main(words) == 1
