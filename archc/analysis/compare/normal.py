"""The normal form of a network, in which two spellings of one computation are the same layers.

What a layer is told as, in its arguments:
- `padding: same` is the number that it stands for, where one number does; [3, 3] is 3; the stride of a pool is its kernel unless given
- groups as many as channels are `depthwise`; 0 and 0.0 are one number; an axis is counted from the first
- the sizes of a reshape are those that come out, also where it is told to follow its input; so 0 and -1 are numbers
- a path is dropped with a probability of 12 decimals: what runs is 1 - p, from which no more of p comes back

What layers there are:
- a border of zeros (of -inf before `maxpool`) that one window alone reads is the padding of that window; other paddings are numbers
- sums of sums are one sum, if nothing else reads those within; so are products, maxima and minima
- `average` is a sum and a quotient, `tokens` a reshape and a transposition, a crop of the middle one of four sides; crops in a row are one
- a mean over zeros around a map, divided by the same mean of ones, does not count those zeros
- identities are none, nor are dropout without a probability and a crop of nothing
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from archc.graph import Graph, Node, Value
from archc.graph.graph import Tie
from archc.ops.window import Window

SYMMETRIC = {"add", "mul", "maximum", "minimum", "average"}
_NUMERIC = ("kernel", "stride", "padding", "dilation", "output_padding", "size", "scale", "window", "shift")
_POOLS = ("maxpool", "avgpool", "lppool")
_BORDERS = {"conv": 0.0, "avgpool": 0.0, "maxpool": -inf}  # what the padding of a window holds
_DROPPING = ("dropout", "spatial_dropout", "drop_path")
_ALONG = ("softmax", "log_softmax", "normalize", "concat", "split")  # operators that neither add nor take an axis


def bears(node: Node) -> bool:
    """Whether a layer has tensors of its own in a state_dict, or uses another's."""
    return bool(node.facts.weights) or bool(node.ties)


def normal_arguments(node: Node) -> dict[str, Any]:
    """The arguments of a layer in the normal form, which say the same wherever the layer stands."""
    found = {name: _plain(value) for name, value in node.args.items()}
    for name in _NUMERIC:
        value = found.get(name)
        if isinstance(value, tuple) and len(set(value)) == 1 and not isinstance(value[0], tuple):
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


@dataclass(slots=True, eq=False)
class Step:
    """A layer of the normal form. name: that of the layer, if it bears tensors; shown: that by which it is told of."""

    shown: str
    kind: str
    args: dict[str, Any]
    reads: list[Source]
    name: str = ""
    train_only: bool = False
    shared: Node | None = None
    ties: dict[str, Tie] = field(default_factory=dict)


Source = tuple[Step | int, int]  # an output of a step, or an input by its number


