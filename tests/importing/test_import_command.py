"""`archc import`: a spec and weights from a source, and what is said of one that cannot be imported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archc
from archc.cli.main import main
from tests.importing import darknet_cfgs as cfgs

MODEL = """
from torch import nn

def net():
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "net_of_test.py").write_text(MODEL)
    return tmp_path / "net_of_test.py"


def test_a_model_becomes_a_spec_whose_weights_load(model: Path, tmp_path: Path) -> None:
    spec, weights = tmp_path / "net.yaml", tmp_path / "net.safetensors"
    assert main(["import", f"{model}:net", "--input", "3x8x8", "-o", str(spec), "-o", str(weights)]) == 0
    built = archc.build(spec, weights=weights).eval()
    assert list(built.state_dict()) == [
        "0.weight",
        *(f"1.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        "4.weight",
        "4.bias",
    ]
    assert built(torch.randn(2, 3, 8, 8)).shape == (2, 10)


def test_without_output_the_spec_is_printed(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", f"{model}:net", "--input", "3x8x8", "--name", "mine"]) == 0
    graph = archc.loads(capsys.readouterr().out)
    assert (graph.name, len(graph.nodes)) == ("mine", 5)


def test_a_file_of_darknet(tmp_path: Path) -> None:
    (tmp_path / "net.cfg").write_text(cfgs.yolov3_tiny())
    assert main(["import", str(tmp_path / "net.cfg"), "-o", str(tmp_path / "net.yaml")]) == 0
    assert archc.analyze(tmp_path / "net.yaml").parameters == 8_852_366


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope.cfg"], "there is no file nope.cfg"),
        (["net.txt"], "is of no format that is known"),
        (["net.py"], "write net.py:net"),
        (["net.py:nett", "--input", "3x8x8"], 'did you mean "net"'),
        (["net.py:net"], "--input 3x224x224"),
        (["net.py:net", "--input", "3x8x8", "-o", "net.yml2"], "yml"),
        (["broken.cfg"], "broken.cfg:1:1"),
        (["net.cfg", "--input", "3x8x8"], "says what it takes"),
        (["net.cfg", "-o", "w.safetensors"], "--weights"),
        (["net.cfg", "-o", "net.cfg"], "end it in .yaml"),
        (["net.cfg", "--weights", "nope.weights"], "nope.weights"),
    ],
)
def test_what_is_said_of_mistakes(
    words: list[str], said: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model.rename("net.py")
    Path("net.txt").write_text("x")
    Path("net.cfg").write_text(cfgs.yolov3_tiny())
    Path("broken.cfg").write_text("nonsense")
    assert main(["import", *words]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert said in err
    assert "Traceback" not in err
