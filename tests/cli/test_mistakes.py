"""Errors of the library as the command line tells them: one place, its options, the terminal's width, exit status 2, standard error."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from archc.cli.console import option, tell
from archc.cli.main import main
from archc.errors import ArchcError, Argument, Head, Parameter
from tests.helpers.paths import ROOT

# Where an error is caught to go on all the same, and not to tell it and end.
GO_ON = {
    ("formulas.py", "formulas_of"): {"SpecError"},  # `analyze` goes on to the next spec
    ("main.py", "_run_guarded"): {"ArchcError", "ModuleNotFoundError"},
    ("training.py", "_catch"): {"ArchcError", "ModuleNotFoundError"},
    ("models.py", "their_code"): {"ArchcError"},  # raised again
    ("predict_command.py", "_predict"): {"DataError"},  # the other images are told of
    ("render_command.py", "_raster"): {"RasterError"},  # Graphviz may have another way
}


def test_errors_of_the_library_are_told_in_one_place() -> None:
    ours = {name for name, kind in _errors() if issubclass(kind, ArchcError)} | {"ArchcError"}
    found: dict[tuple[str, str], set[str]] = {}
    for path in sorted((ROOT / "archc" / "cli").glob("*.py")):
        for function in [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]:
            for handler in [node for node in ast.walk(function) if isinstance(node, ast.ExceptHandler) and node.type is not None]:
                caught = {one.id for one in ast.walk(handler.type) if isinstance(one, ast.Name)}
                if caught & ours:
                    found.setdefault((path.name, function.name), set()).update(caught)
    assert found == {place: caught for place, caught in GO_ON.items() if caught}


def _errors() -> list[tuple[str, type]]:
    """The classes of errors of the rooms that the command line uses, by name."""
    from archc.catalog.devices.device import DeviceError
    from archc.data import DataError
    from archc.draw.charts import ChartError
    from archc.draw.graphviz import DrawError
    from archc.draw.raster import RasterError
    from archc.ops.plugins import PluginError
    from archc.text.diagnostics import SpecError

    return [(one.__name__, one) for one in (DeviceError, DataError, ChartError, DrawError, RasterError, PluginError, SpecError)]


@pytest.mark.parametrize(
    "words",
    [
        ["data", "info", "nowhere"],
        ["data", "info", "--spec", "nothing"],
        ["data", "info", "digits", "--plugin", "nowhere.py"],
        ["compare", "vgg16", "--plot", "chart.bmp"],
        ["eval", "nowhere"],
        ["predict", "nowhere", "image.png"],
        ["docs", "conv", "--plugin", "nowhere.py"],
        ["docs", "--zoo", "--pictures", "file.txt/within"],
        ["train", "lenet5", "--train", "epoch=3"],
        ["train", "lenet5", "--data", "nowhere", "--dry-run"],
        ["calibrate", "--device", "nothing"],
        ["build", "lenet5", "--device", "nothing"],
    ],
    ids=" ".join,
)
def test_a_sentence_on_standard_error(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").touch()
    if words[0] in ("data", "eval", "predict", "train", "calibrate", "build"):
        pytest.importorskip("torch")
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err.startswith(("archc: ", "error[")) and "Traceback" not in said.err
    assert words[0] == "compare" or said.out == ""
    assert [one.name for one in tmp_path.iterdir()] == ["file.txt"]


def test_a_plugin_that_fails_is_shown_where_it_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plugin.py").write_text("import archc\n\n1 / 0\n")
    assert main(["docs", "conv", "--plugin", str(tmp_path / "plugin.py")]) == 2
    assert "error[A705]" in (said := capsys.readouterr().err) and "plugin.py:3" in said


def test_arguments_are_options() -> None:
    assert option(Argument("partial", True)) == "--partial" and option(Argument("device", "cpu")) == "--device cpu"
    assert option(Parameter("classes", 10)) == "--set classes=10" and str(Parameter("classes", 10)) == "classes=10"
    assert option(Head("classes", 10)) == "--replace-head classes=10" and str(Head("classes", 10)) == "classes=10, partial=True"


def test_a_long_error_is_wrapped_by_the_command_line_alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    error = ArchcError("what is wrong " * 20)
    assert "\n" not in str(error) and tell(error) == 2
    assert max(map(len, capsys.readouterr().err.splitlines())) <= 40


@pytest.mark.parametrize(
    ("module", "extra", "named"), [("torch", "train", "train"), ("PIL", "torch", "train"), ("captum", "train", "look")]
)
def test_a_missing_module_names_its_extra(module: str, extra: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(ModuleNotFoundError(f"No module named {module}", name=f"{module}.part"), extra) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith(f"archc: this needs {module}, which is not installed: pip install ") and f"archc-nn[{named}]" in said


def test_a_module_of_no_extra_is_a_mistake_of_archc() -> None:
    with pytest.raises(ModuleNotFoundError):
        tell(ModuleNotFoundError("No module named 'archc.nothing'", name="archc.nothing"))
