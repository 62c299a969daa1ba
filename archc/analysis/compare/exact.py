"""Whether two networks are the same one: graph equality, which figures and outputs cannot show.

Two networks with equal parameters, MACs and outputs may still differ in what only training does, as in a lost drop_path. Here
layers are compared in the order in which they run: kinds, all arguments, what each reads, what is there in training alone, whose
weights it uses, and the names of layers that own tensors, which are the names of a state_dict.

The normal form, in which spellings of one layer are equal:
- `padding: same` is the number that it stands for, where one number does; [3, 3] is 3; the stride of a pool is its kernel unless given
- groups as many as channels are `depthwise`; 0 and 0.0 are one number
- the sizes of a reshape are those that come out, also where it is told to follow its input; so 0 and -1 are numbers
- what add, mul, maximum, minimum and average read is in any order
- layers without tensors have any names, and share nothing; so have inputs and outputs
- an input of which no dtype is declared has that which its layers want
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.graph import Graph, Node, Value
from archc.graph.dtypes import input_dtypes

SYMMETRIC = {"add", "mul", "maximum", "minimum", "average"}
_WINDOWED = ("kernel", "stride", "padding", "dilation", "output_padding", "size", "scale", "window", "shift")
_POOLS = ("maxpool", "avgpool", "lppool")
MOST_SHOWN = 20


def bears(node: Node) -> bool:
    """Whether a layer has tensors of its own in a state_dict, or uses another's."""
    return bool(node.facts.weights) or bool(node.ties)


def normal_arguments(node: Node) -> dict[str, Any]:
    """The arguments of a layer in the normal form."""
    found = {name: _plain(value) for name, value in node.args.items()}
    for name in _WINDOWED:
        value = found.get(name)
        if isinstance(value, tuple) and value and len(set(value)) == 1:
            found[name] = value[0]
    if node.kind in _POOLS and found.get("stride") is None:
        found["stride"] = found["kernel"]
    if found.get("padding") == "same":
        found["padding"] = _same_padding(found)
    groups, x = found.get("groups"), node.inputs[0].shape if node.inputs else None
    if node.kind.startswith(("conv", "deform")) and x is not None and groups not in (None, 1) and groups in ("depthwise", x[0]):
        found["groups"] = "depthwise"
    if node.kind == "reshape":
        found["shape"] = _plain(node.output.shape)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, dict):
        return tuple(sorted((str(name), _plain(part)) for name, part in value.items()))
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, int) else value


def _same_padding(args: Mapping[str, Any]) -> Any:
    """The padding of windows of odd size; `same` of others, which is not one number."""
    kernel, dilation = args.get("kernel", 1), args.get("dilation", 1)
    if args.get("stride", 1) != 1 and not isinstance(kernel, int):
        return "same"
    if isinstance(kernel, int) and isinstance(dilation, int):
        return (kernel - 1) * dilation // 2 if kernel % 2 else "same"
    count = len(kernel) if isinstance(kernel, tuple) else len(dilation)
    sides = [(k - 1) * d // 2 for k, d in zip(_each(kernel, count), _each(dilation, count), strict=True)]
    return tuple(sides) if all(k % 2 for k in _each(kernel, count)) else "same"


def _each(value: Any, count: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * count


def differences(one: Graph, other: Graph) -> list[str]:
    """What keeps two networks from being the same one, the first MOST_SHOWN; nothing where they are."""
    found = [*_edges(one, other)]
    if len(one.nodes) != len(other.nodes):
        found.append(f"{len(one.nodes):,} layers, and {len(other.nodes):,}")
    mine, theirs = _Said(one), _Said(other)
    for a, b in zip(one.nodes, other.nodes, strict=False):
        if mine.of(a) != theirs.of(b):
            found.append(_difference(a, b, mine.of(a), theirs.of(b)))
            if len(found) >= MOST_SHOWN:
                break
    returned = [said.returned() for said in (mine, theirs)]
    if not found and returned[0] != returned[1]:
        found.append(f"outputs {returned[0]}, and {returned[1]}")
    return found


def _edges(one: Graph, other: Graph) -> list[str]:
    shapes = [[tuple(map(int, value.shape)) for value in graph.inputs.values()] for graph in (one, other)]
    if shapes[0] != shapes[1]:
        return [f"inputs of shapes {shapes[0]}, and {shapes[1]}"]
    dtypes = [list(input_dtypes(graph).values()) for graph in (one, other)]
    return [] if dtypes[0] == dtypes[1] else [f"inputs of dtypes {dtypes[0]}, and {dtypes[1]}"]


class _Said:
    """What is compared of each layer of a network, with values by the places of the layers that make them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inputs = {value: f"input {at}" for at, value in enumerate(graph.inputs.values())}

    def of(self, node: Node) -> tuple[Any, ...]:
        own = bears(node)
        read = [self.place(value) for value in node.inputs]
        shared = self.graph.positions[node.shared] if node.shared is not None and own else None
        ties = {tensor: (self.graph.positions[tie.node], tie.tensor, tie.transposed) for tensor, tie in node.ties.items()}
        args = normal_arguments(node)
        return (
            node.name if own else "",
            node.kind,
            args,
            sorted(read) if node.kind in SYMMETRIC else read,
            node.train_only,
            shared,
            ties,
        )

    def place(self, value: Value) -> str:
        return self.inputs[value] if value.node is None else f"{self.graph.positions[value.node]}.{value.index}"

    def returned(self) -> list[tuple[str, str]]:
        own = [("", self.place(value)) for value in self.graph.outputs.values()]
        return [*own, *sorted(("head", self.place(value)) for value in self.graph.heads.values())]


_PARTS = ("name", "kind", "arguments", "what it reads", "train_only", "share", "tie")


def _difference(a: Node, b: Node, mine: tuple[Any, ...], theirs: tuple[Any, ...]) -> str:
    names = a.name if a.name == b.name else f"{a.name} and {b.name}"
    for part, x, y in zip(_PARTS, mine, theirs, strict=True):
        if x == y:
            continue
        if isinstance(x, dict) and isinstance(y, dict):
            x, y = ({name: value for name, value in one.items() if other.get(name) != value} for one, other in ((x, y), (y, x)))
        return f"{names}: {part} {x}, and {y}"
    return names
