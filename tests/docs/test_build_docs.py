"""docs/build.md and README on `archc build`: each command and example runs, each quoted line is still written."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path

import pytest

import archc
from archc.cli.build_command import SUFFIXES
from archc.cli.main import main
from tests.helpers.onnx_operators import operators_read_once  # noqa: F401
from tests.helpers.paths import ROOT

torch = pytest.importorskip("torch")

PAGE, README = ((ROOT / name).read_text() for name in ("docs/build.md", "README.md"))
COMMANDS = list(dict.fromkeys(re.findall(r"^archc build .*$", PAGE + README, re.MULTILINE)))


def fences(kind: str, text: str = PAGE) -> list[str]:
    """The bodies of the fences of one kind."""
    return [body for found, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if found == kind]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights that the page speaks of."""
    made = tmp_path_factory.mktemp("page")
    state = archc.build("resnet18").state_dict()
    torch.save(state, made / "resnet18.pth")
    torch.save(archc.build("lenet5").state_dict(), made / "lenet5.pth")
    torch.save({f"backbone.{name}": one for name, one in state.items()}, made / "backbone.pth")
    return made


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_run(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    if ".onnx" in line:
        pytest.importorskip("onnxruntime", reason="pip install '.[onnx]'")
        pytest.importorskip("onnxscript", reason="pip install '.[onnx]'")
    monkeypatch.chdir(folder)
    words = shlex.split(line)[1:]
    assert main(words) == 0, capsys.readouterr().err
    assert all((folder / name).stat().st_size for name, before in zip(words[1:], words, strict=False) if before == "-o")


def test_examples_run_in_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert main(["build", "lenet5", "--weights", "lenet5.pth", "-o", "lenet5.pt2"]) == 0
    names: dict[str, object] = {}
    for body in [*fences("python"), *(one for one in fences("python", README) if "archc.build(" in one)]:
        exec(compile(body, "docs/build.md", "exec"), names)


def test_quoted_lines_are_still_written() -> None:
    written = {line.strip().split("  #")[0] for name in ("resnet50", "googlenet", "unet") for line in archc.source(name).splitlines()}
    quoted = [line for body in fences("py") for line in body.splitlines()]
    assert quoted and not [line for line in quoted if line not in written]


def test_what_passes_say_is_still_so(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for words in ("resnet50 --optimize", "--convolutional"):
        command = next(line for line in COMMANDS if words in line)
        assert main(shlex.split(command.partition(" -o ")[0])[1:]) == 0
        said.append(capsys.readouterr().err)
    assert fences("") == said


def test_the_tables_are_complete() -> None:
    assert not [name for name in SUFFIXES if f"`{name}`" not in PAGE]
    arguments = inspect.signature(archc.build).parameters
    assert not [name for name in arguments if name not in ("net", "params") and f"`{name}`" not in PAGE]


def test_the_heads_of_the_page() -> None:
    made = archc.build("googlenet", input=(3, 64, 64)).train()
    assert list(made(torch.zeros(2, 3, 64, 64))) == ["output", "aux1", "aux2"]
    assert made.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)
