"""What stands in the boxes of a graph: a layer in the words of papers (conv 3×3, 64 /2), a block with what sets it apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from archc.draw.graph.fold_fuse import SMALL
from archc.draw.graph.fold_marks import PORT, Edge, GraphBox, Group
from archc.draw.scene import text_width
from archc.draw.theme import family
from archc.graph import Node, Scope
from archc.ops.facts import Weight
from archc.ops.shape import Shape
from archc.text.diagnostics import printable
from archc.text.quantity import counted

SIZE, SMALL_SIZE = 11, 9  # points, of letters
MOST_TEXT = 60  # characters of one line; a stranger's name may be longer
_SHORT = {
    "batchnorm": "BN", "layernorm": "LN", "groupnorm": "GN", "instancenorm": "IN", "rmsnorm": "RMSNorm", "lrn": "LRN", "relu": "ReLU",
    "relu6": "ReLU6", "leaky_relu": "leaky ReLU", "prelu": "PReLU", "elu": "ELU", "selu": "SELU", "gelu": "GELU", "silu": "SiLU",
    "mish": "Mish", "glu": "GLU", "maxpool": "max pool", "avgpool": "average pool", "global_avgpool": "global average pool",
    "global_maxpool": "global max pool", "adaptive_avgpool": "average pool", "adaptive_maxpool": "max pool",
    "conv_transpose": "transposed conv", "drop_path": "stochastic depth", "lppool": "Lp pool",
}  # fmt: skip
Telling = dict[str, set[str]]  # for each block, the arguments in which its uses differ
_SIGNS = {"add": "+", "mul": "×"}


@dataclass(frozen=True, slots=True)
class LabelLine:
    """A line of a box. strong: what the box is; else what is beside it. `size` is of letters, where it is not as usual."""

    text: str
    strong: bool = False
    size: int = 0


def sign(box: GraphBox) -> str:
    """The sign of a sum or product, which is drawn as a circle; else nothing."""
    return _SIGNS.get(box.layers[0].kind, "") if not box.closed and len(box.layers) == 1 else ""


def is_bar(box: GraphBox) -> bool:
    """Whether a box is drawn as a bar: where values are joined."""
    return not box.closed and [node.kind for node in box.layers] == ["concat"]


def joins(box: GraphBox) -> bool:
    """Whether a box is a small mark at which ways meet."""
    return bool(sign(box)) or is_bar(box)


def line_height(line: LabelLine) -> float:
    return 14.0 if line.strong else 12.0


def size(box: GraphBox, telling: Telling) -> tuple[float, float]:
    """Width and height of a box, in points: room for its lines in any common font."""
    if sign(box):
        return 19.0, 19.0
    found = lines(box, telling)
    width = max(text_width(line.text, line.size or (SIZE if line.strong else SMALL_SIZE), line.strong) for line in found)
    if is_bar(box):
        return 84.0, 14.0
    return max(width + 16, 44.0), sum(map(line_height, found)) + 8


def lines(box: GraphBox, telling: Telling) -> list[LabelLine]:
    """The lines of a box. `telling`: for each block, the arguments in which its uses differ."""
    if sign(box):
        return [LabelLine(sign(box), size=13)]
    if box.end:
        return [LabelLine(clean(box.name), True), LabelLine(shape_text([box.shape]) if box.shape else "")]
    if box.closed:
        return _block_lines(box, telling)
    found: list[LabelLine] = []
    small: list[str] = []
    for i, node in enumerate(box.layers):
        if family(node.kind) in SMALL and len(box.layers) > 1:
            small.append(_short(node))
            continue
        found += [*_small(small), LabelLine(_merge_words([_words(copy[i]) for copy in box.copies]), True), *_weights(node)]
        small = []
    found += _small(small)
    if is_bar(box):
        return [LabelLine("concat")]
    return _strong(found) if box.times == 1 else [*_strong(found), LabelLine(f"×{box.times}", True)]


def title(group: Group) -> tuple[str, str]:
    """A group's heading: what it is and how often, and where."""
    scope = group.scope
    where = clean(group.place) or _range(scope, group.last)
    times = f" ×{group.times}" if group.times > 1 else ""
    return (clean(scope.block) + times, where) if scope.block else (where + times, "")


def _range(first: Scope, last: Scope | None) -> str:
    """The labels of copies: `layer3–11`."""
    if last is None or last is first:
        return clean(first.label)
    a, b = first.label, last.label
    common = a.rstrip("0123456789")
    return clean(f"{a}–{b.removeprefix(common)}" if b[len(common) :].isdigit() and b.startswith(common) else f"{a}–{b}")


def telling(boxes: Iterable[GraphBox]) -> Telling:
    """For each block that is shown closed, the arguments in which its uses differ."""
    seen: dict[str, list[dict[str, Any]]] = {}
    for box in boxes:
        if box.closed and box.closed.block:
            seen.setdefault(box.closed.block, []).append(box.closed.arguments)
    return {
        block: {name for name in uses[0] if len({repr(use.get(name)) for use in uses if _is_short(use.get(name))}) > 1}
        for block, uses in seen.items()
    }


def edge_text(edge: Edge, everywhere: bool) -> str:
    """The shape on an edge, where the box that it comes from changed it; the ends tell their own."""
    ends = {edge.tail.end, edge.head.end} - {"", PORT}
    if not edge.shapes or (not everywhere and (ends or edge.shapes[0] in _came_in(edge))):
        return ""
    return shape_text(edge.shapes)


