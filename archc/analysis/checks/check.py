"""A network held against its spec: promises of `expect`, limits of `budget`, weights and outputs that nothing leads to or from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from archc.analysis.cost.count import Count
from archc.analysis.cost.report import Layer, Report, analyze, totals
from archc.graph import Graph, Node, Promise
from archc.graph.structure import ancestors, dead_ends, dead_weights
from archc.language.budget import MEMORY, Limit
from archc.signature import shown
from archc.text.diagnostics import Diagnostic, Use
from archc.text.names import fold_names
from archc.text.quantity import Quantity, bytes_text, counted, read
from archc.text.source import Source, Span
from archc.text.suggest import did_you_mean

if TYPE_CHECKING:
    from archc.analysis.memory.timeline import Timeline


_COUNTED = ("parameters", "weights", "biases", "macs", "flops", "activations")


def check(graph: Graph) -> list[Diagnostic]:
    """What is not as the spec expects: promises, limits, weights that reach no output, outputs that are inputs.

    A promise that was made of another network, which the spec extends and changes, is dropped with a note.
    """
    found = [(promise, told) for promise, told in _actual_values(graph) if told is not None]
    inherited: dict[Span, list[tuple[Promise, Actual]]] = {}
    unkept = []
    for promise, told in found:
        if promise.heir is None or told.wrong is not None:
            unkept.append(told.wrong or _unkept(promise, told))
        else:
            inherited.setdefault(promise.heir, []).append((promise, told))
    notes = [_drop_promises(graph, heir, several) for heir, several in inherited.items()]
    broken = [promise for promise, _ in found]
    return [*unkept, *over(graph), *idle(graph, [kept for kept in graph.promises if kept not in broken]), *notes]


class Actual(NamedTuple):
    """What is there in the place of what was promised; `wrong`: the promise cannot be read."""

    text: str
    value: object = None
    wrong: Diagnostic | None = None


def _actual_values(graph: Graph) -> Iterator[tuple[Promise, Actual | None]]:
    """Each promise, with what is there where it is not kept."""
    if not graph.promises:
        return
    layers = {id(layer.node): layer for layer in analyze(graph).layers}
    dead = dead_weights(graph) if any(promise.metric == "unused" for promise in graph.promises) else {}
    for promise in graph.promises:
        yield promise, _actual_of(graph, promise, layers, dead)


def _actual_of(graph: Graph, promise: Promise, layers: dict[int, Layer], dead: dict[Node, int]) -> Actual | None:
    if promise.metric in ("shape", "channels"):
        shape = promise.value.shape if promise.value is not None else ()
        actual: Any = list(shape) if promise.metric == "shape" else shape[0] if shape else None
        return None if promise.wanted == actual else Actual(shown(actual), actual)
    if promise.metric == "unused":
        unused = sum(dead.get(node, 0) for node in nodes_of(graph, promise))
        counted = Count(unused, unused)
    elif promise.metric in _COUNTED:
        counted = totals(_of(graph, promise, layers))[promise.metric]
    else:
        return None
    bound = _bound(promise.wanted)
    if bound is None:
        hint = 'a number, or "<= 5M", ">= 1M", "15.5G +- 1%", "4.1G"'
        message = f"{promise.metric}: {shown(promise.wanted)}is not a figure"
        return Actual("", wrong=Diagnostic("A402", message, promise.span, hint, promise.uses))
    if counted.high is not None and bound.allows(counted.low, counted.high):
        return None
    return Actual(_count_text(counted, promise.wanted), counted.low)


def _unkept(promise: Promise, told: Actual) -> Diagnostic:
    where = "" if promise.nodes is None else " here"
    message = f"{promise.metric}{where}: promised {_figure(promise.wanted)}, but it is {told.text}"
    return Diagnostic("A801", message, promise.span, None, promise.uses)


def _drop_promises(graph: Graph, heir: Span, several: list[tuple[Promise, Actual]]) -> Diagnostic:
    """What a spec does not keep of the promises of the network that it extends, and how it makes its own."""
    of_the_network = [(promise, told) for promise, told in several if promise.nodes is None]
    parts = len(several) - len(of_the_network)
    named = [f"{promise.metric} {_figure(promise.wanted)}" for promise, _ in of_the_network]
    if parts:
        named.append(f"{parts} of its layers" if parts > 1 else "one of a layer")
    message = f"promises of {heir.text} do not hold after the changes made here, and are dropped: {', '.join(named)}"
    own = ", ".join(f"{promise.metric}: {_written(told.value)}" for promise, told in of_the_network)
    hint = f"for the new figures, write expect: {{{own}}}; for no promise, expect: null" if own else "for no promise, write expect: null"
    return Diagnostic("A801", message, heir, hint, (), "note")


def _written(value: object) -> str:
    return f"{value:_}" if isinstance(value, int) else shown(value)


def nodes_of(graph: Graph, promise: Promise) -> list[Node]:
    """The layers that a promise speaks of, those for training alone too."""
    return graph.nodes if promise.nodes is None else graph.nodes[promise.nodes[0] : promise.nodes[1]]


def idle(graph: Graph, kept: list[Promise]) -> Iterator[Diagnostic]:
    """A803 and A804. Weights of which a promise that is kept says that they are `unused` are no mistake."""
    dead = dead_weights(graph)
    meant = {node for promise in kept if promise.metric == "unused" for node in nodes_of(graph, promise)}
    left = {node: values for node, values in dead.items() if node not in meant}
    for name, (span, hint, uses) in graph.passed_on.items():
        source = graph.outputs[name].name
        message = f'the output "{name}" is the input "{source}": no layer leads to it' if name != source else f'no layer leads to "{name}"'
        message += f", and no output depends on {counted(sum(left.values()), 'learned value')}" if left else ""
        yield Diagnostic("A804", message, span, hint, uses)
    if graph.passed_on:  # that weights lead nowhere only follows from it
        return
    ends = dead_ends(graph, ancestors(graph.outputs.values()))
    places: dict[tuple[Span, tuple[Use, ...]], list[Node]] = {}
    for node in left:
        end = ends[node][0]
        written = end.written
        place = (written.kind, written.uses) if written is not None else (Span(Source(graph.name, end.name), 0, len(end.name)), ())
        places.setdefault(place, []).append(node)
    for (span, uses), nodes in places.items():
        values = sum(left[node] for node in nodes)
        names = fold_names(node.name for node in nodes)
        shown_names = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        message = f"{counted(values, 'learned value')} {'leads' if values == 1 else 'lead'} to no output: {shown_names}"
        hint = "read this with `from`, name it in `outputs`, or remove it; " + (
            "`train_only: true` if only training needs it"
            if any(ends[node][0].train_only for node in nodes)
            else f"`expect: {{unused: {values:_}}}` beside it if this is meant"
        )
        yield Diagnostic("A803", message, span, hint, uses)


def _of(graph: Graph, promise: Promise, layers: dict[int, Layer]) -> list[Layer]:
    """The layers that a promise speaks of: the deployed ones, unless it stands in a part for training alone."""
    nodes = nodes_of(graph, promise)
    deployed = [node for node in nodes if not node.train_only]
    return [layers[id(node)] for node in (deployed or nodes)]


def _bound(wanted: Any) -> Quantity | None:
    """What keeps a promise."""
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return Quantity("==", wanted, 0)
    return read(wanted) if isinstance(wanted, str) else None


def _count_text(counted: Count, wanted: Any) -> str:
    if counted.high is None:
        return f"at least {counted.low:,}; a layer states no figure"
    count_text = f"{counted.low:,}"
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        count_text += f" ({counted.low - wanted:+,})"
    return count_text


def _figure(wanted: Any) -> str:
    return (
        f"{wanted:,}"
        if isinstance(wanted, int) and not isinstance(wanted, bool)
        else str(wanted)
        if isinstance(wanted, str)
        else shown(wanted)
    )


OVER = "A802"
_EXACT = 10_000  # counts up to here are told in full alone


def over(graph: Graph) -> list[Diagnostic]:
    """The limits of a spec's budget that are not kept. Counts are of the deployed network, memory of the one that is trained."""
    if not graph.budget:
        return []
    report = analyze(graph.deployed()) if any(limit.figure != MEMORY for limit in graph.budget) else None
    return [found for limit in graph.budget if (found := _broken(graph, limit, report)) is not None]


