"""Plans of checkpointing as people write them: files, their mistakes, `archc build --checkpoint`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import archc
from archc.analysis.recompute import READY, CheckpointPlan, Region, blocks, mistakes, norm_act_conv, plan_of, read_plan, spans
from archc.cli.main import main
from archc.text.diagnostics import Diagnostics, SpecError
from archc.text.source import Source
from tests.helpers.paths import ROOT

NET = """
name: net
input: [4, 8, 8]
layers:
  a: {conv: 4}
  b: {layers: [{conv: 4}, batchnorm, relu]}
  c: {conv: 4}
  relu: {relu: {inplace: true}}
  d: {layers: {"1": {conv: 4}, "2": relu}}
  again: {share: d}
  end: {from: [again, c_skip], add: }
"""
NET = NET.replace("  c: {conv: 4}", "  c_skip: {conv: 4}\n  c: {conv: 4}")


def graph() -> archc.graph.Graph:
    return archc.loads(NET)


def told(text: str) -> list[str]:
    found = Diagnostics()
    assert read_plan(Source("plan.yaml", text), graph(), found) is None
    return [f"{one.span.line}:{one.span.column} {one.code} {one.message}" for one in found]


@pytest.mark.parametrize(
    ("regions", "wanted"),
    [
        ("[bb]", ["1:14 A301 no layer is called bb"]),
        ("[[a, b]]", ["1:14 A301 no layer is called b"]),
        ("[[c, a]]", ["1:14 A404 a runs before c"]),
        ("[a, b, a]", ["1:20 A404 the same layers as a"]),
        ("[[a, b.1], [b.1, b.2]]", ["1:24 A404 overlaps [a, b.1]"]),
        ("[b, [b.0, b.2]]", ["1:17 A404 the same layers as b"]),
        ("[[b.2, c]]", ["1:14 A404 the value of c_skip is used after the region"]),
        ("[relu]", ["1:14 A404 relu overwrites the input of the region"]),
        ("[again.1]", ["1:14 A404 again applies d again"]),
        ("[[relu, d.1]]", ["1:14 A404 relu overwrites the input of the region"]),
        ("[[d.2, again.1]]", ["1:14 A404 again applies d again"]),
        ("[[a, b.0, b.1]]", ["1:14 A202 not a region"]),
        ("[{first: a}]", ["1:14 A202 not a region"]),
        ("[[]]", ["1:14 A202 not a region"]),
        ("5", ["1:13 A202 checkpoint: this is not a list"]),
        ("[a]\nmore: 1", ['2:1 A201 a plan has no key "more"']),
    ],
)
def test_mistakes_have_places(regions: str, wanted: list[str]) -> None:
    assert told(f"checkpoint: {regions}") == wanted


@pytest.mark.parametrize("text", ["", "[a]", "checkpoint", "{", "checkpoint: &a [*a]", "a: b: c"])
def test_what_is_no_plan_is_told(text: str) -> None:
    assert told(text)


def test_names_are_no_numbers() -> None:
    net = archc.loads("{input: [4, 8, 8], layers: {'1': {layers: [{conv: 4}, relu]}, '2': relu}}")
    found = Diagnostics()
    plan = read_plan(Source("plan", "checkpoint: [1.0, '1.1', 2]"), net, found)
    assert plan == CheckpointPlan((Region("1.0"), Region("1.1"), Region("2")))
    again = read_plan(Source("plan", plan.text()), net, found)
    assert again == plan


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenet_v2", "googlenet"])
@pytest.mark.parametrize("word", sorted(READY))
def test_ready_plans_survive_a_file(name: str, word: str, tmp_path: Path) -> None:
    net = archc.load(name)
    plan = plan_of(net, word)
    assert mistakes(net, plan) == []
    (tmp_path / "plan.yaml").write_text(plan.text())
    assert plan_of(net, tmp_path / "plan.yaml") == plan
    regions = [[one.first, one.last] if one.last else one.first for one in plan.regions]
    (tmp_path / "plan.json").write_text(json.dumps({"checkpoint": regions}))
    assert plan_of(net, str(tmp_path / "plan.json")) == plan
    assert archc.source(name, checkpoint=plan) == archc.source(name, checkpoint=word)


def test_candidates() -> None:
    net = archc.load("resnet18")
    assert len(norm_act_conv(net)) == 8
    assert [len(span) for span in spans(net, CheckpointPlan(tuple(norm_act_conv(net))))] == [3] * 8
    named = [one.first for one in blocks(net)]
    assert named[:3] == ["layer1.0", "layer1.1", "layer2.0"]
    assert "layer2.0.downsample" in named
    dense = norm_act_conv(archc.load("densenet121"))
    assert sum(one.first.endswith("concat") for one in dense) == 3
    assert len(dense) == 2 * 58 + 3


def test_a_plan_from_python_is_checked() -> None:
    with pytest.raises(ValueError, match="no layer is called nothing"):
        archc.source("resnet18", checkpoint=CheckpointPlan((Region("nothing"),)))
    with pytest.raises(ValueError, match='did you mean "norms"'):
        archc.source("resnet18", checkpoint="norm")
    with pytest.raises(SpecError, match="no such file"):
        archc.source("resnet18", checkpoint="plan.yaml")


def test_an_empty_plan_is_the_plain_source() -> None:
    assert archc.source("resnet18", checkpoint=CheckpointPlan(())) == archc.source("resnet18")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["build", "resnet18", "--checkpoint", "norms", "-o", "net.py"]) == 0
    assert Path("net.py").read_text() == archc.source("resnet18", checkpoint="norms")
    Path("plan.yaml").write_text("checkpoint: [layer1, layer2.3]\n")
    capsys.readouterr()
    assert main(["build", "resnet18", "--checkpoint", "plan.yaml", "-o", "other.py"]) == 2
    assert "plan.yaml:1:22" in capsys.readouterr().err
    assert not Path("other.py").exists()
    assert main(["build", "resnet18", "--checkpoint", "norms", "-o", "net.onnx"]) == 2
    assert "no -o FILE.py" in capsys.readouterr().err
    assert main(["build", "resnet18", "--checkpoint", "none"]) == 2
    assert "no checkpoint plan is called none" in capsys.readouterr().err
    assert main(["build", "resnet18", "--checkpoint", "norms", "--optimize", "inference"]) == 2
    assert "is for training" in capsys.readouterr().err


def test_the_page_quotes_what_is_written() -> None:
    page = (ROOT / "docs" / "build.md").read_text()
    quoted = page.partition("```text\ny = checkpoint")[2].partition("```")[0].splitlines()[1:]
    written = {line.strip().partition("  #")[0] for line in archc.source("resnet18", checkpoint="norms").splitlines()}
    assert "y = checkpoint(self.bn1_to_conv2, y, norms=[self.bn1])" in written
    assert quoted and not [line for line in quoted if line and line.strip() not in written]
    plan = page.partition("```yaml\ncheckpoint:")[2].partition("```")[0]
    found = Diagnostics()
    assert read_plan(Source("page", "checkpoint:" + plan), archc.load("resnet18"), found) is not None
