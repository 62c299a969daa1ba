"""Where a bottleneck has its stride: the difference between 3.8 and 4.1 G for ResNet-50."""

from __future__ import annotations

from collections.abc import Iterable

from archc.analysis.compare.conventions.form import Form
from archc.graph import Node
from archc.ops.shape import product

BETWEEN = ("BatchNorm", "ReLU")


def strides(forms: list[Form]) -> Iterable[str]:
    """A note where 3x3 convolutions have a stride that the paper of 2015 gives to the 1x1 convolution before."""
    by_node = {form.node: form for form in forms}
    pairs = [(before, form) for form in forms if (before := _reducing(form, by_node))]
    if not pairs:
        return
    saved = sum(before.macs - before.macs // product(form.on_axes("stride", 1)) for before, form in pairs)
    macs = sum(form.macs for form in forms)
    yield (
        f"the stride of {len(pairs)} bottlenecks is on the 3x3 convolution (v1.5, {macs / 1e9:.2f} G);"
        f" on the 1x1 before it, as in the first ResNets, it is {(macs - saved) / 1e9:.2f} G"
    )


def _reducing(form: Form, by_node: dict[Node, Form]) -> Form | None:
    """The 1x1 convolution before a 3x3 one with a stride."""
    if form.family != "Conv" or form.groups > 1 or set(_kernel(form)) != {3} or product(form.on_axes("stride", 1)) == 1:
        return None
    node = form.node.inputs[0].node
    while node in by_node and by_node[node].family in BETWEEN:
        node = node.inputs[0].node
    before = by_node.get(node) if node else None
    if before is None or before.family != "Conv" or set(_kernel(before)) != {1} or product(before.on_axes("stride", 1)) > 1:
        return None
    return before


def _kernel(form: Form) -> tuple[int, ...]:
    return form.node.facts.owned[0].shape[2:]