def _broken(graph: Graph, limit: Limit, report: Report | None) -> Diagnostic | None:
    if limit.figure == MEMORY:
        return _memory(graph, limit)
    assert report is not None
    counted = report.counts[limit.figure]
    if limit.allows(counted.low, counted.high):
        return None
    return _limit_text(limit, counted, f"{counted.low:,}", f"{abs(_beyond(limit, counted.low)):,.0f}")


def _memory(graph: Graph, limit: Limit) -> Diagnostic | None:
    from archc.catalog.optimizers import OPTIMIZERS

    if limit.optimizer not in OPTIMIZERS:
        hint = did_you_mean(limit.optimizer, OPTIMIZERS) or f"there are {', '.join(OPTIMIZERS)}"
        return Diagnostic("A402", f'{limit.figure}: no optimizer is called "{limit.optimizer}"', limit.span, hint)
    found = train_memory(graph, limit)
    peak = found.peak_bytes
    counted = Count(peak, None if found.bound.status == "at least" else peak)
    if limit.allows(counted.low, counted.high):
        return None
    return _limit_text(limit, counted, found.amount_text(peak), bytes_text(abs(round(_beyond(limit, peak)))))


def train_memory(graph: Graph, limit: Limit) -> Timeline:
    """The training step on CUDA, as tensors ask for memory: without workspaces and the allocator's rounding.

    `amp` is autocast to bfloat16, an estimate.
    """
    from archc.analysis.memory.timeline import Options, training

    options = Options(limit.batch, optimizer=limit.optimizer, device="cuda", amp="bfloat16" if limit.amp else "")
    return training(graph, options)


def _beyond(limit: Limit, value: float) -> float:
    return value - limit.value


def _limit_text(limit: Limit, counted: Count, actual: str, by: str) -> Diagnostic:
    """`parameters: the budget is <= 5M, but it is 11,689,512: 6,689,512 (133.8%) over`."""
    wanted = f"{limit.figure}: the budget is {limit.text}"
    if counted.high is None and limit.allows(counted.low, counted.low):
        return Diagnostic(OVER, f"{wanted}, but it is at least {actual.lstrip('≥')}; a layer states no figure", limit.span)
    beyond = _beyond(limit, counted.low)
    part = f" ({abs(beyond) / limit.value:.1%})" if abs(beyond) < 10 * limit.value else ""
    far = f": {by}{part} {'over' if beyond > 0 else 'under'}" if beyond else ""
    return Diagnostic(OVER, f"{wanted}, but it is {actual}{far}", limit.span, "change the network, or the budget")
