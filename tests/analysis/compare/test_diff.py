"""`archc diff`: what changed between two networks."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archc
from archc.analysis.compare.diff import ADDED, CHANGED, COSTS, MOVED, REMOVED, RENAMED, Change, Difference, compare
from archc.cli.main import main
from archc.text.names import fold_names
from tests.helpers.zoo import VARIED, every_spec, shipped


def diff(old: str, new: str) -> Difference:
    return compare(archc.loads("input: [3, 32, 32]\n" + old), archc.loads("input: [3, 32, 32]\n" + new))


def told(found: Difference) -> list[tuple[str, str | None, str | None]]:
    return [(one.what, one.old.name if one.old else None, one.new.name if one.new else None) for one in found.changes]


def adds_up(found: Difference) -> None:
    """What the changes and the reshaped layers cost is the difference of the totals."""
    for name in COSTS:
        parts = sum(change.costs[name] for change in found.changes) + found.more[name]
        assert parts == found.new.counts[name].low - found.old.counts[name].low


@every_spec
def test_a_network_is_itself(name: str) -> None:
    graph = shipped(name)
    found = compare(graph, archc.load(name))
    assert (found.changes, found.same, found.reshaped, found.structural) == ([], len(graph.nodes), 0, False)


@pytest.mark.parametrize(("old", "new"), list(pairwise(VARIED)))
def test_costs_add_up(old: str, new: str) -> None:
    graphs = shipped(old), shipped(new)
    if all(graph.deployed() is graph for graph in graphs):
        adds_up(compare(*graphs))


CHAIN = [
    "{conv: {channels: 8, kernel: 3}}",
    "relu",
    "{maxpool: {kernel: 3, stride: 1, padding: 1}}",
    "batchnorm",
    "{conv: 16}",
    "tanh",
    "{conv: {channels: 4, padding: 1}}",
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(CHAIN[:2] + CHAIN[3:6]), min_size=1, max_size=12), st.data())
def test_an_insertion_is_one_change(chain: list[str], data: st.DataObject) -> None:
    """A layer put into a numbered list: one is added, those after it are renumbered, nothing else."""
    at = data.draw(st.integers(0, len(chain)))
    longer = [*chain[:at], "softplus", *chain[at:]]
    there = diff(f"layers: [{', '.join(chain)}]", f"layers: [{', '.join(longer)}]")
    back = diff(f"layers: [{', '.join(longer)}]", f"layers: [{', '.join(chain)}]")
    assert [one for one in told(there) if one[0] != RENAMED] == [(ADDED, None, str(at))]
    assert [one for one in told(back) if one[0] != RENAMED] == [(REMOVED, str(at), None)]
    assert there.same == back.same == len(chain)
    assert {(a, b) for what, a, b in told(there) if what == RENAMED} == {(str(i), str(i + 1)) for i in range(at, len(chain))}
    adds_up(there)
    adds_up(back)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(CHAIN), min_size=1, max_size=8), st.lists(st.sampled_from(CHAIN), min_size=1, max_size=8))
def test_any_two_chains(old: list[str], new: list[str]) -> None:
    """Costs add up, and what is said to be there on both sides makes up each whole."""
    found = diff(f"layers: [{', '.join(old)}]", f"layers: [{', '.join(new)}]")
    adds_up(found)
    count = {what: sum(change.what == what for change in found.changes) for what in (ADDED, REMOVED, CHANGED, MOVED)}
    assert found.same + count[CHANGED] + count[MOVED] + count[REMOVED] == len(old)
    assert found.same + count[CHANGED] + count[MOVED] + count[ADDED] == len(new)
    assert found.structural == (old != new)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("{a: {conv: 8}, b: relu}", "{a: {conv: 9}, b: relu}", ["changed a a channels 8 → 9"]),
        ("{a: {conv: 8}, b: relu}", "{c: {conv: 8}, b: relu}", ["renamed a c "]),
        ("{a: {conv: 8}, b: relu}", "{a: {conv: 8}, b: silu}", ["changed b b relu → silu"]),
        ("{a: [{conv: 8}, relu]}", "{z: [{conv: 8}, relu]}", ["renamed a z "]),
        ("[{conv: 8}, relu, {conv: 4}]", "[{conv: 8}, {conv: 4}]", ["removed 1 None ", "renamed 2 1 "]),
        ("{a: {conv: 8}, s: [{conv: 4}]}", "{s: [{conv: 4}], a: {conv: 8}}", ["moved a a "]),
        (
            "{a: {conv: 3}, b: {from: a, conv: 3}, c: {from: [a, b], add: }}",
            "{a: {conv: 3}, b: {from: a, conv: 3}, c: {from: [input, b], add: }}",
            ["changed c c input 1 from a → input"],
        ),
        (
            "{a: {conv: 3}, b: {conv: 3}, c: {from: [a, b], add: }}",
            "{a: {conv: 3}, b: {from: input, conv: 3}, c: {from: [a, b], add: }}",
            ["changed b b from a → input"],
        ),
        ("{a: {conv: 3}, b: {conv: 3}}", "{a: {conv: 3}, r: relu, b: {conv: 3}}", ["added None r "]),
        (
            "{a: {conv: 3}, b: {from: [input, a], add: }}",
            "{a: {conv: 3}, b: {from: [input, a, a], add: }}",
            ["changed b b 2 inputs → 3"],
        ),
        (
            "{stage: {repeat: 2, bottleneck: {mid: 4, channels: 3}}}",
            "{stage: {repeat: 3, bottleneck: {mid: 4, channels: 3}}}",
            ["added None stage.2 "],
        ),
        ("{a: {dropout: 0.5}}", "{a: {dropout: 0.2}}", ["changed a a p 0.5 → 0.2"]),
    ],
)
def test_changes(old: str, new: str, what: list[str]) -> None:
    found = diff(f"layers: {old}", f"layers: {new}")

    def line(one: Change) -> str:
        names = [part.name if part is not None else "None" for part in (one.old, one.new)]
        return " ".join([one.what, *names, ", ".join(one.details)])

    assert sorted(map(line, found.changes)) == sorted(what)
    adds_up(found)


def test_published_families() -> None:
    """ResNet-101 is ResNet-50 with 17 more bottlenecks in its third stage; v1 moves the strides of three blocks."""
    found = compare(archc.load("resnet50"), archc.load("resnet101"))
    assert told(found) == [(ADDED, None, f"layer3.{i}") for i in range(6, 23)]
    found = compare(archc.load("resnet50"), archc.load("resnet50", stride_first=True))
    assert {(one.old.name, *one.details) for one in found.changes if one.old} == {
        *((f"layer{i}.0.conv1", "stride 1 → 2") for i in (2, 3, 4)),
        *((f"layer{i}.0.conv2", "stride 2 → 1") for i in (2, 3, 4)),
    }
    found = compare(archc.load("vgg16"), archc.load("vgg16", batchnorm=True))
    assert [one.new.kind for one in found.changes if one.what == ADDED] == ["batchnorm"] * 13  # type: ignore[union-attr]
    assert {one.what for one in found.changes} == {ADDED, RENAMED}


def expanded(pattern: str) -> list[str]:
    """The names that a pattern stands for."""
    match = re.search(r"\{([^}]*)\}", pattern)
    if match is None:
        return [pattern]
    numbers: list[int] = []
    for part in match[1].split(","):
        low, _, high = part.partition("-")
        numbers += range(int(low), int(high or low) + 1)
    return [name for number in numbers for name in expanded(pattern[: match.start()] + str(number) + pattern[match.end() :])]


@given(st.lists(st.from_regex(r"(layer|conv)[0-3](\.[0-9]{1,2}){0,2}(\.bn[1-2])?", fullmatch=True)))
def test_folded_names_are_the_names(names: list[str]) -> None:
    plain = {re.sub(r"\d+", lambda match: str(int(match[0])), name) for name in names}
    assert sorted(name for pattern in fold_names(plain) for name in expanded(pattern)) == sorted(plain)


def test_folding() -> None:
    assert fold_names(["layer1.0.conv2", "layer1.1.conv2", "layer1.2.conv2"]) == ["layer1.{0-2}.conv2"]
    assert fold_names(["a.0.b", "a.2.b", "c"]) == ["a.{0,2}.b", "c"]


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "resnet50", "resnet101"]) == 0
    out = capsys.readouterr().out
    assert "layer3.{6-22}" in out and "+18,992,128" in out and "+74.3%" in out
    assert main(["diff", "resnet50", "resnet101", "--format", "json", "--exit-code"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["totals"]["parameters"] == {"old": 25_557_032, "new": 44_549_160} and len(record["changes"]) == 17
    assert main(["diff", "resnet50", "resnet50", "--exit-code"]) == 0
    assert "the same network" in capsys.readouterr().out
    assert main(["diff", "vgg16", "--set", "batchnorm=true", "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("**vgg16 → vgg16 with batchnorm=true**") and "| parameters | 138,357,544 | 138,365,992 | +8,448 |" in out
    assert main(["diff", "vgg16"]) == 2
    assert main(["diff", "vgg16", "vgg99"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_it_fits_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for old, new in (("resnet50", "resnext50_32x4d"), ("densenet121", "densenet169"), ("efficientnet_b0", "efficientnet_b7")):
        assert main(["diff", old, new]) == 0
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_names_are_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        text = f'name: "{name}\\x1b[31m|<b>"\ninput: [3, 8, 8]\nlayers: [{{conv: {4 + (name == "b")}}}]\n'
        (tmp_path / f"{name}.yaml").write_text(text)
    for form in ("table", "markdown", "json"):
        assert main(["diff", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), "--format", form]) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert form != "markdown" or ("<b>" not in out.replace("\\<b\\>", "") and "\\|" in out)
