"""Laws that hold of every network: drawn at random, compared with brute force or with themselves written otherwise."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from archc.analysis.cost.report import analyze
from archc.analysis.cost.rows import fold_rows, layer_rows, scope_rows
from archc.elaborate.compiler import compile_text
from archc.graph import Graph
from archc.graph.write_spec import resolve_text
from archc.text.diagnostics import draw

RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=4000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))


def graph_of(text: str) -> Graph:
    model = compile_text(text)
    assert model.graph is not None, "\n".join(draw(one) for one in model.diagnostics) + "\n" + text
    return model.graph


def same(a: Graph, b: Graph, names: bool = True) -> bool:
    """Whether two graphs are equal, up to names if so asked."""

    def form(graph: Graph) -> list[object]:
        place = {id(node): i for i, node in enumerate(graph.nodes)}
        return [
            (
                node.name if names else "",
                node.kind,
                node.args,
                [(place[id(v.node)] if v.node else v.name, v.index) for v in node.inputs],
                node.facts.outputs,
                node.facts.macs,
                node.facts.work,
                node.train_only,
                place[id(node.shared)] if node.shared else None,
            )
            for node in graph.nodes
        ]

    return form(a) == form(b) and [v.shape for v in a.outputs.values()] == [v.shape for v in b.outputs.values()]


def families(inner: list[str], depth: int) -> list[str]:
    """Copies side by side, collected in every way; copies within the branches of merges; chains that read their own input."""
    chain, row, when = "[" + ", ".join(inner) + "]", f"i{depth}", f"'${{i{depth} != 2}}'"
    named = f"'b${{{row}}}': {{for: {{{row}: [1, 2, 10]}}, from: chain_input, parallel: true, when: {when}, layers: {chain}}}"
    return [
        f"[{{for: {{{row}: [1, 2, 3]}}, parallel: true, repeat: 2, layers: {chain}}}, concat]",
        f"[{{for: {{{row}: [1, 2, 3]}}, parallel: true, inline: {chain}}}, concat]",
        f"[{{repeat: 2, parallel: true, when: '${{not first}}', layers: {chain}}}, concat]",
        f"{{layers: {{t: relu, {named}, c: {{from: [t, 'b*'], concat: }}}}}}",
        f"{{layers: {{t: relu, b: {{for: {{{row}: [1, 2]}}, parallel: true, layers: {chain}}}, c: {{from: [t, b.*], concat: }}}}}}",
        f"{{concat: [identity, {{for: {{{row}: [1, 2]}}, repeat: 2, when: {when}, layers: {chain}}}, {{repeat: 2, inline: {chain}}}]}}",
        f"{{layers: {{c: {{concat: {{'b${{{row}}}': {{for: {{{row}: [1, 2]}}, layers: {chain}}}, skip: identity}}}}}}}}",
        f"{{concat: [{{train_only: true, layers: {chain}}}, {{inline: [relu, {{from: chain_input, train_only: true, relu: }}, relu]}}]}}",
        f"{{repeat: 2, layers: {{body: {chain}, c: {{from: [body, chain_input], concat: }}}}}}",
    ]


@st.composite
def entries(draw: st.DrawFn, depth: int = 0) -> str:
    """An entry in flow style that keeps the spatial size, so that entries follow in any order."""
    simple = [
        "relu",
        "batchnorm",
        "{leaky_relu: 0.2}",
        "{dropout: 0.1}",
        f"{{conv: {{channels: {draw(st.sampled_from([4, 8, 12]))}, kernel: {draw(st.sampled_from([1, 3, 5]))}, padding: same,"
        f" bias: {draw(st.sampled_from(['true', 'false']))}, groups: {draw(st.sampled_from([1, 2, 4]))},"
        f" dilation: {draw(st.integers(1, 2))}}}}}",
        "{conv: {channels: 8, kernel: 3, padding: same, groups: depthwise}}",
        "{conv_bn_act: {channels: 8, kernel: 3}}",
    ]
    if depth >= 3:
        return draw(st.sampled_from(simple))
    inner = draw(st.lists(entries(depth + 1), min_size=1, max_size=3))
    chain = "[" + ", ".join(inner) + "]"
    grouped = [
        chain,
        f"{{repeat: {draw(st.integers(0, 3))}, layers: {chain}}}",
        f"{{repeat: {draw(st.integers(1, 2))}, inline: {chain}}}",
        f"{{concat: [{chain}, identity]}}",
        f"{{add: [[{', '.join(inner)}, {{conv: 4}}], {{conv: 4}}]}}",
        f"{{when: {draw(st.sampled_from(['true', 'false']))}, layers: {chain}}}",
        f"{{train_only: true, layers: {chain}}}",
        "{for: [{c: 4}, {c: 8}], conv: $c}" if depth == 0 else "relu",
        *families(inner, depth),
    ]
    return draw(st.sampled_from([*simple, *grouped]))


@st.composite
def specs(draw: st.DrawFn) -> str:
    size = draw(st.integers(3, 9))
    shape = [4, *[size] * draw(st.integers(1, 3))]
    body = draw(st.lists(entries(), min_size=1, max_size=5))
    share = "  - {share: 0}\n" if draw(st.booleans()) else ""
    return f"input: {shape}\nlayers:\n  - {{conv: {{channels: 4, kernel: 1}}}}\n{share}" + "".join(f"  - {entry}\n" for entry in body)


def nested(tree: object, inside: bool = False) -> bool:
    """Whether there is an entry for training alone within another: what goes on from before it is not always written so (known)."""
    if isinstance(tree, dict):
        own = tree.get("train_only") is True
        return (own and inside) or any(nested(one, inside or own) for one in tree.values())
    return isinstance(tree, list) and any(nested(one, inside) for one in tree)


def written_out_and_back(text: str) -> None:
    assume(not nested(yaml.safe_load(text)))
    model = compile_text(text)
    assume(model.graph is not None)
    assert model.graph is not None and model.spec is not None
    assert same(model.graph, graph_of(resolve_text(model.graph, model.spec, {})))


@RELAXED
@given(specs())
def test_a_spec_written_out_and_read_back_is_the_same_graph(text: str) -> None:
    written_out_and_back(text)


@RELAXED
@given(specs())
def test_the_same_text_twice_is_the_same_graph(text: str) -> None:
    model = compile_text(text)
    assume(model.graph is not None)
    assert model.graph is not None and same(model.graph, graph_of(text))


@RELAXED
@given(specs())
def test_sums(text: str) -> None:
    """Totals are the sums of layers, however the layers are grouped; parameters are those of the weights, one by one."""
    model = compile_text(text)
    assume(model.graph is not None)
    assert model.graph is not None
    report = analyze(model.graph.deployed())
    weights = [w for node in report.graph.nodes if node.shared is None for w in node.facts.owned if w.role != "buffer"]
    assert report.parameters == sum(math.prod(w.shape) for w in weights)
    for rows in (layer_rows(report), fold_rows(report), *(scope_rows(report, depth) for depth in (1, 2, 3))):
        for key, total in (("macs", report.macs), ("flops", report.flops), ("parameters", report.parameters)):
            assert sum(row.times * row.counts[key].low for row in rows) == total
        assert sum(row.times * row.activations for row in rows) == report.activations


@RELAXED
@given(st.integers(1, 5), st.lists(entries(2), min_size=1, max_size=3))
def test_repeat_is_so_many_times_one(times: int, body: list[str]) -> None:
    head, chain = "input: [4, 7, 7]\nlayers:\n", "[" + ", ".join(body) + "]"
    once = compile_text(f"{head}  - {{repeat: {times}, layers: {chain}}}\n")
    assume(once.graph is not None)
    assert once.graph is not None
    assert same(once.graph, graph_of(head + f"  - {chain}\n" * times))
    flat = graph_of(f"{head}  - {{repeat: {times}, inline: {chain}}}\n")
    assert same(flat, graph_of(head + "".join(f"  - {entry}\n" for entry in body * times)))
    assert same(flat, once.graph, names=False)


@st.composite
def fans(draw: st.DrawFn) -> tuple[str, list[list[int]]]:
    """Rows of copies, each with how often it is there, and the modifiers that say so."""
    rows = draw(st.lists(st.lists(st.integers(1, 3), min_size=0, max_size=2), min_size=1, max_size=12))
    return draw(st.sampled_from(["list", "named", "grouped", "merge", "merge named"])), rows


@RELAXED
@given(fans())
def test_branches_are_those_written_by_hand(fan: tuple[str, list[list[int]]]) -> None:
    """A family of `for`, `repeat` and `when` is the same network as its branches written one by one, in that order."""
    form, rows = fan
    there = [row for row in rows if row]
    bound = f"for: {{i: {list(range(len(rows)))}, n: {[len(row) for row in rows]}}}, when: '${{n > 0}}', repeat: $n"
    copies = f"{bound}, from: trunk, conv: '${{n + 3}}'"
    hand = ", ".join("{from: trunk, layers: [" + ", ".join(f"{{conv: {len(row) + 3}}}" for _ in row) + "]}" for row in there)
    head = "input: [4, 5, 5]\nlayers:\n  trunk: {conv: 8}\n  other: relu\n"
    written = {
        "list": f"  all: {{layers: [{{{copies}, parallel: true}}, concat]}}\n",
        "named": f"  b${{i}}: {{{copies}, parallel: true}}\n  all: {{from: 'b*', concat: }}\n",
        "grouped": f"  b: {{{copies}, parallel: true}}\n  all: {{from: b, concat: }}\n",
        "merge": f"  all: {{concat: [{{{copies}}}]}}\n",
        "merge named": f"  all: {{concat: {{'b${{i}}': {{{copies}}}}}}}\n",
    }[form]
    assume(len(there) > 1)
    assert same(graph_of(head + written), graph_of(f"{head}  all: {{concat: [{hand}]}}\n"), names=False)


@RELAXED
@given(
    st.permutations(["channels: 8", "kernel: 3", "padding: 1", "stride: 2"]),
    st.permutations(["archc: 1", "input: [4, 9, 9]", "params: {a: 1}", "name: n"]),
)
def test_the_order_of_keys_does_not_matter(arguments: list[str], top: list[str]) -> None:
    def spec(arguments: list[str], top: list[str]) -> str:
        return "\n".join([*top, "layers:", f"  c: {{conv: {{{', '.join(arguments)}}}}}", "  r: relu", ""])

    assert same(graph_of(spec(arguments, top)), graph_of(spec(sorted(arguments), sorted(top))))


@RELAXED
@given(st.integers(1, 64), st.integers(1, 64))
def test_set_is_the_same_as_writing_it(default: int, value: int) -> None:
    text = "input: [4, 9, 9]\nparams: {{width: {}}}\nlayers: [{{conv: $width}}]\n"
    changed = compile_text(text.format(default), {"width": str(value)}).graph
    assert changed is not None and same(changed, graph_of(text.format(value)))


WINDOWS = st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3))


@RELAXED
@given(WINDOWS)
def test_output_sizes_by_counting_windows(window: tuple[int, int, int, int, int]) -> None:
    """A window fits where all its taps lie on the padded axis: try every place."""
    size, kernel, stride, padding, dilation = window
    padded = size + 2 * padding
    places = [at for at in range(0, padded, stride) if at + dilation * (kernel - 1) < padded]
    arguments = f"kernel: {kernel}, stride: {stride}, padding: {padding}, dilation: {dilation}"
    model = compile_text(f"input: [2, {size}]\nlayers: [{{conv: {{channels: 3, {arguments}}}}}]\n")
    assert (model.graph is None) == (not places)
    if model.graph is not None:
        assert tuple(model.graph.nodes[0].output.shape) == (3, len(places))
        assert model.graph.nodes[0].facts.macs == len(places) * kernel * 2 * 3


@RELAXED
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)), min_size=1, max_size=5))
def test_receptive_fields_by_following_every_tap(layers: list[tuple[int, int, int, int]]) -> None:
    entries = [f"{{conv: {{channels: 1, kernel: {k}, stride: {s}, padding: {p}, dilation: {d}}}}}" for k, s, p, d in layers]
    model = compile_text(f"input: [1, 400]\nlayers: [{', '.join(entries)}]\n")
    assume(model.graph is not None)
    assert model.graph is not None
    seen = {0}
    for k, s, p, d in reversed(layers):
        seen = {i * s - p + tap * d for i in seen for tap in range(k)}
    (field,) = analyze(model.graph).layers[-1].field.axes
    assert (*field.span(0), field.jump) == (min(seen), max(seen), math.prod(s for _, s, _, _ in layers))


@pytest.mark.heavy
@pytest.mark.timeout(3000)
@LONG
@given(specs())
def test_written_out_and_back_at_length(text: str) -> None:
    written_out_and_back(text)