def shape_text(shapes: list[Shape]) -> str:
    """`64×56×56`; sizes of copies that differ as `64–256×56×56`."""
    if len({len(shape) for shape in shapes}) > 1:
        return "…"
    sizes = [sorted(set(axis)) for axis in zip(*shapes, strict=True)]
    return "×".join(str(axis[0]) if len(axis) == 1 else f"{axis[0]}–{axis[-1]}" for axis in sizes) or "1"


def clean(text: str) -> str:
    """A name as text of one line, not too long."""
    plain = printable(" ".join(str(text).split()))
    return plain if len(plain) <= MOST_TEXT else plain[: MOST_TEXT - 1] + "…"


def _came_in(edge: Edge) -> list[Shape]:
    """The shapes that the tail's box was given."""
    own = {id(node) for copy in edge.tail.copies for node in copy}
    return [value.shape for copy in edge.tail.copies for node in copy for value in node.inputs if id(value.node) not in own]


def _block_lines(box: GraphBox, telling: Telling) -> list[LabelLine]:
    scope = box.closed
    if scope is None:
        return []
    where = _range(scope, box.last)
    times = f" ×{box.times}" if box.times > 1 else ""
    if not scope.block:
        count = len(box.layers)
        return [LabelLine(where + times, True), LabelLine(counted(count, "layer"))]
    known = telling.get(scope.block, set())
    arguments = [
        _argument(name, value) for name, value in scope.arguments.items() if name in known and _is_short(value) and value is not False
    ]
    rows = [", ".join(arguments[i : i + 3]) for i in range(0, min(len(arguments), 6), 3)]
    return [LabelLine(clean(scope.block) + times, True), *(LabelLine(row) for row in rows), LabelLine(where)]


def _is_short(value: object) -> bool:
    """Whether an argument is short enough for a box: a number, a word, or a few numbers; and worth its room."""
    if isinstance(value, (list, tuple)):
        return 0 < len(value) <= 6 and all(isinstance(number, int) for number in value)
    return isinstance(value, (bool, int)) or (isinstance(value, str) and len(value) <= 16)


def _argument(name: str, value: object) -> str:
    if value is True:
        return clean(name)
    return f"{clean(name)} {clean('-'.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))}"


def _small(names: list[str]) -> list[LabelLine]:
    return [LabelLine(" · ".join(names))] if names else []


def _strong(found: list[LabelLine]) -> list[LabelLine]:
    """A box of small layers alone says so in plain words."""
    return found if any(line.strong for line in found) else [LabelLine(line.text, True) for line in found]


def _weights(node: Node) -> list[LabelLine]:
    """Whose weights a layer uses, if not its own."""
    return [LabelLine(f"weights of {clean(node.shared.name)}")] if node.shared else []


def _short(node: Node) -> str:
    return _SHORT.get(node.kind, node.kind.replace("_", " "))


def _merge_words(copies: list[list[str]]) -> str:
    """The words of layers that one box stands for; numbers that differ become a range."""
    words = []
    for options in zip(*copies, strict=False):
        distinct = list(dict.fromkeys(options))
        if len(distinct) > 1 and all(word.isdigit() for word in distinct):
            ordered = sorted(map(int, distinct))
            words.append(f"{ordered[0]}–{ordered[-1]}")
        else:
            words.append(distinct[0] if len(distinct) == 1 else "…")
    return "".join(words)


def _words(node: Node) -> list[str]:
    """A layer in words: what never differs between copies, and numbers that may."""
    own = node.facts.owned
    name = _short(node)
    if node.kind in ("conv", "conv_transpose") and own:
        return _convolution(node, own[0], name)
    if node.kind == "linear":
        return [f"{name} ", str(node.output.shape.features)]
    if "pool" in node.kind and "kernel" in node.args:
        stride = node.args.get("stride")
        return [f"{name} {_sizes(node.args['kernel'], node)}", _stride(node.args["kernel"] if stride is None else stride)]
    if node.kind.startswith("adaptive"):
        return [f"{name} to {_sizes(node.args.get('size'), node)}"]
    if node.kind == "attention":
        return [f"{name}, {node.args.get('heads')} heads"]
    return [name]


def _convolution(node: Node, weight: Weight, name: str) -> list[str]:
    transposed = node.kind == "conv_transpose"
    groups = node.inputs[0].shape.channels // weight.shape[1] if not transposed else weight.shape[0] and _int(node.args.get("groups"))
    channels = node.output.shape.channels
    kernel = "×".join(map(str, weight.shape[2:]))
    extra = _stride(node.args.get("stride"))
    if _int(node.args.get("dilation")) > 1:
        extra += f", dilation {node.args['dilation']}"
    if groups > 1 and groups == node.inputs[0].shape.channels:
        return [f"depthwise {kernel}, ", str(channels), extra]
    return [f"{name} {kernel}, ", str(channels), extra, f", {groups} groups" if groups > 1 else ""]


def _int(value: object) -> int:
    return value if isinstance(value, int) else 1


def _stride(stride: Any) -> str:
    sizes = stride if isinstance(stride, (tuple, list)) else (stride,)
    if all(size in (1, None) for size in sizes):
        return ""
    return f" /{sizes[0]}" if len(set(sizes)) == 1 else f" /{'×'.join(map(str, sizes))}"


def _sizes(size: Any, node: Node) -> str:
    """A size for each axis of the map: 3 as 3×3."""
    if isinstance(size, (tuple, list)):
        return "×".join(map(str, size))
    return "×".join([str(size)] * max(1, len(node.inputs[0].shape.space)))
