"""`budget`: how limits are read, what they are compared with, and where that is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import archc
from archc.analysis.checks.check import OVER, check, train_memory
from archc.analysis.memory.timeline import Options, training
from archc.cli.main import main
from archc.elaborate.compiler import compile_text
from archc.graph import Graph
from archc.language.budget import FIGURES, Limit
from archc.language.spec import KEYS
from archc.reference.schema import schema

# 3*9*16 + 16 = 448 parameters, 27*16*64 = 27,648 MACs, twice that in FLOPs and 1,024 more for relu; 2,048 activations
HEAD = "archc: 1\ninput: [3, 8, 8]\nparams: {most: 400}\nlayers: {a: {conv: {channels: 16, kernel: 3, padding: 1}}, r: relu}\n"


def loaded(budget: str) -> Graph:
    model = compile_text(f"{HEAD}budget: {budget}\n")
    assert model.graph is not None, [one.message for one in model.diagnostics]
    return model.graph


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        *(("parameters: 448", True), ("parameters: 447", False), ('parameters: "<= 448"', True), ('parameters: "< 448"', False)),
        *(('parameters: "> 447"', True), ('parameters: "> 448"', False), ('parameters: ">= 448"', True), ('parameters: ">= 449"', False)),
        *(('parameters: "== 448"', True), ('parameters: "== 449"', False), ("parameters: 0.5K", True), ("parameters: 0.4k", False)),
        *(
            ("parameters: $most", False),
            ('parameters: "<= ${most + 48}"', True),
            ('parameters: "<=1_000"', True),
            ("parameters: 448.0", True),
        ),
        *(('macs: "<= 27.648K"', True), ('macs: "< 27.648K"', False), ("flops: 56_320", True), ("flops: 56_319", False)),
        *(("activations: 2048", True), ("activations: 2047", False), ('macs: "<= 1e3"', False), ('macs: "<= 1e"', None)),
        *(('train_memory: "<= 1GiB"', True), ('train_memory: "<= 1KB @ batch 2"', False), ('train_memory: "> 1 MiB @ batch 64"', True)),
    ],
)
def test_limits(limit: str, kept: bool | None) -> None:
    if kept is None:
        assert compile_text(f"{HEAD}budget: {{{limit}}}\n").graph is None
        return
    assert [one.code for one in check(loaded(f"{{{limit}}}"))] == ([] if kept else [OVER])


def test_what_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.yaml").write_text(HEAD + 'budget:\n  parameters: "<= 400"\n  macs: "> 30K"\n')
    assert main(["check", str(tmp_path / "net.yaml")]) == 1
    told = capsys.readouterr().err
    assert "parameters: the budget is <= 400, but it is 448: 48 (12.0%) over" in told and ":6:15" in told
    assert "macs: the budget is > 30K, but it is 27,648: 2,352 (7.8%) under" in told and ":7:9" in told


def test_it_is_inherited_key_by_key() -> None:
    model = compile_text("archc: 1\nextends: resnet18\nname: mine\nbudget: {parameters: 12M, macs: 1G}\n")
    assert model.spec is not None and model.graph is not None
    heir = compile_text("archc: 1\nextends: resnet18\nbudget: {macs: 2G}\n").graph
    assert heir is not None and check(heir) == []
    assert [one.message.partition(":")[0] for one in check(model.graph)] == ["macs"]


def test_keys_of_the_base_stay(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(HEAD + "budget: {parameters: 400, macs: 20K}\n")
    (tmp_path / "heir.yaml").write_text("archc: 1\nextends: base.yaml\nbudget: {macs: 1M}\n")
    found = check(archc.load(tmp_path / "heir.yaml"))
    assert [(one.message.partition(":")[0], Path(one.span.source.name).name) for one in found] == [("parameters", "base.yaml")]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_memory_is_the_peak_of_a_training_step(optimizer: str) -> None:
    graph = archc.load("resnet18", input=[3, 64, 64])
    peak = training(graph, Options(16, dtype="float32", optimizer=optimizer, device="cuda")).peak_bytes
    for limit, kept in ((peak, True), (peak - 1, False)):
        text = 'archc: 1\nextends: resnet18\ninput: [3, 64, 64]\nexpect: {parameters: 11_689_512, macs: "> 1"}\n'
        text += f'budget: {{train_memory: "<= {limit} @ batch 16, optimizer {optimizer}"}}\n'
        model = compile_text(text)
        assert model.graph is not None
        assert (check(model.graph) == []) == kept


def peak_of(graph, amp):  # type: ignore[no-untyped-def]
    return train_memory(graph, Limit("train_memory", "<=", 1, "", None, 64, "sgd", amp)).peak_bytes  # type: ignore[arg-type]


def test_autocast_takes_between_half_and_all() -> None:
    """Where activations are most of it; parameters and gradients keep four bytes, and have copies of two."""
    graph = archc.load("resnet18")
    whole, half = (peak_of(graph, amp) for amp in (False, True))
    parameters, indices = 4 * 11_689_512, 8 * 64 * 64 * 56 * 56  # those of max pooling keep eight bytes
    assert whole / 2 < half - indices / 2 < whole / 2 + 2 * parameters


def test_an_unknown_optimizer() -> None:
    (found,) = check(loaded('{train_memory: "1GiB @ optimizer adm"}'))
    assert found.code == "A402" and found.hint is not None and "adam" in found.hint


def test_it_is_resolved_to_the_same() -> None:
    from archc.graph.write_spec import resolve_text

    model = compile_text(HEAD + 'budget: {parameters: $most, macs: "<= 1M", train_memory: "< 2 GiB @ batch 8, amp bf16"}\n')
    assert model.graph is not None and model.spec is not None
    text = resolve_text(model.graph, model.spec, {})
    again = compile_text(text).graph
    assert again is not None, text
    kept = [[one._replace(span=None) for one in graph.budget] for graph in (model.graph, again)]  # type: ignore[arg-type]
    assert kept[0] == kept[1] and [one.value for one in kept[1]] == [400, 10**6, 2 * 2**30]


def test_it_is_in_the_schema_and_among_the_keys() -> None:
    assert set(schema()["properties"]["budget"]["properties"]) == set(FIGURES)
    assert "budget" in KEYS
