"""The peak of training and of inference against PyTorch, byte for byte: every operator in every case, and random networks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import archc
from archc.analysis.memory.saved import clashes
from archc.analysis.memory.storages import run
from archc.analysis.memory.timeline import Options, inference, training
from archc.graph import Graph
from archc.ops import OPERATORS
from archc.ops.facts import INPLACE

torch = pytest.importorskip("torch")

from tests.helpers.drawn_specs import plain, spec_of
from tests.helpers.random_layers import drawn
from tests.ops.cases import CASES, JOINED, Case

from .test_saved import crashes, with_threads
from .test_timeline import agrees, evaluates, one_thread, trained

__all__ = ["one_thread"]

LONG = settings(max_examples=5000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
OPTIMIZERS = ("sgd", "momentum", "adam")
BUILT = sorted(set(OPERATORS) - {"opaque", "computed"})  # which has no form in PyTorch


def around(case: Case, shared: bool) -> str:
    """The operator between layers that want gradients, where it takes values; with `shared`, its weights a second time."""
    facts = case.facts()
    names = [f"x{i}" for i in range(len(case.shapes))]
    values = {name for i, name in enumerate(names) if facts.taken(i) == "same"}
    layers: dict[str, Any] = {f"in_{name}": {"from": name, "layer_scale": None} for name in names if name in values}
    if case.joined:
        layers |= {f"joined_{name}": {"from": f"in_{name}", "join_batch": case.joined} for name in names}
    source: Any = [f"joined_{name}" if case.joined else f"in_{name}" if name in values else name for name in names]
    source = source[0] if len(source) == 1 else source
    layers["it"] = {"from": source, case.op: plain(case.args)}
    parts = [f".{i}" * (len(facts.outputs) > 1) for i in range(len(facts.outputs)) if not facts.is_integer(i)]
    ends = [f"it{part}" for part in parts]
    if shared:
        layers["again"] = {"from": source, "share": "it"}
        ends += [f"again{part}" for part in parts]
    if facts.outputs[0].joined:
        layers |= {f"left_{i}": {"from": end, "leave_batch": None} for i, end in enumerate(ends)}
        ends = [f"left_{i}" for i in range(len(ends))]
    for i, end in enumerate(ends):
        layers[f"a{i}"] = {"from": end, "sigmoid": None}
        layers[f"b{i}"] = {"from": f"a{i}", "relu": None}
    spec: dict[str, Any] = {"input": {name: list(shape) for name, shape in zip(names, case.shapes, strict=True)}, "layers": layers}
    if len(ends) > 1:
        spec["outputs"] = {f"o{i}": f"b{i}" for i in range(len(ends))}
    return json.dumps(spec)


def exact(graph: Graph, options: Options) -> None:
    """Training and inference, wherever they are said to be exact, and something is learned; what is said to be the least is no more."""
    if clashes(graph, options.batch):  # one image makes more values contiguous, of which attention keeps no copy
        return
    if any(node.kind in ("conv", "conv_transpose") for node in graph.nodes):
        with_threads(graph)
    try:
        found = training(graph, options)
        if not found.bound.reasons:
            agrees(graph, options)
        elif found.bound.status == "at least" and learns(graph):
            of_step, real = trained(graph, options)
            assert found.peak_bytes <= of_step.base() + real.peak, f"{found.peak_at}, not {real.at}"
        if not inference(graph, Options(options.batch)).bound.reasons:
            evaluates(graph, options.batch)
    except ValueError as error:  # a single image is no batch for a normalization of vectors
        assert re.search(r"Expected more than 1|empty parameter list", str(error)), error
    except RuntimeError as error:  # what is no number names no place of a map
        assert str(error).startswith("index -9223372036854775808 is out of bounds"), error


def learns(graph: Graph) -> bool:
    """Whether a gradient goes anywhere from an output."""
    tensors = run(graph).tensors
    return any(tensors[value].storage.needs_grad for value in graph.outputs.values())


def cases_of(op: str, most: int) -> Iterator[tuple[int, Case]]:
    """Some cases of an operator, far apart: such as lie side by side are alike."""
    cases = [case for case in CASES if case.op == op]
    assert cases
    step = max(-(-len(cases) // most), 1)
    yield from list(enumerate(cases))[::step]


@pytest.mark.parametrize("op", BUILT)
def test_every_operator(op: str) -> None:
    """Each alone, and where it has weights, with them a second time."""
    proves_cases(op, 2, 4)


@pytest.mark.parametrize("case", JOINED, ids=lambda case: case.id)
def test_axes_in_the_batch(case: Case) -> None:
    for shared in {False, bool(case.facts().owned)}:
        exact(archc.loads(around(case, shared)), Options(2, optimizer="momentum"))


@pytest.mark.heavy
@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("op", BUILT)
def test_every_case_of_every_operator(op: str, batch: int) -> None:
    proves_cases(op, batch, len(CASES))


def proves_cases(op: str, batch: int, most: int) -> None:
    for number, case in cases_of(op, most):
        if all(case.facts().is_integer(i) for i in range(len(case.facts().outputs))):
            continue  # nothing learns through it
        for shared in {False, bool(case.facts().owned)}:
            graph = archc.loads(around(case, shared))
            exact(graph, Options(batch, optimizer=OPTIMIZERS[number % 3]))


def network(random: Random, most: int) -> Graph | None:
    graph = drawn(random, most, regions=True)
    text = spec_of(graph, random) if graph.nodes else None
    if text is None:
        return None
    found = archc.loads(text)
    tensors = run(found).tensors
    whole = any(tensors[value].storage.item == 8 for value in found.outputs.values())  # of whole numbers there is no loss
    unstated = any(node.facts.keeps is None for node in found.nodes) and any(node.facts.storage == INPLACE for node in found.nodes)
    return None if whole or unstated or clashes(found) or crashes(found) else found


def some(seeds: range, most: int) -> Iterator[Graph]:
    for seed in seeds:
        found = network(Random(seed), most)
        if found is not None:
            yield found


def test_no_operator_is_missing_from_what_is_drawn() -> None:
    kinds = {node.kind for graph in some(range(1200), 12) for node in graph.nodes}
    assert set(OPERATORS) - kinds <= {"identity", "opaque", "computed"}


def test_the_bound_of_a_recurrent_kernel_is_below_what_it_takes() -> None:
    graph = archc.loads(
        "input: [30, 8]\nlayers: {a: {linear: 16}, b: {lstm: {hidden: 24, layers: 2, bidirectional: true}}, c: {linear: 4}}\n"
    )
    options = Options(2)
    found, (run, real) = training(graph, options), trained(graph, options)
    assert found.bound.status == "at least" and 0.5 * (run.base() + real.peak) < found.peak_bytes <= run.base() + real.peak


ATTENTION = """
archc: 1
name: block
input: [6, 16]
layers:
  qkv: {linear: 48}
  heads: {reshape: {shape: [6, 3, 4, 4]}}
  parts: {permute: [1, 2, 0, 3]}
  q: {select: 0}
  k: {from: parts, select: 1}
  v: {from: parts, select: 2}
  ask: {from: [q, k, v], scaled_dot_product_attention: }
  back: {transpose: [0, 1]}
  join: {reshape: {shape: [6, 16]}}
  out: {linear: 16}
"""


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_an_attention_that_is_written_out(batch: int) -> None:
    """One matrix for queries, keys and values, whose parts are views; what the kernel gives is seen token by token without a copy."""
    graph = archc.loads(ATTENTION)
    assert not training(graph, Options(batch)).bound.reasons
    exact(graph, Options(batch))


def proves(random: Random, most: int) -> None:
    graph = network(random, most)
    assume(graph is not None)
    assert graph is not None
    exact(graph, Options(random.choice([1, 2, 2, 4]), optimizer=random.choice(OPTIMIZERS)))


@pytest.mark.parametrize("seed", range(20))
def test_some_networks(seed: int) -> None:
    """The same ones each time; at length, they are drawn anew."""
    for graph in some(range(3 * seed, 3 * seed + 3), 8):
        exact(graph, Options(2, optimizer=OPTIMIZERS[seed % 3]))


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@LONG
@given(st.randoms(use_true_random=False))
def test_random_networks_at_length(random: Random) -> None:
    proves(random, 14)
