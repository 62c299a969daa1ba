"""`archc memory` and `archc fit`: what they print, what they refuse, and that docs/memory.md tells the truth."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

import archc
from archc.analysis.memory.fit import MOST, Fitting, largest
from archc.analysis.memory.timeline import Options
from archc.cli.main import main
from archc.ops.registry import OPERATORS
from archc.text.quantity import bytes_text
from tests.helpers.paths import ROOT

PAGE = (ROOT / "docs" / "memory.md").read_text()
COMMANDS = re.findall(r"^archc (?:memory|fit) .*$", PAGE, re.MULTILINE)
SHOWN = re.findall(r"^```sh\n(archc [^\n]*)\n```\n\n```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def printed(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


LONG = ("densenet121", "12GiB")  # the plans of these are searched for seconds


@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=[pytest.mark.heavy] if any(word in line for word in LONG) else []) for line in COMMANDS]
)
def test_commands_of_the_page_run(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And print what the page shows of them."""
    monkeypatch.setenv("COLUMNS", "80")
    text = printed(line, capsys)
    assert text and ("--format" in line or max(map(len, text.splitlines())) <= 80)
    for part in (part for command, shown in SHOWN for part in shown.split("…\n") if command == line):
        assert part.strip("\n") in text


def test_the_page_has_examples() -> None:
    assert {line for line, _ in SHOWN} <= set(COMMANDS)
    assert len(COMMANDS) >= 4 and len(SHOWN) >= 2
    for body in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(body, "docs/memory.md", "exec"), {})


