"""Plans of checkpointing: what runs again, against PyTorch's own count; the search, against all plans of small chains."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import archc
from archc.analysis.memory.timeline import Options, training
from archc.analysis.recompute import CheckpointPlan, Region, mistakes, plan_of
from archc.analysis.recompute.planner import Planned, extra_macs, plan, step_macs
from archc.analysis.recompute.planner.atoms import MACS, Atom, Priced
from archc.analysis.recompute.planner.pieces import Pieces
from archc.analysis.recompute.planner.profile import Profile
from archc.analysis.recompute.planner.search import Search
from archc.graph import Graph, Node
from archc.graph.structure import cuts

LAYERS = ("{conv: 4}", "{conv: 8}", "{conv: {channels: 4, kernel: 1}}", "batchnorm", "relu", "relu6", "sigmoid", "{maxpool: 2}")
NESTED = (Region("layer2"), Region("layer2.0"), Region("layer2.1.bn1", "layer2.1.conv2"), Region("layer3.0.conv1", "layer3.0.conv2"))


def chain(layers: list[str]) -> Graph:
    """Layers one after the other, on a map of 32x32; the first is a convolution, so that gradients are asked for."""
    rows = "\n".join(f"  l{i}: {layer}" for i, layer in enumerate(["{conv: 4}", *layers]))
    return archc.loads(f"name: chain\ninput: [3, 32, 32]\nlayers:\n{rows}\n")


@cache
def small(name: str) -> Graph:
    return archc.load(name, input=[3, 64, 64])


def macs_of(node: Node) -> int:
    assert isinstance(node.facts.macs, int)
    return int(node.facts.macs)


def flops(graph: Graph, wanted: CheckpointPlan | None) -> int:
    """Multiply-accumulates of forward and backward, as PyTorch counts what it runs, on tensors without data."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    module = archc.build(graph, checkpoint=wanted, device="meta")
    inputs = [torch.randn(2, *value.shape, device="meta") for value in graph.inputs.values()]
    with FlopCounterMode(display=False) as counter:
        module(*inputs).sum().backward()
    total = counter.get_total_flops()
    assert total % 4 == 0
    return int(total) // 4


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("resnet18", "norms"),
        ("resnet18", "blocks"),
        ("resnet18", CheckpointPlan(NESTED)),
        ("resnet18", CheckpointPlan((Region("layer1"), Region("layer1.1.conv1", "layer1.1.relu1")))),
        ("resnet18", CheckpointPlan((Region("conv1", "maxpool"), Region("bn1", "relu"), Region("avgpool", "fc")))),
        ("mobilenet_v2", "norms"),
        ("mobilenet_v2", "blocks"),
        pytest.param("densenet121", "norms", marks=pytest.mark.heavy),
        ("vgg11", CheckpointPlan((Region("features.0", "features.7"), Region("features.3", "features.6"), Region("classifier")))),
    ],
)
def test_what_runs_again_is_what_pytorch_counts(name: str, wanted: CheckpointPlan | str) -> None:
    graph = small(name)
    found = plan_of(graph, wanted)
    assert extra_macs(graph, found) == flops(graph, found) - flops(graph, None)


def test_attention_does_not_project_again_at_the_end() -> None:
    graph = archc.loads("{input: [6, 8], layers: {a: {linear: 8}, b: {attention: {heads: 2}}, c: {linear: 4}}}")
    whole, alone = CheckpointPlan((Region("a", "b"),)), CheckpointPlan((Region("a", "c"),))
    macs = {node.name: macs_of(node) for node in graph.nodes}
    assert extra_macs(graph, whole) == macs["a"] + macs["b"] - 6 * 8 * 8
    assert extra_macs(graph, alone) == macs["a"] + macs["b"]


def test_a_part_that_is_applied_again_runs_again_as_often() -> None:
    spec = "{input: [4, 8, 8], layers: {a: {conv: 4}, d: {layers: [relu6, {conv: 4}, relu6, {conv: 4}]}, again: {share: d}}}"
    graph = archc.loads(spec)
    once = CheckpointPlan((Region("d.0", "d.3"),))
    twice = CheckpointPlan((Region("d.0", "d.2"),))
    macs = macs_of(graph["a"])
    assert [extra_macs(graph, one) for one in (once, twice)] == [macs, 2 * macs]


def dominators(graph: Graph) -> list[int]:
    """Cuts by their definition: the places that a single value crosses, tried one by one."""
    found = []
    order = {node: i for i, node in enumerate(graph.nodes)}
    ends = {*graph.outputs.values(), *graph.heads.values()}
    for at in range(1, len(graph.nodes)):
        later = {value for node in graph.nodes[at:] for value in node.inputs} | ends
        crossing = {value for value in later if value.node is None or order[value.node] < at}
        if len(crossing) == 1:
            found.append(at)
    return [0, *found, len(graph.nodes)]


@pytest.mark.parametrize("name", ["vgg11", "resnet18", "densenet121", "mobilenet_v2", "googlenet"])
def test_cuts(name: str) -> None:
    graph = small(name)
    found = cuts(graph)
    assert found == dominators(graph)
    networkx = pytest.importorskip("networkx")
    flow = networkx.DiGraph([(value.node.name if value.node else "input", node.name) for node in graph.nodes for value in node.inputs])
    above = networkx.immediate_dominators(flow, "input")
    at, spine = graph.nodes[-1].name, set()
    while at != "input":
        spine.add(at)
        at = above[at]
    assert all(len(graph.nodes[at - 1].outputs) > 1 or graph.nodes[at - 1].name in spine for at in found[1:])