class Normal:
    """A network in the normal form: steps in the order in which they run, and where each output and head comes from."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._values: dict[Value, Source] = {value: (at, 0) for at, value in enumerate(graph.inputs.values())}
        self._makers: dict[Node, Step] = {}
        self._readers = {value: len(users) for value, users in graph.uses.items()}
        for value in graph.returned:
            self._readers[value] = self._readers.get(value, 0) + 1
        self._steps: dict[Step, None] = {}
        for node in graph.nodes:
            self._add(node)
        self.steps = list(self._steps)
        self._places = {step: at for at, step in enumerate(self.steps)}
        self.returned = [("", self._place(self._values[value])) for value in graph.outputs.values()]
        self.returned += sorted(("head", self._place(self._values[value])) for value in graph.heads.values())

    def said(self, step: Step) -> tuple[Any, ...]:
        """What is compared of a step: name, kind, arguments, what it reads, train_only, share and ties."""
        reads = [self._place(source) for source in step.reads]
        shared = self._places[self._makers[step.shared]] if step.shared is not None else None
        ties = {tensor: (self._places[self._makers[tie.node]], tie.tensor, tie.transposed) for tensor, tie in step.ties.items()}
        return step.name, step.kind, step.args, sorted(reads) if step.kind in SYMMETRIC else reads, step.train_only, shared, ties

    def _place(self, source: Source) -> str:
        step, index = source
        return f"input {step}" if isinstance(step, int) else f"{self._places[step]}.{index}"

    def _add(self, node: Node) -> None:
        args = _arguments_here(node)
        reads = [self._values[value] for value in node.inputs]
        if _does_nothing(node, args):
            self._values[node.output] = reads[0]
            return
        if node.kind == "reshape":
            del reads[1:]  # whose sizes it takes: they are told
        step = Step(node.name, node.kind, args, reads, train_only=node.train_only)
        if bears(node):
            step.shared, step.ties = node.shared, dict(node.ties)
            step.name = node.name if node.shared is None else ""
        self._makers[node] = step
        if node.kind in _SPELT:
            step = self._spelt(step, node)
        elif node.kind in _BORDERS:
            self._take_border(node, step)
        elif node.kind in ("crop", "center_crop"):
            self._take_crop(node, step)
        elif node.kind == "div":
            self._take_ones(node, step)
        elif node.kind in SYMMETRIC and args.get("value") is None:
            self._take_terms(node, step)
        self._steps[step] = None
        self._values.update({value: (step, value.index) for value in node.outputs})

    def _spelt(self, step: Step, node: Node) -> Step:
        """The last of two steps that are a layer's; the first is added."""
        first, last = _SPELT[node.kind](node)
        before = Step(step.shown, *first, step.reads, train_only=step.train_only)
        self._steps[before] = None
        return Step(step.shown, *last, [(before, 0)], train_only=step.train_only)

    def _take_border(self, node: Node, step: Step) -> None:
        """A border that is made for this window alone becomes its padding."""
        border = self._alone(node, node.inputs[0])
        if border is None or border.kind != "pad" or border.train_only != step.train_only or not _takes_borders(step.args):
            return
        sides = border.args["sides"]
        if border.args["mode"] != "zeros" or border.args["value"] != _BORDERS[node.kind] or min(sides) < 0:
            return
        pairs = zip(sides[::2], sides[1::2], _pairs(step.args["padding"], len(sides) // 2), strict=True)
        step.args["padding"] = _fewest([(before + own[0], after + own[1]) for before, after, own in pairs])
        step.reads[0] = border.reads[0]
        del self._steps[border]

    def _take_crop(self, node: Node, step: Step) -> None:
        """What is cut in the middle is cut on each side; cuts in a row are one."""
        if node.kind == "center_crop":
            gone = [int(size - left) for size, left in zip(node.inputs[0].shape.space, node.output.shape.space, strict=True)]
            sides = tuple(side for size in gone for side in (size // 2, size - size // 2))
            step.kind, step.args, step.reads = "crop", {"sides": sides}, step.reads[:1]
        before = self._alone(node, node.inputs[0])
        if before is not None and before.kind == "crop" and before.train_only == step.train_only:
            step.args["sides"] = tuple(map(sum, zip(before.args["sides"], step.args["sides"], strict=True)))
            step.reads = before.reads
            del self._steps[before]

    def _take_ones(self, node: Node, step: Step) -> None:
        """A mean that counts the zeros around a map, over the mean of ones in their place, is the mean that does not count them."""
        if len(node.inputs) != 2 or step.args["reverse"]:
            return
        mean, ones = (value.node for value in node.inputs)
        if mean is None or ones is None or self._graph.uses[node.inputs[0]] != (ones, node) or self._alone(node, node.inputs[1]) is None:
            return
        pooled, counted = self._makers[mean], self._makers[ones]
        if pooled.kind != "avgpool" or not pooled.args["count_padding"] or not _is_of_ones(counted, mean.inputs[0], pooled.args):
            return
        step.kind, step.args, step.reads = "avgpool", pooled.args | {"count_padding": False}, pooled.reads
        del self._steps[pooled], self._steps[counted]

    def _take_terms(self, node: Node, step: Step) -> None:
        """What was summed for this sum alone is part of it."""
        terms: list[Source] = []
        for value, source in zip(node.inputs, step.reads, strict=True):
            within = self._alone(node, value)
            if within is not None and within.kind == step.kind and within.args == step.args and within.train_only == step.train_only:
                terms += within.reads
                del self._steps[within]
            else:
                terms.append(source)
        step.reads = terms

    def _alone(self, reader: Node, value: Value) -> Step | None:
        """The step that makes a value which this layer reads once, and nothing else at all."""
        step, _ = self._values[value]
        once = self._readers.get(value) == 1 and reader.inputs.count(value) == 1
        return step if isinstance(step, Step) and once and value.node in self._makers else None


def _averaged(node: Node) -> tuple[Said, Said]:
    total = {"value": None, "broadcast": False, "inplace": False}
    return ("add", total), ("div", {"value": len(node.inputs), "reverse": False, "broadcast": False})


def _tokens(node: Node) -> tuple[Said, Said]:
    places, features = map(int, node.output.shape)
    return ("reshape", {"shape": (features, places)}), ("transpose", {"axes": (0, 1)})


Said = tuple[str, dict[str, Any]]
_SPELT = {"average": _averaged, "tokens": _tokens}


def _does_nothing(node: Node, args: Mapping[str, Any]) -> bool:
    if node.kind in ("crop", "center_crop"):
        return tuple(node.inputs[0].shape) == tuple(node.output.shape)
    return node.kind == "identity" or (node.kind in _DROPPING and args["p"] == 0)


def _is_of_ones(step: Step, padded: Value, pool: Mapping[str, Any]) -> bool:
    """Whether a computed tensor is what a pool makes of ones with zeros around them; `padded` is the map with its border."""
    if step.kind != "computed" or step.args["weights"] or step.args["buffers"]:
        return False
    said = step.args["steps"]
    if [re.sub(r"[123]d$", "", name) for name, *_ in said] != ["torch.ones", "F.pad", "F.avg_pool", "reshape"]:
        return False
    (sizes,), (_, flat), (_, kernel, stride, padding, *_) = (one[1] for one in said[:3])
    sides = _pairs(pool["padding"], len(sizes) - 2)
    bordered = tuple(size + sum(pair) for size, pair in zip(sizes[2:], sides, strict=True))
    same = (kernel, stride, padding) == (pool["kernel"], pool["stride"], 0)
    return same and bordered == padded.shape.space and tuple(flat) == tuple(side for pair in reversed(sides) for side in pair)


def _arguments_here(node: Node) -> dict[str, Any]:
    """The arguments of a layer in the normal form, at the shape that it has."""
    args = normal_arguments(node)
    if node.kind in _ALONG and isinstance(axis := args.get("axis"), int) and axis < 0:
        args["axis"] = axis + len(node.inputs[0].shape)
    if node.kind == "drop_path":
        args["p"] = round(args["p"], 12)
    if node.kind in _BORDERS and isinstance(args["padding"], str):
        x = node.inputs[0].shape
        window = Window(x.space, args["kernel"], args["stride"], args["padding"], args.get("dilation", 1))
        args["padding"] = _fewest([(int(before), int(after)) for before, after in window.pads])
    return args


def _takes_borders(args: Mapping[str, Any]) -> bool:
    """Whether a border before the window is as good as its padding: it counts in means, and no window is cut at it."""
    return args.get("padding_mode", "zeros") == "zeros" and args.get("count_padding", True) and not args.get("ceil")


def _pairs(padding: Any, rank: int) -> list[tuple[int, int]]:
    return [side if isinstance(side, tuple) else (side, side) for side in _each(padding, rank)]


def _fewest(pairs: Sequence[tuple[int, int]]) -> Any:
    """3 for [[3, 3], [3, 3]], [3, 1] for [[3, 3], [1, 1]]."""
    sides = [before if before == after else (before, after) for before, after in pairs]
    return sides[0] if len(set(sides)) == 1 and isinstance(sides[0], int) else tuple(sides)
