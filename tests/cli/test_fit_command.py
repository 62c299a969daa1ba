"""Plans of checkpointing from `archc fit` and from Python: what is printed, what is written, and that it is built in."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

import archc
from archc.analysis.memory.fit import Effort, Fitting
from archc.analysis.memory.timeline import Options, Timeline, training
from archc.analysis.memory.timeline.line import FAR, BatchLine
from archc.analysis.recompute import Region, plan_of
from archc.analysis.recompute.planner import PlanRow
from archc.analysis.recompute.planner.macs import Recomputed
from archc.cli.main import main
from archc.cli.plan_table import common_name, group_regions
from archc.elaborate.compiler import compile_spec, compile_text


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def said(line: str, capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    try:
        found = main(shlex.split(line)[1:])
    except SystemExit as stopped:
        found = int(stopped.code or 0)
    told = capsys.readouterr()
    assert found == status, told.err
    return told.out + told.err


def test_a_batch_that_does_not_fit_is_planned(capsys: pytest.CaptureFixture[str]) -> None:
    line = "archc fit resnet18 --batch 64 --memory 1GiB -o plan.yaml"
    text = said(line, capsys)
    assert "with checkpointing, a batch of 64 fits 1.00 GiB:" in text and "wrote plan.yaml" in text
    assert max(map(len, text.splitlines())) <= 80
    net = archc.load("resnet18")
    plan = plan_of(net, "plan.yaml")
    assert archc.memory(net, batch=64, checkpoint=plan).fits(2**30)
    assert plan == archc.checkpoint(net, memory="1GiB", batch=64).plan == archc.checkpoint(net, memory=2**30, batch=64).plan
    assert "checkpoint(self" in archc.source(net, checkpoint="plan.yaml")


def test_the_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split("fit resnet18 --batch 64 --memory 1GiB --format json -o plan.yaml")) == 0
    found = json.loads(capsys.readouterr().out)
    planned = archc.checkpoint("resnet18", memory="1GiB", batch=64)
    assert Path("plan.yaml").read_text() == planned.plan.text()
    assert found["plan"] == json.loads(json.dumps(planned.to_dict()))
    assert sum(one["extra_macs"] for one in found["plan"]["regions"]) == found["plan"]["extra_macs"]
    assert sum(one["recomputed"] for one in found["plan"]["regions"]) == found["plan"]["recomputed"]
    names = [one["name"] for one in found["alternatives"] if one["checkpoint"]]
    assert names == ["normalizations recomputed", "most recomputed"]
    asked = found["alternatives"][0]
    assert all(one["needed"] < asked["needed"] and one["largest_batch"] > asked["largest_batch"] for one in found["alternatives"][-2:])


def test_what_fits_needs_no_plan(capsys: pytest.CaptureFixture[str]) -> None:
    text = said("archc fit resnet18 --batch 2 --memory 8GiB -o plan.yaml", capsys)
    assert "with checkpointing" not in text and Path("plan.yaml").read_text() == "checkpoint: []\n"


def test_the_least_is_told_and_nothing_written(capsys: pytest.CaptureFixture[str]) -> None:
    text = said("archc fit resnet18 --batch 64 --memory 200MiB -o plan.yaml", capsys, 1)
    assert "the smallest peak with checkpointing is" in text and "plan.yaml is not written" in text
    assert not Path("plan.yaml").exists()


def test_planning_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert "checkpointing" not in said("archc fit resnet18 --batch 64 --memory 1GiB --no-plan", capsys)
    assert "checkpointing" not in said("archc fit resnet18 --batch 64 --memory 64MiB --inference", capsys)


@pytest.mark.parametrize(
    ("rest", "wanted"),
    [
        ("--memory 1GiB -o plan.yaml", "write --batch 512 --memory 24GiB"),
        ("--batch 8 -o plan.yaml", "write --batch 512 --memory 24GiB"),
        ("--batch 8 --memory 1GiB --no-plan -o plan.yaml", "leave --no-plan or -o out"),
        ("--batch 8 --memory 1GiB --inference -o plan.yaml", "leave --inference or -o out"),
        ("--batch 8 --memory 8GiB -o nowhere/plan.yaml", "there is no folder nowhere"),
    ],
)
def test_mistakes_are_told(rest: str, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert wanted in said(f"archc fit resnet18 {rest}", capsys, 2)


def test_a_plan_from_python_is_checked() -> None:
    with pytest.raises(ValueError, match="write 24GiB"):
        archc.checkpoint("lenet5", memory="24", batch=8)
    with pytest.raises(ValueError, match="a batch has at least 1 image"):
        archc.checkpoint("lenet5", memory="1GiB", batch=0)


def test_regions_that_are_alike_share_a_row() -> None:
    def row(first: str, last: str = "", layers: int = 2) -> PlanRow:
        return PlanRow(Region(first, last), 3, 1, Recomputed(layers, 0), 1)

    rows = (
        row("layer1.0.bn1", "layer1.0.conv2"),
        row("layer2.11.bn1", "layer2.11.conv2"),
        row("layer1.0.bn2", "layer1.0.conv3"),
        row("a", "b"),
    )
    names = [[str(one.region) for one in group] for group in group_regions(rows)]
    assert [len(one) for one in names] == [3, 1]
    assert common_name([one.region for one in rows[:2]]) == "layer*.*.bn1 to conv2"
    assert common_name([one.region for one in rows[:3]]) == "layer*.*.bn* to conv*"
    assert common_name([Region("layer1"), Region("layer3")]) == "layer*"
    assert common_name([Region("a.b.c", "a.d.e")]) == "a.b.c to d.e"


CHAIN = "archc: 1\ninput: [3, 8, 8]\nlayers: [{repeat: %d, conv: {channels: 3, kernel: 1}}]\n"


def test_a_long_chain_is_planned_coarsely_and_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What was not searched is named; simulations are counted, since they are what takes long."""
    monkeypatch.setattr("archc.analysis.recompute.planner.pieces.MOST_SEARCHED", 100)
    monkeypatch.setattr("archc.analysis.recompute.planner.pieces.MOST_EDGES", 20)
    Path("chain.yaml").write_text(CHAIN % 200)
    text = said("archc fit chain.yaml --batch 512 --memory 60MB --device cpu -o plan.yaml", capsys)
    assert "with checkpointing, a batch of 512 fits" in text
    assert "of 200 layers, only regions between some of the cuts were searched" in text
    assert "wrote plan.yaml" in text and plan_of(archc.load("chain.yaml"), "plan.yaml").regions