def disjoint(graph: Graph, at: int = 0) -> Iterator[tuple[Region, ...]]:
    """All sets of runs of layers that lie beside each other."""
    names = [node.name for node in graph.nodes]
    yield ()
    for start in range(at, len(names)):
        for stop in range(start + 1, len(names) + 1):
            region = Region(names[start], names[stop - 1] if stop > start + 1 else "")
            for more in disjoint(graph, stop):
                yield (region, *more)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(LAYERS), min_size=2, max_size=5), st.sampled_from(["cpu", "cuda"]))
@example(["batchnorm", "relu6", "{conv: 4}", "{maxpool: 2}"], "cpu")
@example(["batchnorm", "relu6", "{conv: 8}", "batchnorm", "relu6", "{conv: 4}"], "cpu")
def test_nothing_beats_the_plan_of_a_chain(layers: list[str], device: str) -> None:
    graph, options = chain(layers), Options(4, device=device)
    tried = []
    for regions in disjoint(graph):
        one = CheckpointPlan(regions)
        if not mistakes(graph, one):
            tried.append((training(graph, options, one).peak_bytes, extra_macs(graph, one)))
    peaks = sorted({peak for peak, _ in tried})
    pieces = Pieces(graph)
    search = Search(Priced(pieces, Profile(training(graph, options))))
    assert search.smallest().cost <= peaks[0]
    for budget in {peaks[0], peaks[len(peaks) // 3], peaks[len(peaks) // 2], peaks[-1]}:
        found = search.cheapest(budget)
        least = min(macs for peak, macs in tried if peak <= budget)
        assert found is not None and found.exact and found.cost // MACS <= least
        made = CheckpointPlan(tuple(pieces.region(one.span) for tree in found.trees for one in tree.walk()))
        assert training(graph, options, made).peak_bytes <= budget and extra_macs(graph, made) == found.cost // MACS
    assert search.cheapest(search.smallest().cost - 1) is None


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "googlenet", "vgg11"])
def test_atoms_cost_what_their_regions_do(name: str) -> None:
    graph = small(name)
    pieces = Pieces(graph)
    priced = Priced(pieces, Profile(training(graph, Options(4))))
    atoms = [one for starting in priced.starting for one in starting if one.tree is not None]
    for atom in atoms[:: 1 + len(atoms) // 60]:
        made = _plan(pieces, atom)
        assert not mistakes(graph, made)
        again = pieces.reruns.plan(made)
        assert atom.cost == again.macs * MACS + again.layers * 2**12 + len(made.regions)


def _plan(pieces: Pieces, atom: Atom) -> CheckpointPlan:
    assert atom.tree is not None
    return CheckpointPlan(tuple(pieces.region(one.span) for one in atom.tree.walk()))


def half(name: str, part: float, device: str = "cpu") -> tuple[Graph, Options, int, Planned]:
    graph, options = small(name), Options(16, device=device)
    memory = int(training(graph, options).needed_bytes * part)
    return graph, options, memory, plan(graph, options, memory)


@pytest.mark.parametrize(("name", "part"), [("resnet18", 0.95), ("mobilenet_v2", 0.5), ("googlenet", 0.85), ("densenet121", 0.5)])
def test_a_plan_is_legal_and_fits(name: str, part: float) -> None:
    graph, options, memory, found = half(name, part)
    assert found.fits and not mistakes(graph, found.plan)
    assert found.after.peak_bytes == training(graph, options, found.plan).peak_bytes <= memory
    assert found.recomputed.macs == extra_macs(graph, found.plan) and found.extra == found.recomputed.macs / step_macs(graph)
    for ready in ("norms", "blocks"):
        other = plan_of(graph, ready)
        if training(graph, options, other).peak_bytes <= memory:
            assert found.recomputed.macs <= extra_macs(graph, other)


def test_nothing_is_planned_where_all_fits() -> None:
    *_, found = half("resnet18", 1.0)
    assert found.fits and not found.plan.regions and found.recomputed.macs == 0 and found.after is found.before


def test_the_least_is_told_where_nothing_fits() -> None:
    graph, options, memory, found = half("resnet18", 0.01)
    assert not found.fits and found.plan == found.least
    assert memory < found.after.peak_bytes == training(graph, options, found.plan).peak_bytes < found.before.peak_bytes


def test_plans_on_cuda_fit_by_its_allocator() -> None:
    graph, options, memory, found = half("mobilenet_v2", 0.6, "cuda")
    assert found.fits and training(graph, options, found.plan).fits(memory) and not found.before.fits(memory)


@pytest.mark.parametrize(
    ("name", "part"), [("mobilenet_v2", 0.5), ("resnet18", 0.95), pytest.param("densenet121", 0.5, marks=pytest.mark.heavy)]
)
def test_the_real_step_has_the_planned_peak(name: str, part: float) -> None:
    torch = pytest.importorskip("torch")
    from tests.helpers.allocations import recorded

    graph, options, _, found = half(name, part)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    module = archc.build(graph, checkpoint=found.plan)
    inputs, classes = torch.randn(options.batch, 3, 64, 64), torch.zeros(options.batch, dtype=torch.int64)
    optimizer, names = torch.optim.SGD(module.parameters(), 0.01, foreach=False), {}

    def step() -> None:
        names["out"] = module(inputs)
        names["loss"] = torch.nn.functional.cross_entropy(names["out"], classes)
        names["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    real = recorded(step)
    torch.set_num_threads(threads)
    there = [*module.parameters(), *module.buffers(), inputs, classes]
    assert found.plan.regions and found.after.peak_bytes == real.peak + sum(one.untyped_storage().nbytes() for one in there)
