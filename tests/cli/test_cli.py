"""The command line, as people and programs use it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archc.cli.main import COMMANDS, main
from tests.helpers.paths import ROOT
from tests.helpers.zoo import every_spec

BROKEN = "input: [3, 8, 8]\nlayers: [cnov]\n"
HOSTILE = 'name: "\\e[31m<script>alert(1)</script>|x"\ndoc: "=cmd|\' /C calc\'!A0 \\e]0;owned\\a"\ninput: [3, 8, 8]\nlayers: [{conv: 4}]\n'


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in the checkout: (status, output, errors)."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("COLUMNS", raising=False)

    def go(*words: str) -> tuple[int, str, str]:
        try:
            status = main(list(words))
        except SystemExit as stop:
            status = int(stop.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return go


@every_spec
@pytest.mark.parametrize("options", [(), ("--depth", "1"), ("--full",)])
def test_tables_fit_eighty_columns(run: Run, monkeypatch: pytest.MonkeyPatch, name: str, options: tuple[str, ...]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = run("analyze", name, *options)
    table = out.split("\nparameters ")[0].splitlines()
    assert status == 0 and max(len(line) for line in table[3:]) <= 80


def test_every_figure_of_vgg16_is_there(run: Run) -> None:
    _, out, _ = run("analyze", "specs/vgg16.yaml")
    first = out.splitlines()[5].split()
    assert first[:6] == ["features.0", "conv", "64x224x224", "1,728", "64", "1,792"]
    assert first[6:] == ["<0.1%", "86,704,128", "0.6%", "173,408,256", "12.2", "MiB", "3x3"]
    assert "138,357,544" in out and "15,470,264,320" in out and "\x1b" not in out


def test_json(run: Run) -> None:
    status, out, _ = run("analyze", "vgg16", "--format", "json", "--batch", "4", "--optimizer", "adam", "--dtype", "bf16")
    (found,) = json.loads(out)["networks"]
    assert status == 0 and found["name"] == "vgg16" and found["input"] == {"input": [3, 224, 224]}
    assert found["parameters"] == {"total": 138_357_544, "weights": 138_344_128, "biases": 13_416, "trainable": 138_357_544, "buffers": 0}
    assert found["macs"] == 15_470_264_320 and found["activations"] == {"values": 28_676_072, "bytes": 57_352_144}
    memory = found["memory"]
    assert memory["optimizer_state"] == 2 * memory["parameters"] == 4 * 138_357_544
    assert memory["activations"] == 4 * memory["activations_per_image"]
    layer = found["layers"][0]
    wanted = {
        "name",
        "kind",
        "inputs",
        "output_shape",
        "parameters",
        "weights",
        "biases",
        "macs",
        "flops",
        "activations",
        "receptive_field",
    }
    assert wanted <= set(layer) and layer["receptive_field"] == {"size": [3, 3], "jump": [1, 1], "offset": [-1, -1], "exact": True}
    assert set(found["completeness"].values()) == {"exact"}


def test_csv_and_markdown(run: Run) -> None:
    rows = list(csv.reader(io.StringIO(run("analyze", "resnet50", "--format", "csv")[1])))
    assert rows[0][:5] == ["spec", "layer", "kind", "output", "weights"] and len(rows) == 176
    assert sum(int(row[rows[0].index("MACs")]) for row in rows[1:]) == 4_089_184_256
    assert "| conv1 |  | conv | 64x112x112 | 9,408 | 0 |" in run("analyze", "resnet50", "--format", "markdown")[1]


def test_options(run: Run) -> None:
    sorted_rows = run("analyze", "resnet50", "--sort", "weights", "--format", "csv")[1].splitlines()
    assert sorted_rows[1].split(",")[4] == "2359296"
    assert "23,528,522" in run("analyze", "resnet50", "--set", "classes=10")[1]
    assert "input 3x299x299  (with input=3x299x299)" in run("analyze", "resnet50", "--input", "3x299x299")[1]
    assert "layer1…" not in run("analyze", "resnet50", "--full")[1] and "layer1.1…2.conv1" in run("analyze", "resnet50")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("analize", "vgg16"), 'did you mean "analyze"?'),
        (("analyze", "vgg61"), 'did you mean "vgg16"'),
        (("analyze", "vgg16", "--optimiser", "adam"), 'did you mean "--optimizer"?'),
        (("analyze", "vgg16", "--optimizer", "adamm"), "invalid choice"),
        (("analyze", "vgg16", "--set", "clases=10"), 'did you mean "classes"?'),
        (("analyze", "vgg16", "--set", "classes"), "--set needs NAME=VALUE"),
        (("analyze", "vgg16", "--set", "classes=ten"), 'classes is "ten", not a whole number'),
        (("analyze", "vgg16", "--input", "3x"), "is not a shape"),
        (("analyze", "vgg16", "--input", "imag=3x8x8"), "has no input"),
        (("analyze", "vgg16", "--batch", "0"), "not a whole number from 1 up"),
        (("analyze", "vgg16", "--dtype", "float12"), "not one of float32"),
        (("analyze", "vgg16", "--plugin", "none.py"), "no plugin at none.py"),
        (("analyze", "vgg16", "--as", "tophat"), 'did you mean "thop"'),
        (("explain", "vgg16", "featurs.0"), 'did you mean "features.0'),
        (("docs", "cnov"), 'did you mean "conv"'),
        (("check", "no_such_folder/"), "neither a file nor a shipped spec"),
        (("resolve",), "required: SPEC"),
    ],
)
def test_wrong_words(run: Run, words: tuple[str, ...], said: str) -> None:
    status, _, err = run(*words)
    assert status == 2 and said in err and "Traceback" not in err


def test_choices_fit_eighty_columns(run: Run) -> None:
    status, _, err = run("fit", "vgg16", "--optimizer", "adamm")
    assert status == 2 and max(map(len, err.splitlines())) <= 80
    assert err.startswith("archc: argument --optimizer: invalid choice: 'adamm'\n  choose from ") and "adafactor" in err
    assert "see `archc fit --help`" in err and ")" not in err
    err = run("fit", "vgg16", "--optimizer", "a" * 500)[2]
    assert max(map(len, err.splitlines())) <= 80 and "adafactor" in err
    assert len(run("render", "vgg16", "--theme", "x")[2].splitlines()) == 2  # what is short stays in a line


def test_a_missing_folder_is_named(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "none" / "deeper"
    status, _, err = run("schema", "-o", str(folder / "a.json"))
    assert status == 2 and f"there is no folder {folder}; make it, or write elsewhere\n" in err and not folder.parent.exists()
    (tmp_path / "file").write_text("")
    assert f"there is no folder {tmp_path / 'file'}; make it" in run("schema", "-o", str(tmp_path / "file" / "a.json"))[2]
    (tmp_path / "here").mkdir()
    err = run("schema", "-o", str(tmp_path / "here"))[2]
    assert "cannot write" in err and "there is no folder" not in err


def test_check(run: Run, tmp_path: Path) -> None:
    good, broken, wrong = (tmp_path / name for name in ("good.yaml", "broken.yaml", "wrong.yaml"))
    good.write_text("input: [3, 8, 8]\nexpect: {parameters: 16, macs: '<= 1K', shape: [4, 8, 8]}\nlayers: [{conv: 4}]\n")
    broken.write_text("input: [3, 8, 8]\nexpect: {parameters: 17}\nlayers: [{conv: 4, expect: {channels: 5}}]\n")
    wrong.write_text(BROKEN)
    assert run("check", str(good))[:2] == (0, "1 spec: 1 good\n")
    status, _, err = run("check", str(broken))
    assert status == 1 and "promised 17, but it is 16 (-1)" in err and "channels here: promised 5, but it is 4" in err
    assert run("check", str(good), str(broken), str(wrong))[0] == 2
    assert run("check", str(tmp_path))[0] == 2
    for name in ("lenet5", "resnet18", "resnet34", "googlenet"):
        (tmp_path / "shipped").mkdir(exist_ok=True)
        (tmp_path / "shipped" / f"{name}.yaml").write_bytes((ROOT / "specs" / f"{name}.yaml").read_bytes())
    assert run("check", str(tmp_path / "shipped")) == (0, "4 specs: 4 good\n", "")


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        *(("16", True), ("'<= 16'", True), ("'< 16'", False), ("'>= 16'", True), ("'> 16'", False), ("15.5", False)),
        *(("'0.016K'", True), ("'0.02K'", True), ("'0.03K'", False)),
        *(("'15 +- 1'", True), ("'14 +- 1'", False), ("'15 +- 10%'", True), ("'17 ± 5%'", False)),
    ],
)
def test_bounds(run: Run, tmp_path: Path, wanted: str, kept: bool) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(f"input: [3, 8, 8]\nexpect: {{parameters: {wanted}}}\nlayers: [{{conv: 4}}]\n")
    assert run("check", str(path))[0] == (0 if kept else 1)


def test_check_for_programs(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(BROKEN)
    (found,) = json.loads(run("check", str(path), "--format", "json")[1])["diagnostics"]
    assert (found["code"], found["line"], found["column"], found["hint"]) == ("A301", 2, 10, 'did you mean "conv"?')
    assert run("check", str(path), "--format", "github")[1].startswith(f"::error file={path},line=2,col=10,title=A301::no layer")
    sarif = json.loads(run("check", str(path), "--format", "sarif")[1])
    (result,) = sarif["runs"][0]["results"]
    assert sarif["version"] == "2.1.0" and result["ruleId"] == "A301" and result["level"] == "error"
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 2, "startColumn": 10, "endLine": 2, "endColumn": 14}


def test_hostile_names(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(HOSTILE)
    for form in ("table", "csv", "markdown"):
        _, out, _ = run("analyze", str(path), "--format", form)
        assert "\x1b" not in out and "\x07" not in out
    assert "<script>" not in run("analyze", str(path), "--format", "markdown")[1]
    assert json.loads(run("analyze", str(path), "--format", "json")[1])["networks"][0]["name"].startswith("\x1b[31m")


def test_explain(run: Run) -> None:
    assert "multiply-accumulates" in run("explain", "vgg16")[1]
    _, out, _ = run("explain", "alexnet", "conv1")
    assert "H' = (H - kernel + 2*padding)/stride + 1 = (227 - 11 + 2*0)/4 + 1 = 55" in out
    assert "3*227*227*96*55*55" in out and "44,892,355,200" in out
    status, out, _ = run("explain", "vgg16", "features.0")
    assert status == 0 and "H' = (H - kernel + 2*padding)/stride + 1 = (224 - 3 + 2*1)/1 + 1 = 224" in out
    steps = json.loads(run("explain", "vgg16", "features.0", "--format", "json")[1])["layers"][0]["steps"]
    assert {"what": "weights", "formula": "channels*C/groups*kernel*kernel", "numbers": "64*3/1*3*3", "value": "1,728"} in steps


def test_new_and_schema_leave_files_whole(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert run("new", str(path))[0] == 0 and run("check", str(path))[0] == 0
    path.write_text("kept")
    assert run("new", str(path))[0] == 2 and path.read_text() == "kept"
    assert run("schema", "-o", str(tmp_path / "s.json"))[0] == 0 and json.loads((tmp_path / "s.json").read_text())["title"] == "archc spec"
    assert run("schema", "-o", str(tmp_path / "none" / "s.json"))[0] == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine.yaml", "s.json"]


def test_conventions(run: Run) -> None:
    _, out, _ = run("analyze", "resnet50", "--as", "thop")
    assert "batchnorm: 4 per value" in out and "4,133,742,592" in out and "44,455,936" in out
    assert json.loads(run("analyze", "resnet50", "--as", "torchinfo", "--format", "json")[1])["networks"][0]["total"] == 4_089_238_376


def test_help(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0 and all(command in out for command in COMMANDS)
    for command in COMMANDS:
        assert run(command, "--help")[0] == 0
    assert run()[0] == 2 and run("--version")[1].startswith("archc ")


def test_a_pipe_that_closes() -> None:
    ran = subprocess.run(
        f"{sys.executable} -m archc.cli.main analyze resnet50 | head -n 1", shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert ran.stdout.startswith("resnet50") and ran.stderr == ""


@pytest.mark.parametrize(("words", "said"), [
    ("analyze specs/nowhere/vgg16.yaml", "the shipped spec is called vgg16"),
    ("analyze ResNet-50", 'did you mean "resnet50"?'),
    ("analyze vgg16 --classes 10", "--set classes=10"),
    ("analyze vgg16 --classes=10", "--set classes=10"),
    ("explain --classes 10 vgg16", "--set classes=10"),
    ("analyze vgg16 --batch-size 10", 'did you mean "--batch"?'),
    ("analyze vgg16 --input 3 64 64", "a shape is one word: --input 3x64x64"),
    ("time vgg16", "a100-40gb"),
])  # fmt: skip
def test_what_was_meant(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(words.split())
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2 and said in capsys.readouterr().err
