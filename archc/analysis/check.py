"""`expect` and `budget`: promises and limits compared with what came out."""

from __future__ import annotations

import re
from typing import Any

from archc.analysis.budget import over
from archc.analysis.cost import Layer, analyze, totals
from archc.analysis.count import Count
from archc.graph import Graph, Promise
from archc.signature import shown
from archc.text.diagnostics import Diagnostic

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_BOUND = re.compile(
    r"\s*(?P<sign><=|>=|<|>|==)?\s*(?P<number>[0-9][0-9_,]*(?:\.[0-9]+)?)\s*(?P<unit>[kKmMgGbBtT]?)\s*"
    r"(?:(?:\+-|±|\+/-)\s*(?P<slack>[0-9]+(?:\.[0-9]+)?)\s*(?P<percent>%?)\s*(?P<slack_unit>[kKmMgGbBtT]?))?\s*\Z"
)
_COUNTED = ("parameters", "weights", "biases", "macs", "flops", "activations")


def check(graph: Graph) -> list[Diagnostic]:
    """The promises of a spec that are not kept, and the limits that are passed."""
    return [*_unkept(graph), *over(graph)]


def _unkept(graph: Graph) -> list[Diagnostic]:
    if not graph.promises:
        return []
    layers = {id(layer.node): layer for layer in analyze(graph).layers}
    return [found for promise in graph.promises if (found := _broken(graph, promise, layers)) is not None]


def _broken(graph: Graph, promise: Promise, layers: dict[int, Layer]) -> Diagnostic | None:
    if promise.metric in ("shape", "channels"):
        shape = promise.value.shape if promise.value is not None else ()
        actual: Any = list(shape) if promise.metric == "shape" else shape[0] if shape else None
        kept, told = promise.wanted == actual, shown(actual)
    elif promise.metric not in _COUNTED:
        return None
    else:
        counted = totals(_of(graph, promise, layers))[promise.metric]
        interval = _interval(promise.wanted)
        if interval is None:
            hint = 'a number, or "<= 5M", ">= 1M", "15.5G +- 1%", "4.1G"'
            return Diagnostic("A402", f"{promise.metric}: {shown(promise.wanted)} is no figure", promise.span, hint, promise.uses)
        kept = counted.low >= interval[0] and counted.high is not None and counted.high <= interval[1]
        told = _told(counted, promise.wanted)
    if kept:
        return None
    where = "" if promise.nodes is None else " here"
    return Diagnostic(
        "A801", f"{promise.metric}{where}: promised {_figure(promise.wanted)}, but it is {told}", promise.span, None, promise.uses
    )


def _of(graph: Graph, promise: Promise, layers: dict[int, Layer]) -> list[Layer]:
    """The layers that a promise speaks of: the deployed ones, unless it stands in a part for training alone."""
    nodes = graph.nodes if promise.nodes is None else graph.nodes[promise.nodes[0] : promise.nodes[1]]
    deployed = [node for node in nodes if not node.train_only]
    return [layers[id(node)] for node in (deployed or nodes)]


def _interval(wanted: Any) -> tuple[float, float] | None:
    """The lowest and highest figure that keeps a promise."""
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return wanted, wanted
    match = _BOUND.match(wanted) if isinstance(wanted, str) else None
    if match is None:
        return None
    digits = match["number"].replace("_", "").replace(",", "")
    scale = _UNITS[match["unit"].lower()]
    number = round(float(digits) * scale, 6)
    if match["slack"]:
        slack = float(match["slack"]) * (number / 100 if match["percent"] else _UNITS[match["slack_unit"].lower()])
        return number - slack, number + slack
    sign = match["sign"]
    if sign in ("<=", "<"):
        return 0, number if sign == "<=" else number - 1
    if sign in (">=", ">"):
        return number if sign == ">=" else number + 1, float("inf")
    if scale == 1:
        return number, number
    half = scale * 10.0 ** -len(digits.partition(".")[2]) / 2  # `4.1G`: what rounds to it
    return number - half, number + half


def _told(counted: Count, wanted: Any) -> str:
    if counted.high is None:
        return f"at least {counted.low:,}; a layer states no figure"
    told = f"{counted.low:,}"
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        told += f" ({counted.low - wanted:+,})"
    return told


def _figure(wanted: Any) -> str:
    return (
        f"{wanted:,}"
        if isinstance(wanted, int) and not isinstance(wanted, bool)
        else str(wanted)
        if isinstance(wanted, str)
        else shown(wanted)
    )
