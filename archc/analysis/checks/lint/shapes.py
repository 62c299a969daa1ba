"""Rules on sizes: what is computed for nothing, what is never read."""

from __future__ import annotations

from collections.abc import Iterator

from archc.analysis.checks.lint.finding import Hit
from archc.analysis.checks.lint.net import Cost, Net, Plan, argument
from archc.analysis.cost.count import count, flops
from archc.graph import Node, Value
from archc.graph.structure import ancestors, dead_ends, view_base
from archc.ops.facts import INPLACE
from archc.ops.shape import product
from archc.ops.window import Window

_TILE = 8  # values of f16 or bf16 that tensor cores take at a time (NVIDIA, Matrix Multiplication Background)
_FEW = 4  # input channels up to here have kernels of their own, made for images
_WINDOWS = ("conv", "maxpool", "avgpool", "lppool")


def idle_tensor_cores(net: Net) -> Iterator[Hit]:
    """L108. The image's channels, the classes and layers in groups are left alone."""
    for node in net.graph.nodes:
        if node.kind not in ("conv", "linear") or argument(node, "groups") not in (None, 1):
            continue
        x, y = node.inputs[0], node.output
        sizes = (x.shape.features, y.shape.features) if node.kind == "linear" else (x.shape.channels, y.shape.channels)
        free = (_is_image(x) or sizes[0] <= _FEW, _comes_out(net, node))
        odd = [int(size) for size, let in zip(sizes, free, strict=True) if size % _TILE and not let]
        if odd:
            factor = product(size if let else -(-size // _TILE) * _TILE for size, let in zip(sizes, free, strict=True)) / product(sizes)
            wasted = Cost(macs=round(count(node.facts.macs).low * (factor - 1)) * net.batch)
            message = f"in f16 and bf16, tensor cores process channels in groups of {_TILE} and fill up with zeros"
            yield Hit(
                "L108",
                node=node,
                message=message,
                remedy=f"multiples of {_TILE}",
                argument="features" if node.kind == "linear" else "channels",
                cost=wasted,
            )


def _is_image(value: Value) -> bool:
    return view_base(value).node is None


def _comes_out(net: Net, node: Node) -> bool:
    """Whether its channels are those of what comes out: nothing with weights follows."""
    last: Node | None = node
    while last is not None:
        if any(value in net.ends for value in last.outputs):
            return True
        last = net.after(last)
        if last is not None and (last.facts.owned or len(last.inputs) > 1):
            return False
    return False


def unused(net: Net) -> Iterator[Hit]:
    """L109. What only leads there is in its cost."""
    written_over = [value for node in net.graph.nodes if node.facts.storage == INPLACE for value in node.outputs]
    ends = dead_ends(net.graph, ancestors([*net.ends, *written_over]))
    dead: dict[Node, list[Node]] = {}
    for node in net.graph.nodes:
        if node in ends and ends[node][1]:
            dead.setdefault(ends[node][0], []).append(node)
    for end, nodes in dead.items():
        nor = f", nor of {len(nodes) - 1} before it" if len(nodes) > 1 else ""
        plan: Plan = {node: [] for node in nodes}
        yield Hit(
            "L109",
            node=end,
            message=f"the output of {end.kind} is not used{nor}",
            remedy="remove it, or name it in `outputs`",
            plan=plan,
        )


def skipping(net: Net) -> Iterator[Hit]:
    """L117: a stride beyond the window. A pool over single positions is there to skip, and says so."""
    parts = {node: _part(window) for node in net.graph.nodes if (window := _window(node)) is not None}
    still_read = {value for value, users in net.users.items() if not _lost(net, value, {parts.get(user, 1) for user in users})}
    for node, part in parts.items():
        if part == 1 or (node.kind != "conv" and _single(node)):
            continue
        message = f"reads {_one_in(part)} of its input" + (", and nothing else reads the rest" if node.inputs[0] not in still_read else "")
        remedy = "a window as large as the stride" + (", or `avgpool` and stride 1, as ResNet-D" if node.kind == "conv" else "")
        yield Hit("L117", node=node, message=message, remedy=remedy, argument="stride")


def _single(node: Node) -> bool:
    window = _window(node)
    return window is not None and window.taps == 1


def _lost(net: Net, value: Value, parts: set[float]) -> bool:
    """Whether all that read a value skip alike. A layer that only moves values, as a border, computed nothing in vain."""
    if value in net.ends or value.node is None or not flops(value.node.facts.work).low:
        return False
    return len(parts) == 1 and parts != {1}


def _one_in(part: float) -> str:
    inverse = round(1 / part)
    return f"1 position in {inverse}" if abs(1 / part - inverse) < 1e-9 else f"{part:.0%} of the positions"


def dropped(net: Net) -> Iterator[Hit]:
    """L118: the last window ends before the map does."""
    for node in net.graph.nodes:
        window = _window(node)
        maker = node.inputs[0].node
        if window is None or _part(window) < 1 or (maker is not None and maker.kind == "pad"):
            continue
        left = [_left(window, axis) for axis in range(len(window.space))]
        if any(left):
            axis = max(range(len(left)), key=lambda i: left[i] / window.space[i])
            names = {1: ("positions",), 2: ("rows", "columns"), 3: ("slices", "rows", "columns")}[len(left)]
            alike = [name for name, n, size in zip(names, left, window.space, strict=True) if (n, size) == (left[axis], window.space[axis])]
            message = f"the last {left[axis]} of {int(window.space[axis])} {' and '.join(alike)} are not read"
            remedy = (
                "`ceil: true`, padding, or an input that divides"
                if "ceil" in node.op.signature.params
                else "padding, or an input that divides"
            )
            yield Hit("L118", node=node, message=message, remedy=remedy)


def _window(node: Node) -> Window | None:
    if node.kind not in _WINDOWS:
        return None
    kernel, stride, padding, dilation, ceil = (argument(node, name) for name in ("kernel", "stride", "padding", "dilation", "ceil"))
    space = node.inputs[0].shape.space
    return Window(space, kernel, kernel if stride is None else stride, padding or 0, dilation or 1, bool(ceil))


def _part(window: Window) -> float:
    """The part of the positions that some window reads, by the remainders of its taps."""
    part = 1.0
    for size, kernel, stride, dilation, out in zip(window.space, window.kernel, window.stride, window.dilation, window.out, strict=True):
        if size > 1 and out > 1:
            part *= len({tap * dilation % stride for tap in range(kernel)}) / stride
    return part


def _left(window: Window, axis: int) -> int:
    """Positions behind the last window."""
    last = (window.out[axis] - 1) * window.stride[axis] + window.extent[axis] - window.pads[axis][0]
    return max(0, int(window.space[axis] - last)) if window.stride[axis] > 1 else 0
