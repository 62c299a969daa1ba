"""Findings of the rules: at single layers, and folded over the layers that were written at one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, field

from archc.analysis.checks.lint.net import NOTHING, Cost, Net, Plan
from archc.graph import Node
from archc.text.diagnostics import Diagnostic, Use
from archc.text.names import fold_names
from archc.text.quantity import bytes_text, short
from archc.text.source import Source, Span

WARNING, NOTE = "warning", "note"

MOST_WORK = 200_000  # layers that are analysed to tell costs; each place takes all layers once

# A code never changes its meaning. What each means at length, and what to do, is in docs/lint.md.
CODES = {
    "L101": "a layer in place that saves nothing",
    "L102": "a layer in place with which PyTorch refuses to train",
    "L103": "a layer that would save a map in place",
    "L104": "dropout in place, whose mask is four times as large on CUDA",
    "L105": "local response normalization keeps four maps",
    "L106": "one token is taken, all are kept",
    "L107": "a bias that the next normalization removes",
    "L108": "channels that leave tensor cores idle",
    "L109": "a layer whose output is not used",
    "L110": "only an average pool keeps its input",
    "L111": "average pooling after a 1x1 convolution",
    "L112": "two normalizations in a row",
    "L113": "an activation that changes nothing",
    "L114": "an activation before max pooling",
    "L115": "dropout before batch normalization",
    "L116": "a softmax at the end",
    "L117": "a window that skips positions",
    "L118": "a window that leaves out the last rows",
    "L119": "two activations in a row",
    "L120": "a normalization over one value, with which PyTorch refuses to train",
    "L121": "a layer that does not state what backward keeps",
}
LEVELS = {code: WARNING if code in ("L101", "L102", "L104", "L107", "L109", "L112", "L113") else NOTE for code in CODES}


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule met at one layer. `argument` is where it was decided, if that was written.

    plan: how it would be otherwise (see Net.difference); `cost` is what the plan does not show
    """

    code: str
    _: KW_ONLY
    node: Node
    message: str
    remedy: str
    argument: str = ""
    plan: Plan = field(default_factory=dict)
    cost: Cost = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Equal hits of one place. `layers` are those that it is about, in their order."""

    code: str
    level: str
    layers: tuple[Node, ...]
    message: str
    remedy: str
    cost: Cost
    batch: int
    span: Span
    uses: tuple[Use, ...]

    def diagnostic(self) -> Diagnostic:
        """The finding as it is drawn."""
        message = f"{self.message}; costs {text}" if (text := told_cost(self.cost, self.batch)) else self.message
        return Diagnostic(self.code, f"{_layer_names(self.layers)}: {message}", self.span, self.remedy, self.uses, self.level)


def _layer_names(layers: tuple[Node, ...], widest: int = 100) -> str:
    """The layers in few words: `layer{2-4}.0.downsample.0 (×3)`."""
    if len(layers) == 1:
        return layers[0].name
    names = fold_names(node.name for node in layers)
    shown: list[str] = []
    while names and len(", ".join([*shown, names[0]])) <= widest:
        shown.append(names.pop(0))
    return f"{', '.join([*(shown or [layers[0].name]), *(['…'] if names else [])])} (×{len(layers)})"


def told_cost(cost: Cost, batch: int) -> str:
    """`4,224 parameters, 12.3 MiB kept for backward at batch 64`; nothing where it costs nothing."""
    scaled = (
        (cost.kept, f"{bytes_text(cost.kept)} kept for backward"),
        (cost.copied, f"{bytes_text(cost.copied)} copied"),
        (cost.cuda, f"{bytes_text(cost.cuda)} more on CUDA"),
        (cost.macs, f"{short(cost.macs)} MACs"),
        (cost.flops if not cost.macs else 0, f"{short(cost.flops)} FLOPs"),
    )
    costs = ", ".join(text for value, text in scaled if value > 0)
    costs += (" an image" if batch == 1 else f" at batch {batch}") if costs else ""
    return ", ".join(part for part in (f"{cost.parameters:,} parameters" if cost.parameters > 0 else "", costs) if part)


def fold(net: Net, hits: Iterable[Hit]) -> Iterator[Finding]:
    """Hits of one place and message as one, with what they cost together, as far as MOST_WORK reaches."""
    most = max(1, MOST_WORK // max(1, len(net.graph.nodes)))
    groups: dict[tuple[str, Span, str, str], list[Hit]] = {}
    for hit in hits:
        groups.setdefault((hit.code, _place(net, hit), hit.message, hit.remedy), []).append(hit)
    for at, ((code, span, message, remedy), same) in enumerate(groups.items()):
        plan = {node: steps for hit in same for node, steps in hit.plan.items()}
        cost = net.difference(plan) if plan and at < most else NOTHING
        for hit in same:
            cost = cost.plus(hit.cost)
        written = same[0].node.written
        uses = written.uses if written is not None else ()
        yield Finding(
            code=code,
            level=LEVELS[code],
            layers=tuple(hit.node for hit in same),
            message=message,
            remedy=remedy,
            cost=cost,
            batch=net.batch,
            span=span,
            uses=uses,
        )


def _place(net: Net, hit: Hit) -> Span:
    """Where it was decided; a layer that no one wrote, of a graph made in Python, is its name."""
    written = hit.node.written
    if written is None:
        return Span(Source(net.graph.name, hit.node.name), 0, len(hit.node.name))
    return written.arguments.get(hit.argument, (written.kind, ""))[0]
