"""A layer as tools see it that hook PyTorch's modules: its class, what goes in and what comes out."""

from __future__ import annotations

import re
from typing import Any

from archc.analysis.cost.count import count
from archc.graph import Graph, Node
from archc.ops.facts import Expression, Module
from archc.ops.shape import Shape, product
from archc.ops.syntax import Call, Own, dotted_name, walk

NORMS = ("BatchNorm", "LayerNorm", "ChannelLayerNorm", "GroupNorm", "InstanceNorm")
POOLS = ("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool")
MULTIPLYING = ("Conv", "ConvTranspose", "Linear", "MultiheadAttention", "matmul")
FAMILIES = frozenset((
    *NORMS, *POOLS, *MULTIPLYING, "RMSNorm", "LocalResponseNorm", "LPPool", "Embedding", "Upsample", "ChannelShuffle", "PixelShuffle",
    "Dropout", "DropPath", "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh",
    "Hardswish", "Hardsigmoid", "Hardtanh", "Softplus", "Softsign", "LogSigmoid", "Tanhshrink", "Hardshrink", "Softshrink", "Threshold",
    "GLU", "Softmax", "LogSoftmax", "Flatten",
))  # fmt: skip
# Operators that are expressions, whose cost by each tool was measured; `matmul` is a family of its own.
EXPRESSIONS = frozenset((
    "add", "average", "center_crop", "class_token", "clone", "concat", "crop", "identity", "layer_scale", "mean", "mul", "pad", "permute",
    "position_embedding", "reshape", "scale", "select", "split", "tokens", "transpose",
))  # fmt: skip
MATMUL = "torch.matmul"


class HookedLayer:
    """One layer: `family` is its class without the number of axes (Conv), `matmul` for torch.matmul, empty for what else is no module."""

    __slots__ = ("calls", "family", "inputs", "kind", "macs", "node", "options", "out", "rank", "used", "x", "y")

    def __init__(self, node: Node) -> None:
        form = node.facts.torch
        name = form.name.removeprefix("nn.") if isinstance(form, Module) else ""
        if isinstance(form, Expression) and isinstance(form.tree, Call) and dotted_name(form.tree.value) == MATMUL:
            name = "matmul"
        self.node = node
        self.used = True
        self.kind = node.kind
        self.family = re.sub(r"[123]d$", "", name)
        self.rank = int(name[-2]) if name != self.family else 0
        self.options: dict[str, Any] = dict(form.options) if isinstance(form, Module) else {}
        self.calls = sum(isinstance(node, Call) and node.value == Own() for node in walk(form.tree)) if isinstance(form, Module) else 1
        self.inputs = [value.shape for value in node.inputs]
        self.out: Shape = node.output.shape
        self.x = _values_in(self.inputs[0], form.added_border) if isinstance(form, Module) else self.inputs[0].values
        self.y = int(self.out.values)
        self.macs = int(count(node.facts.macs).low)

    @property
    def known(self) -> bool:
        """Whether what tools make of it was measured."""
        return self.family in FAMILIES or self.family == "matmul" or self.kind in EXPRESSIONS

    @property
    def weights(self) -> int:
        """The weights that it uses, its own or another layer's."""
        return sum(int(weight.values) for weight in (self.node.facts.owned) if weight.role != "buffer")

    @property
    def biases(self) -> int:
        return sum(int(weight.values) for weight in (self.node.facts.owned) if weight.role == "bias")

    @property
    def owned(self) -> int:
        """The parameters that are its own."""
        return 0 if self.node.shared is not None else self.weights

    @property
    def scaled(self) -> bool:
        """Whether a norm has a learned scale."""
        return self.weights > 0

    @property
    def tracked(self) -> bool:
        """Whether a batchnorm has running statistics: without them it computes those of the batch, as in training."""
        return bool(self.options.get("track_running_stats", True))

    @property
    def groups(self) -> int:
        return int(self.options.get("groups", 1))

    @property
    def products(self) -> int:
        """The multiply-accumulates of attention between tokens: queries by keys, and weights by values."""
        (tokens, features), asked = self.inputs[0], self.inputs[-1][0]
        return 2 * int(tokens) * int(asked) * int(features)

    @property
    def scores(self) -> int:
        """How many pairs of tokens attention weighs, over all heads."""
        form = self.node.facts.torch
        assert isinstance(form, Module)
        return int(form.args[1]) * int(self.inputs[0][0]) * int(self.inputs[-1][0])

    @property
    def lrn(self) -> tuple[int, int]:
        """How many values local response norm squares, and how many it averages over, its padding included."""
        form = self.node.facts.torch
        assert isinstance(form, Module)
        x = self.inputs[0]
        return self.x, (int(x.channels) + int(form.args[0]) - 1) * int(product(x.space))

    def on_axes(self, name: str, default: int) -> tuple[int, ...]:
        """An option of a window, for each axis."""
        value = self.options.get(name, default)
        return tuple(map(int, value)) if isinstance(value, tuple) else (int(value),) * self.rank


def forms(graph: Graph) -> list[HookedLayer]:
    """All layers, each with whether an output of the network depends on it."""
    found = [HookedLayer(node) for node in graph.nodes]
    wanted = {value.node for value in graph.outputs.values()}
    for form in reversed(found):
        form.used = form.node in wanted
        if form.used:
            wanted.update(value.node for value in form.node.inputs)
    return found


def _values_in(x: Shape, sides: tuple[int, ...]) -> int:
    """How many values the module gets: a border added before it counts."""
    if not sides:
        return int(x.values)
    pairs = zip(reversed(x.space), sides[::2], sides[1::2], strict=True)
    return int(x.channels) * product(int(size) + low + high for size, low, high in pairs)
