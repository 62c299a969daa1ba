"""What the rules of training in PyTorch say of a network: each finding at its place, with what it costs here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from archc.analysis.checks.lint import memory, order, shapes
from archc.analysis.checks.lint.finding import CODES, LEVELS, NOTE, WARNING, Finding, Hit, fold
from archc.analysis.checks.lint.net import Cost, Net
from archc.graph import Graph
from archc.graph.graph import growing

__all__ = ["CODES", "LEVELS", "NOTE", "WARNING", "Cost", "Finding", "lint"]

RULES: tuple[Callable[[Net], Iterator[Hit]], ...] = (
    memory.inplace_saves_nothing,
    memory.clashing,
    memory.could_be_inplace,
    memory.dropout_inplace,
    memory.response_norm,
    memory.token_keeps_all,
    memory.average_keeps_input,
    memory.unstated,
    order.bias_before_norm,
    order.mean_after_conv,
    order.norms_in_a_row,
    order.activations_in_a_row,
    order.activation_before_pool,
    order.dropout_before_norm,
    order.softmax_at_the_end,
    order.one_value,
    shapes.idle_tensor_cores,
    shapes.unused,
    shapes.skipping,
    shapes.dropped,
)
SMALL = 0.01  # of what the whole network keeps or computes; advice about less is not worth reading
_BY_SIZE = ("L103", "L105", "L106", "L108", "L110", "L111")


def lint(graph: Graph, batch: int = 1, ignore: Collection[str] = ()) -> list[Finding]:
    """The findings in the network as it is for training, in the order of its layers. Costs are for `batch` images in float32."""
    with growing():
        return _found(graph, batch, ignore)


def _found(graph: Graph, batch: int, ignore: Collection[str]) -> list[Finding]:
    net = Net(graph, batch)
    hits = [hit for rule in RULES for hit in rule(net)]
    found = [finding for finding in fold(net, (hit for hit in hits if hit.code not in ignore)) if _matters(net, finding)]
    return sorted(found, key=lambda finding: (finding.level != WARNING, graph.positions[finding.layers[0]], finding.code))


def _matters(net: Net, finding: Finding) -> bool:
    if finding.code not in _BY_SIZE:
        return True
    return finding.cost.kept > SMALL * net.saved.total or finding.cost.macs > SMALL * net.macs * net.batch