def test_the_peaks_of_the_page_are_found() -> None:
    rows = re.findall(r"^\| (\w+) \| ([\d.]+ GiB) \| ([\d.]+ GiB) \| ([\d.]+ GiB) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    for name, *peaks in rows:
        graph = archc.load(name)
        found = [archc.memory(graph, batch=64, optimizer="momentum", checkpoint=plan).peak_bytes for plan in (None, "norms", "blocks")]
        assert list(map(bytes_text, found)) == peaks


def test_a_plan_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.yaml").write_text("checkpoint: [layer1, [layer2.0.bn1, layer2.0.conv2]]\n")
    found = json.loads(printed(f"archc memory resnet18 --checkpoint {tmp_path}/plan.yaml --format json", capsys))
    assert found["checkpoint"] == ["layer1", "[layer2.0.bn1, layer2.0.conv2]"]
    assert {"recompute", "backward"} <= {event["phase"] for event in found["events"]}
    (tmp_path / "plan.yaml").write_text("checkpoint: [layer9]\n")
    assert main(["memory", "resnet18", "--checkpoint", f"{tmp_path}/plan.yaml"]) == 2
    assert "no layer is called layer9" in capsys.readouterr().err


def test_json_is_the_timeline(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed("archc memory resnet18 --batch 4 --optimizer adam --format json", capsys))
    timeline = archc.memory("resnet18", batch=4, optimizer="adam")
    assert found == json.loads(json.dumps(timeline.to_dict()))
    assert found["peak"] == sum(found["by_kind"].values()) == timeline.peak_bytes
    assert max(event["bytes"] for event in found["events"]) <= found["peak"] <= found["allocated"] <= found["reserved"]


def test_passes_of_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    """The peak of a step of two passes and more, which `memory` and `fit` agree upon, in images of a whole step."""
    line = "lenet5 --optimizer momentum --device cpu --accumulate 4"
    text = printed(f"archc memory --batch 64 {line}", capsys)
    assert "batch 64 in 4 passes of 16" in text
    peak = archc.memory("lenet5", batch=64, optimizer="momentum", device="cpu", accumulate=4).peak_bytes
    assert f"{peak:,}" in text and peak > archc.memory("lenet5", batch=16, optimizer="momentum", device="cpu").peak_bytes
    found = json.loads(printed(f"archc fit --batch 64 {line} --memory {peak}B --format json", capsys))["alternatives"][0]
    assert (found["needed"], found["largest_batch"]) == (peak, 64)


def test_csv_has_a_row_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("archc memory resnet18 --format csv", capsys).splitlines()
    nodes = len(archc.load("resnet18").nodes)
    assert lines[0] == "phase,layer,kind,bytes" and sum(line.startswith(("forward,", "backward,")) for line in lines) == 2 * nodes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("archc fit lenet5", "write --memory 24GiB, --device NAME or --batch 64"),
        ("archc memory lenet5 --memory 24Gb/s", "write 24GiB"),
        ("archc memory lenet5 --memory 0", "write 24GiB"),
        ("archc memory lenet5 --reserve 1GiB", "write --memory 24GiB or --device NAME"),
        ("archc memory lenet5 --memory 1GiB --reserve 2GiB", "leaves nothing of 1.00 GiB"),
        ("archc fit lenet5 --device a100-40gb --reserve much", "write 1GiB, or 0 for nothing"),
        ("archc memory lenet5 --batch 0", "whole number from 1 up"),
        ("archc memory lenet5 --amp float32", "neither bf16 nor fp16"),
        ("archc memory lenet5 --amp bf16 --dtype fp16", "leave out --amp or --dtype"),
        ("archc memory lenet5 --optimizer rmsprop --how fused", "no fused rmsprop"),
        ("archc memory lenet5 --device nonesuch", "nonesuch"),
        ("archc memory lenet5 --checkpoint norm", 'did you mean "norms"'),
        ("archc memory lenet5 --checkpoint nonesuch.yaml", "cannot read nonesuch.yaml"),
        ("archc memory lenet5 --checkpoint norms --inference", "leave out either it or --inference"),
        ("archc memory nonesuch", "nonesuch"),
    ],
)
def test_mistakes_are_told(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(shlex.split(line)[1:])
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    assert status == 2 and said in re.sub(r"\n +", " ", capsys.readouterr().err)


@pytest.mark.parametrize("slope", [1, 7, 1000])
@pytest.mark.parametrize("memory", [0, 5, 6, 106, 107, 9999, 10**6, 10**12])
def test_the_search_finds_what_trying_all_would(slope: int, memory: int) -> None:
    assert largest(lambda batch: slope * batch + 99, memory) == min(MOST, max(0, (memory - 99) // slope))


@pytest.mark.parametrize("inference", [False, True])
def test_the_largest_batch_fits_and_the_next_does_not(inference: bool) -> None:
    fitting, options, memory = Fitting(archc.load("resnet18"), inference), Options(optimizer="adam", device="cuda"), 2**30
    batch = fitting.largest(options, memory)
    assert fitting.timeline(Options(batch, optimizer="adam", device="cuda")).fits(memory)
    assert not fitting.timeline(Options(batch + 1, optimizer="adam", device="cuda")).fits(memory)


def test_alternatives(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed("archc fit vgg11 --memory 8GiB --batch 16 --optimizer adamw --format json", capsys))
    names = [one["name"] for one in found["alternatives"]]
    assert names == ["as asked", "under autocast to bfloat16", "fused adamw", "with momentum", "with sgd"]
    peaks = [archc.memory("vgg11", batch=16, optimizer=name).peak_bytes for name in ("sgd", "momentum", "adamw")]
    assert peaks == sorted(set(peaks))


@pytest.mark.parametrize("columns", ("80", "120"))
@pytest.mark.parametrize("rest", ("memory long.yaml", "fit long.yaml --batch 4", "fit long.yaml --batch 4 --optimizer momentum --amp bf16"))
def test_a_long_name_is_cut(
    rest: str, columns: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.chdir(tmp_path)
    for name in ("a" * 200, "a" * 30):
        Path("long.yaml").write_text(f"archc: 1\nname: {name}\ninput: [3, 8, 8]\nlayers: [{{conv: 4}}, relu, flatten, {{linear: 2}}]\n")
        head = printed(f"archc {rest}", capsys).split("\n\n")[0].splitlines()
        assert max(map(len, head)) <= int(columns) and head[0].startswith("a" * 24)
        assert ("…" in head[0]) == (len(name) > 30)
        assert "batch 1" in head[0] or head[-1].endswith(", on cuda")


def test_an_operator_without_a_pytorch_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it takes and gives is known, so memory is at least so much; two linear layers of 16 and 10 numbers, and their gradients."""
    (tmp_path / "plugin.py").write_text(
        "from archc.ops import Facts, Shape, op\n\n\n@op\ndef formless_there(x: Shape) -> Facts:\n"
        '    """[C] -> [C]. Nothing that PyTorch has."""\n    return Facts(x, weights=(), macs=0)\n'
    )
    (tmp_path / "net.yaml").write_text("input: [3]\nlayers: {a: {linear: 4}, odd: formless_there, b: {linear: 2}}\n")
    try:
        text = printed(f"archc memory {tmp_path}/net.yaml --plugin {tmp_path}/plugin.py", capsys)
        fitting = printed(f"archc fit {tmp_path}/net.yaml --memory 1GiB --plugin {tmp_path}/plugin.py", capsys)
    finally:
        OPERATORS.remove("formless_there")
    assert re.search(r"parameters +104 B +104 ", text) and re.search(r"gradients +104 B +104 ", text)
    assert "formless_there does not state what backward keeps" in text and "formless_there does not state" in fitting