def test_alternatives_end_where_the_effort_does() -> None:
    graph = compile_text(CHAIN % 100).graph
    assert graph is not None
    fitting = Fitting(graph, effort=Effort(450))
    found = [one.name for one in fitting.alternatives(Options(batch=8), 2**27, 8)]
    assert found[0] == "as asked" and fitting.effort.skipped and "with momentum" not in fitting.effort.skipped
    assert {*found, *fitting.effort.skipped} == {one.name for one in Fitting(graph).alternatives(Options(batch=8), 2**27, 8)}
    assert fitting.effort.left > -20 * len(graph.nodes)


@pytest.mark.parametrize("name", ["vgg16", "densenet121", "vit_b16", "googlenet", "unet"])
@pytest.mark.parametrize(
    "options", [Options(), Options(device="cuda", optimizer="adam"), Options(device="cuda", amp="bfloat16", accumulate=2)]
)
def test_a_step_on_a_straight_line_is_the_step_that_is_simulated(name: str, options: Options) -> None:
    graph = compile_spec(name).graph
    assert graph is not None

    def step(images: int) -> Timeline:
        return training(graph, replace(options, batch=images * options.accumulate))

    line, real = BatchLine(step(FAR)), step(37)
    found = line.at(37 * options.accumulate)
    assert [(block.bytes, block.kind, block.of, made) for block, made in found.tape.events] == [
        (block.bytes, block.kind, block.of, made) for block, made in real.tape.events
    ]
    assert (found.tape.marks, found.peak_at, found.bound, found.options) == (real.tape.marks, real.peak_at, real.bound, real.options)
    assert found.needed_bytes == real.needed_bytes >= line.least(37 * options.accumulate)


def test_a_size_that_is_not_linear_in_the_batch_is_on_no_line() -> None:
    graph = compile_text(CHAIN % 3).graph
    assert graph is not None
    far = training(graph, Options(batch=FAR))
    max((block for block, _ in far.tape.events), key=lambda block: block.bytes).bytes //= 5
    with pytest.raises(ValueError, match="not linear"):
        BatchLine(far)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("memory", [2**17, 2**20, 3 * 2**20, 2**26])
def test_the_largest_batch_of_a_long_network_fits_and_is_near(device: str, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compile_text(CHAIN % 60).graph
    assert graph is not None
    options = Options(device=device)
    exact = Fitting(graph).largest(options, memory)
    monkeypatch.setattr("archc.analysis.memory.fit.LONG", 50)
    fitting = Fitting(graph)
    found = fitting.largest(options, memory)
    assert found == exact or (fitting.short and exact * 3 // 4 <= found <= exact)
    assert not found or training(graph, replace(options, batch=found)).fits(memory)
    fitting = Fitting(graph)
    assert len(list(fitting.alternatives(options, memory, 8))) == 1 and fitting.effort.skipped


def test_no_plan_of_a_network_too_long(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("memory.fit", "recompute.planner.planning"):
        monkeypatch.setattr(f"archc.analysis.{place}.MOST_PLANNED", 50)
    monkeypatch.setattr("archc.cli.fit_command.MOST_PLANNED", 50)
    Path("chain.yaml").write_text(CHAIN % 60)
    assert "no checkpointing is planned for so long a network" in said(
        "archc fit chain.yaml --batch 512 --memory 10MB --device cpu", capsys
    )
    assert main(["fit", "chain.yaml", "--batch", "512", "--memory", "10MB", "--device", "cpu", "-o", "plan.yaml"]) == 2
    assert "the network has 60 layers, too many to plan for" in capsys.readouterr().err and not Path("plan.yaml").exists()
