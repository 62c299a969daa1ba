"""`archc time` and `archc calibrate`, and docs/time.md: what they print, and that the bound is one on this machine."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import archc
from archc.analysis.time.roofline import roofline
from archc.catalog.devices.catalogue import find, load_file
from archc.catalog.devices.device import CLASSES, Device
from archc.cli.main import main
from tests.helpers.paths import ROOT

PAGE = (ROOT / "docs/time.md").read_text()
NAMES = ("resnet18", "mobilenet_v2")


def fences(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the page: here.yaml is this machine, with one thread."""
    pytest.importorskip("torch", reason="pip install '.[torch]'")
    folder = tmp_path_factory.mktemp("time")
    (folder / "mine.yaml").write_text(next(body for body in fences("yaml") if "desk" in body))
    assert main(["calibrate", "--quick", "--threads", "1", "-o", str(folder / "here.yaml")]) == 0
    return folder


@pytest.fixture
def here(measured: Path) -> Device:
    return find(str(measured / "here.yaml"))


def out(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 0
    return capsys.readouterr().out


def test_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = out(capsys, "time", "resnet50", "--device", "a100-40gb", "--batch", "64", "--dtype", "bf16", "--training")
    assert max(map(len, text.splitlines())) <= 80
    assert "a bound, layer by layer at full peak and bandwidth: no forecast" in text
    quoted = fences("text")[0].splitlines()
    assert [line for line in quoted if line not in text.splitlines()] == []
    full = out(capsys, "time", "resnet50", "--device", "a100-40gb", "--full")
    assert [line.split()[0] for line in full.splitlines()[5:8]] == ["conv1", "bn1", "relu"]
    assert "5 others" in out(capsys, "time", "lenet5", "--device", "t4", "--top", "7")


def test_json_and_csv_are_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("time", "resnet18", "--device", "h200", "--batch", "8", "--dtype", "fp16", "--training", "--format")
    expected = roofline(archc.load("resnet18"), find("h200"), 8, "float16", True).to_dict()
    assert json.loads(out(capsys, *words, "json")) == expected
    rows = list(csv.DictReader(io.StringIO(out(capsys, *words, "csv"))))
    assert [float(row["least"]) for row in rows] == [layer["least"] for layer in expected["layers"]]
    assert sum(float(row["part"]) for row in rows) == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--device", "a100-40g"], 'did you mean "a100-40gb"'),
        (["--device", "v100", "--dtype", "bf16"], "states no peak for bfloat16; it states float64, float32, float16"),
        (["--device", "m4-max"], "states no peak at all"),
        (["--device", "t4", "--dtype", "float31"], 'did you mean "float32"'),
        (["--device", "nowhere.yaml"], "cannot read nowhere.yaml: no such file"),
        (["--device", "t4", "--devices", "nowhere.yaml"], "cannot read nowhere.yaml: no such file"),
    ],
)
def test_mistakes(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status: object = main(["time", "lenet5", *words])
    except SystemExit as error:
        status = error.code
    assert status == 2 and told in re.sub(r"\n +", " ", capsys.readouterr().err)


@pytest.mark.parametrize("words", [["time", "lenet5", "--device", "t4", "--batch", "0"], ["calibrate", "--threads", "x"]])
def test_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2 and capsys.readouterr().err.startswith("archc: ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-o", "here.txt"], "ends in .yaml"),
        (["-o", "no/such/here.yaml"], "no folder"),
        (["--dtype", "tf32"], "tf32"),
        (["--device", "npu"], "npu"),
    ],
)
def test_calibration_is_refused_before_any_work(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="pip install '.[torch]'")
    assert main(["calibrate", *words]) == 2
    assert told in capsys.readouterr().err


def test_time_imports_no_torch() -> None:
    script = "import sys; from archc.cli.main import main; main(sys.argv[1:]); print('\\n'.join(sys.modules), file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-c", script, "time", "resnet18", "--device", "a100"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"torch", "numpy", "pandas", "archc.runtime", "matplotlib"} & set(ran.stderr.split())


def test_what_was_measured(here: Device) -> None:
    known = here.calibration
    assert known is not None and known.threads == 1
    assert set(known.forward) == set(known.backward) == set(CLASSES)
    assert [(one.network, one.training) for one in known.trials] == [(name, training) for name in NAMES for training in (False, True)]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["resnet18", "densenet_40_12"])
def test_the_bound_is_one_on_this_machine(name: str, training: bool, here: Device) -> None:
    """The best of several runs is no faster than the bound from what the kernels reached."""
    torch = pytest.importorskip("torch")
    from archc.runtime.calibrate.calibrate import Machine, times

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        graph = archc.load(name, input=(3, 32, 32)).deployed()
        best = times(graph, Machine(torch.device("cpu"), "float32", 0.02), 4)[training].best
    finally:
        torch.set_num_threads(before)
    assert 0 < roofline(graph, here, 4, "float32", training).seconds <= best


def test_a_forecast_comes_with_its_error(measured: Path, here: Device, capsys: pytest.CaptureFixture[str]) -> None:
    text = out(capsys, "time", "resnet18", "--device", str(measured / "here.yaml"), "--input", "3x64x64", "--batch", "4")
    assert here.calibration is not None
    trials = [one for one in here.calibration.trials if not one.training]
    assert ", ".join(f"{one.network} {one.error:+.0%}" for one in trials) in text
    found = roofline(archc.load("resnet18", input=(3, 64, 64)), here, 4)
    assert found.forecast == pytest.approx(trials[0].forecast, rel=0.01)  # the file has four digits
    assert found.forecast is not None and found.forecast > found.seconds
    assert roofline(found.graph, find("a100")).forecast is None


COMMANDS = [line for body in fences("shell") for line in body.splitlines()]


@pytest.mark.parametrize("line", [line for line in COMMANDS if not line.startswith("archc calibrate")])
def test_commands_of_the_page_run(line: str, measured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(measured)
    assert main(shlex.split(line)[1:]) == 0, capsys.readouterr().err


def test_examples_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    for body in fences("python"):
        exec(compile(body, "docs/time.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_the_page_names_the_classes(measured: Path) -> None:
    assert ", ".join(CLASSES) in PAGE.replace("\n  ", " ")
    assert load_file(measured / "mine.yaml")["my-gpu"].memory == 16 * 2**30
