"""Random networks for what autograd keeps: any layers on any values, whatever their axes, cut, permuted and written over."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from hypothesis import strategies as st

from archc.graph import Graph, Node, Value
from archc.ops import OPERATORS, Shape
from archc.ops.shape import input_shape
from archc.ops.window import Window
from archc.signature import Fault

ANY = (
    *("sigmoid", "tanh", "gelu", "softplus", "softsign", "logsigmoid", "tanhshrink", "hardshrink", "softshrink", "prelu", "glu"),
    *("softmax", "log_softmax", "batchnorm", "layernorm", "rmsnorm", "groupnorm", "instancenorm", "lrn", "layer_scale", "scale"),
    *("drop_path", "spatial_dropout", "linear", "clone", "frozen_batchnorm", "rotary", "relative_position_bias"),
    "normalize",
)
ARITHMETIC = ("abs", "neg", "square", "sqrt", "rsqrt", "exp", "log", "sin", "cos", "clamp", "sub", "div", "pow")
REDUCTIONS = ("mean", "sum", "max", "min", "norm", "var", "std", "cumsum", "cummax", "cummin", "topk")
MOVES = (
    *("flatten", "reshape", "reshape", "permute", "permute", "transpose", "select", "split", "split", "crop", "tokens"),
    *("join_batch", "leave_batch"),
)
MORE_MOVES = ("roll", "flip", "slice", "index", "tile", "repeat_interleave", "expand", "unbind")
INPLACE = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "threshold"),
    "dropout",
)
MAPS = (
    *("conv", "conv_transpose", "maxpool", "avgpool", "lppool", "global_avgpool", "global_maxpool", "adaptive_avgpool"),
    *(
        "adaptive_maxpool",
        "pad",
        "crop",
        "center_crop",
        "channel_shuffle",
        "pixel_shuffle",
        "pixel_unshuffle",
        "pixel_unshuffle",
        "upsample",
        "tokens",
        "maxpool",
    ),
)
SEQUENCES = ("attention", "class_token", "position_embedding", "linear", "tokens", "rnn", "gru", "lstm", "experts")
SEVERAL = ("add", "mul", "average", "concat", "matmul", "attention", "scaled_dot_product_attention", "add", "mul")
PAIRS = ("stack", "einsum", "sub", "div", "pow", "maximum", "minimum")
WINDOW = {"kernel": (1, 3), "stride": (1, 2), "padding": (0, 1), "dilation": (1, 2)}  # from, to
MOST = 3000  # values of one image


class Builder:
    """Draws layers onto a graph; a choice that an operator refuses is skipped.

    regions: whether layers are drawn whose memory is not stated, as boxes and moved taps
    """

    def __init__(self, random: Random, regions: bool = False) -> None:
        self.random = random
        self.regions = regions
        self.graph = Graph("drawn", "", {})
        self.values: list[Value] = []

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def pick(self, items: Any) -> Any:
        return self.random.choice(items)

    def value(self) -> Value:
        """A recent value more often than an old one."""
        return self.values[-1 - min(self.number(0, 3), len(self.values) - 1)] if self.number(0, 3) else self.pick(self.values)

    def input(self) -> None:
        sizes = [self.pick([4, 4, 6, 8, 1]), *(self.pick([1, 2, 3, 4, 5, 6, 7]) for _ in range(self.pick([0, 1, 1, 2, 2, 2, 2, 3])))]
        value = Value(None, 0, input_shape(sizes), f"x{len(self.values)}")
        self.graph.inputs[value.name] = value
        self.values.append(value)

    def indices(self) -> None:
        """An input of whole numbers, cut or not, and its embedding."""
        value = Value(None, 0, Shape((6,)), "indices")
        self.graph.inputs[value.name] = value
        if self.number(0, 1):
            self.add("split", [value], {"parts": 2})
            self.add("flatten", [self.values.pop()], {})
            self.values = self.values[:-2]
            value = self.graph.nodes[-1].output
        self.add("embedding", [value], {"entries": 3, "features": 4})

    def tensor(self) -> None:
        """A tensor of the layer's own, mostly as large as a value that it may meet."""
        shape = self.value().shape if self.number(0, 2) else Shape(self.number(1, 6) for _ in range(self.number(1, 3)))
        args: dict[str, Any] = {"shape": tuple(shape)}
        op = self.pick(["parameter", "parameter", "buffer", "constant"])
        args |= {"values": 0.5} if op == "constant" else {"start": 0.5, "batch_axis": bool(self.number(0, 1))}
        self.add(op, [self.value()], args)

    def layer(self) -> None:
        kind = self.number(0, 14)
        if kind == 11 and not self.number(0, 2):
            return self.tensor()
        if kind == 12:
            return self.unpool()
        if kind == 13:
            return self.pick([self.gathered, self.folded, self.masked])()
        if kind == 14 and self.regions:
            return self.pick([self.region, self.suppressed, self.deformed])()
        if kind == 0 and self.graph.nodes:
            return self.shared()
        several = kind in (1, 2, 3)
        first = self.value()
        rank = len(first.shape.inner)
        alone = [
            ANY,
            ANY,
            ARITHMETIC,
            REDUCTIONS,
            MORE_MOVES,
            INPLACE,
            INPLACE,
            MOVES,
            MOVES,
            *([MAPS] * 2 if rank > 1 else []),
            *([SEQUENCES] if rank == 2 else []),
        ]
        groups = [SEVERAL, SEVERAL, PAIRS] if several else alone
        op = self.pick(self.pick(groups))
        inputs = [first, *self.others(op, first)] if several or (op in ("center_crop", "upsample") and self.number(0, 1)) else [first]
        if len(inputs) >= OPERATORS[op].least_inputs:
            self.add(op, inputs, self.arguments(op, inputs))
            if op == "maxpool" and self.number(0, 1):
                self.layer()
                self.unpool()

    def unpool(self) -> None:
        """Values back where a maximum of the same shape was: of such a pool, or of layers behind it."""
        pools = [node for node in self.graph.nodes if node.kind == "maxpool" and node.args.get("indices")]
        if not pools:
            return
        pool = self.pick(pools)
        space = pool.inputs[0].shape.inner.space
        window = (pool.args[name] for name in ("kernel", "stride", "padding", "dilation", "ceil"))
        pads = Window(space, *window).padding
        args = {"kernel": pool.args["kernel"], "stride": pool.args["stride"], "padding": pads, "size": space}
        fits = [value for value in self.values if value.shape == pool.output.shape]
        self.add("max_unpool", [self.pick(fits), pool.outputs[1]], args)

    def gathered(self) -> None:
        """Entries that another layer's places name, which are places of a value of this shape."""
        x = self.value()
        axis = self.number(-len(x.shape.inner), len(x.shape.inner) - 1)
        kind = self.pick(["argmax", "max", "topk"])
        more = {"topk": {"k": self.number(1, x.shape.inner[axis])}, "max": {"indices": True}}.get(kind, {})
        node = self.add(kind, [x], {"axis": axis, **more, **({} if kind == "topk" else {"keepdim": True})})
        fits = [value for value in self.values if value.shape == x.shape and value.shape.joined == x.shape.joined]
        if node is not None and self.number(0, 3):
            self.add("gather", [self.pick(fits), node.outputs[-1]], {"axis": axis})

    def folded(self) -> None:
        """Windows as columns, and sometimes back."""
        x = self.value()
        if len(x.shape.inner) != 3:
            return
        window = {name: (self.number(*bounds), self.number(*bounds)) for name, bounds in WINDOW.items()}
        node = self.add("unfold", [x], window)
        if node is None or not self.number(0, 3):
            return
        if self.number(0, 1):
            self.add(self.pick(["relu", "sigmoid", "clone"]), [node.output], {})
        self.add("fold", [self.graph.nodes[-1].output], {"size": tuple(x.shape.inner[1:]), **window})

    def masked(self) -> None:
        """Scores of the windows of a map, made from what there is, and the mask of a shift."""
        x = self.value()
        tokens = self.pick([1, 2, 4])
        windows, left = self.number(1, 3), x.shape.values
        if left % (windows * tokens * tokens) or x.shape.joined:
            return
        node = self.add("reshape", [x], {"shape": (windows, left // (windows * tokens * tokens), tokens, tokens)})
        if node is not None:
            shift = (0, self.number(0, tokens - 1))
            self.add("shift_mask", [node.output], {"size": (windows, tokens), "window": (1, tokens), "shift": shift})

    def boxes(self) -> Value | None:
        """An input as boxes: what is computed may be no number, which names no place."""
        given = self.pick([*self.graph.inputs.values()])
        if given.name == "indices" or given.shape.values % 4:
            return None
        node = self.add("reshape", [given], {"shape": (given.shape.values // 4, 4)})
        return None if node is None else node.output

    def region(self) -> None:
        boxes = self.boxes()
        maps = [value for value in self.values if len(value.shape) == 3 and not value.shape.joined]
        if boxes is not None and maps and boxes.shape[0] < 30:
            args = {"size": (self.number(1, 3), self.number(1, 2)), "scale": self.pick([1.0, 0.5])}
            self.add(self.pick(["roi_pool", "roi_align"]), [self.pick(maps), boxes], args)

    def suppressed(self) -> None:
        boxes = self.boxes()
        if boxes is None or boxes.shape[0] > 30:
            return
        scores = self.add("select", [boxes], {"axis": 1, "index": self.number(0, 3)})
        if scores is not None:
            self.add("nms", [boxes, scores.output], {"most": self.number(1, boxes.shape[0])})

    def deformed(self) -> None:
        """An input whose taps are moved by what a convolution of it says, and sometimes weighted; no number names no place."""
        x = self.pick([*self.graph.inputs.values()])
        if len(x.shape) != 3:
            return
        window: dict[str, Any] = {name: self.number(*bounds) for name, bounds in WINDOW.items()}
        taps = window["kernel"] ** 2
        weighted = bool(self.number(0, 1))
        made = [self.add("conv", [x], {"channels": taps * times, **window}) for times in ((2, 1) if weighted else (2,))]
        if None not in made:
            more = {"channels": self.pick([4, 6]), "bias": bool(self.number(0, 1))}
            self.add("deform_conv", [x, *(node.output for node in made if node is not None)], window | more)

    def add(self, op: str, inputs: list[Value], args: dict[str, Any], shared: Node | None = None) -> Node | None:
        try:
            facts = OPERATORS[op](*(value.shape for value in inputs), **args)
        except Fault:
            return None
        if op == "maxpool" and corrupts(inputs[0].shape.inner, args):
            return None
        if any(shape.values > MOST for shape in facts.outputs) or (op == "attention" and len(inputs) == 2 and inputs[1].shape[0] > 64):
            return None
        node = Node(f"{op}_{len(self.graph.nodes)}", OPERATORS[op], args, tuple(inputs), facts, self.graph.root)
        node.shared = shared
        self.graph.nodes.append(node)
        self.values += [value for value in node.outputs if not facts.is_integer(value.index)]
        return node

    def leave(self) -> None:
        """What nobody reads has no axes in the batch."""
        for value in [value for value in self.values if value.shape.joined and not self.graph.uses.get(value)]:
            self.add("leave_batch", [value], {})

    def shared(self) -> None:
        """A layer with weights again, on a value of the same shape."""
        node = self.pick(self.graph.nodes)
        fits = [value for value in self.values if value.shape == node.inputs[0].shape]
        if node.facts.owned and node.kind != "embedding" and len(node.inputs) == 1 and fits:
            self.add(node.kind, [self.pick(fits)], node.args, node.shared or node)

    def others(self, op: str, first: Value) -> list[Value]:
        shape = first.shape
        if op == "scaled_dot_product_attention":
            return self.asked(shape)
        fits = {
            "concat": lambda other: len(other) == len(shape) and sum(a != b for a, b in zip(other, shape, strict=True)) <= 1,
            "matmul": lambda other: len(other) == len(shape) > 1 and other[:-2] == shape[:-2] and shape[-1] == other[-2],
            "attention": lambda other: len(other) == len(shape) == 2 and other[-1] == shape[-1],
            "upsample": lambda other: len(other) == len(shape),
            "center_crop": lambda other: len(other) == len(shape),
            "average": lambda other: other == shape,
            "stack": lambda other: other == shape,
            # PyTorch lays axes of size 1 out as it likes
            "einsum": lambda other: (
                len(other) == len(shape) > 1 and other[:-2] == shape[:-2] and other[-1] == shape[-1] and min(*other, *shape) > 1
            ),
        }.get(op, lambda other: len(other) == len(shape) and all(a == b or 1 in (a, b) for a, b in zip(other, shape, strict=True)))
        found = [value for value in self.values if value.shape.batched(1)[0] == shape.batched(1)[0] and fits(value.shape)]
        found = [value for value in found if value.shape.joined == shape.joined]
        count = self.pick([1, 1, 1, 2, 3]) if op in ("add", "mul", "average", "concat", "stack", "maximum", "minimum") else 1
        return [self.pick(found) for _ in range(count)] if found else []

    def asked(self, q: Shape) -> list[Value]:
        """Keys and values for queries, of as many heads or of fewer, and sometimes a mask."""
        rank = len(q)
        keys = [one for one in self.values if len(one.shape) == rank > 1 and one.shape[-1] == q[-1] and q[0] % one.shape[0] == 0]
        if not keys or q[-1] == 1:  # one feature may have any stride, which kernels do not pass on
            return []
        k = self.pick(keys)
        v = self.pick([k, *(one for one in self.values if one.shape[:-1] == k.shape[:-1])])
        scores = (*q[:-1], k.shape[-2])
        masks = [one for one in self.values if 2 <= len(one.shape) <= rank and one.shape == scores[-len(one.shape) :]]
        return [k, v, self.pick(masks)] if masks and self.number(0, 1) else [k, v]

    def arguments(self, op: str, inputs: list[Value]) -> dict[str, Any]:
        shape = inputs[0].shape.inner
        rank = len(shape)
        own = getattr(self, f"of_{op}", None)
        if own is not None:
            return own(shape, inputs)
        if op in INPLACE:
            more = {"threshold": {"threshold": 0.1, "value": 2.0}, "dropout": {"p": self.pick([0.0, 0.3, 0.5, 1.0])}}.get(op, {})
            return more | {"inplace": bool(self.number(0, 1))}
        if op in REDUCTIONS:
            return self.of_reduction(op, shape)
        if op in ("softmax", "log_softmax"):
            return {"axis": self.number(-rank, rank - 1)}
        return {
            "prelu": {"shared": bool(self.number(0, 1))},
            "batchnorm": {"affine": bool(self.number(0, 3)), "track": bool(self.number(0, 3))},
            "layernorm": {"affine": bool(self.number(0, 1)), "axis": self.pick(["last", "channels"])},
            "rmsnorm": {"affine": bool(self.number(0, 1))},
            "groupnorm": {"groups": self.pick([1, 2, 4]), "affine": bool(self.number(0, 1))},
            "instancenorm": {"affine": bool(self.number(0, 1))},
            "lrn": {"size": self.number(1, 4)},
            "scale": {"factor": 0.5},
            "clone": {"contiguous": bool(self.number(0, 1))},
            "drop_path": {"p": self.pick([0.0, 0.3, 1.0])},
            "spatial_dropout": {"p": self.pick([0.0, 0.3, 1.0])},
            "linear": {
                "features": self.pick([4, 6, 8]),
                "axis": self.pick(["features", "last"]),
                "bias": bool(self.number(0, 1)),
                "parametrize": self.pick(["none", "none", "none", "weight_norm", "spectral_norm"]),
            },
            "channel_shuffle": {"groups": self.pick([1, 2, 4])},
            "pixel_shuffle": {"factor": 2},
            "pixel_unshuffle": {"factor": 2},
            "rotary": {"pairs": self.pick(["half", "interleaved"])},
        }.get(op, {})

    def window(self, rank: int, same: bool = True) -> dict[str, Any]:
        kernel = self.pick([1, 2, 3, 3, tuple(self.number(1, 3) for _ in range(rank - 1))])
        stride = self.pick([1, 1, 2, tuple(self.number(1, 2) for _ in range(rank - 1))])
        return {"kernel": kernel, "stride": stride, "padding": self.padding(rank) if same else self.pick([0, 1])}

    def padding(self, rank: int) -> Any:
        sides = tuple(self.pick([0, 1, (0, 1), (1, 0)]) for _ in range(rank - 1))
        return self.pick([0, 1, "same", "same_upper", sides, "causal" if rank == 2 else sides])

    def of_conv(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return self.window(len(shape)) | {
            "channels": self.pick([1, 4, 6, 8]),
            "dilation": self.pick([1, 1, 2]),
            "groups": self.pick([1, 1, 2, "depthwise"]),
            "bias": bool(self.number(0, 1)),
            "padding_mode": self.pick(["zeros", "zeros", "zeros", "reflect", "replicate", "circular"]),
            **self.pick([{}, {}, {"standardize": 1e-5}, {"parametrize": self.pick(["weight_norm", "spectral_norm"])}]),
        }

    def of_conv_transpose(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return self.window(len(shape), same=False) | {
            "channels": self.pick([1, 4, 6]),
            "groups": self.pick([1, 1, 2]),
            "dilation": self.pick([1, 1, 2]),
            "output_padding": self.pick([0, 0, 1]),
        }

    def of_maxpool(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        more = {"dilation": self.pick([1, 1, 2]), "ceil": bool(self.number(0, 1)), "indices": bool(self.number(0, 1))}
        return self.window(len(shape)) | more

    def of_avgpool(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return self.window(len(shape)) | {"ceil": bool(self.number(0, 1)), "count_padding": bool(self.number(0, 1))}

    def of_lppool(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"norm": self.pick([1, 2, 3.0]), "kernel": self.number(1, 3), "ceil": bool(self.number(0, 1))}

    def of_adaptive_avgpool(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"size": self.pick([1, 2, 3, tuple(self.number(1, 3) for _ in shape[1:])])}

    of_adaptive_maxpool = of_adaptive_avgpool

    def of_pad(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        sides = tuple(self.number(-1, 2) for _ in range(2 * len(shape) - 2))
        return {"sides": sides, "mode": self.pick(["zeros", "zeros", "reflect", "replicate", "circular"])}

    def of_crop(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"sides": tuple(self.number(0, 1) for _ in range(2 * len(shape) - 2))}

    def of_center_crop(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {} if len(inputs) == 2 else {"size": tuple(self.number(1, size) for size in shape[1:])}

    def of_upsample(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        scales = [{"scale": self.number(1, 2)}, {"scale": self.pick([0.5, 1.5, 1.3]), "recompute": bool(self.number(0, 1))}]
        ways: list[dict[str, Any]] = [*scales, {"size": tuple(self.number(1, 6) for _ in shape[1:])}]
        return ({} if len(inputs) == 2 else self.pick(ways)) | {
            "mode": self.pick(["nearest", "linear"]),
            "align_corners": bool(self.number(0, 1)),
        }

    def of_attention(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"heads": self.pick([1, 2, 4]), "bias": bool(self.number(0, 1)), "dropout": self.pick([0.0, 0.0, 0.2])}

    def of_scaled_dot_product_attention(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {
            "causal": len(inputs) == 3 and bool(self.number(0, 1)),
            "dropout": self.pick([0.0, 0.0, 0.0, 0.2]),
            "scale": self.pick([None, None, 0.3]),
        }

    def of_roll(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        axes = self.axes(shape)
        return {"axis": axes, "shift": tuple(self.number(-3, 3) for _ in axes)}

    def of_flip(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"axis": self.axes(shape)}

    def axes(self, shape: Shape) -> tuple[int, ...]:
        return tuple(self.random.sample(range(len(shape)), self.number(1, len(shape))))

    def of_slice(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        axis = self.number(-len(shape), len(shape) - 1)
        return {"axis": axis, "start": self.number(0, shape[axis] - 1), "step": self.number(1, 3)}

    def of_index(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        axis = self.number(-len(shape), len(shape) - 1)
        return {"axis": axis, "indices": tuple(self.number(0, shape[axis] - 1) for _ in range(self.number(1, 4)))}

    def of_tile(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"times": tuple(self.number(1, 2) for _ in shape)}

    def of_repeat_interleave(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"times": self.number(1, 3), "axis": self.number(-len(shape), len(shape) - 1)}

    def of_expand(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"shape": tuple(self.number(1, 3) if size == 1 else -1 for size in shape)}

    def of_unbind(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"axis": self.number(-len(shape), len(shape) - 1)}

    def of_einsum(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        shared = "abc"[: len(shape) - 2]
        out = "".join(self.random.sample(shared + "qk", len(shape)))
        return {"equation": f"{shared}qd,{shared}kd->{out}"}

    def of_stack(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"axis": self.number(-len(shape) - 1, len(shape))}

    def of_reduction(self, op: str, shape: Shape) -> dict[str, Any]:
        axis = self.number(-len(shape), len(shape) - 1)
        if op.startswith("cum"):
            return {"axis": axis}
        if op == "topk":
            return {"axis": axis, "k": self.number(1, shape[axis])}
        keepdim = bool(self.number(0, 1))
        if op in ("max", "min") and self.number(0, 1):
            return {"axis": axis, "keepdim": keepdim, "indices": True}
        axes = tuple(sorted(self.random.sample(range(len(shape)), self.number(1, len(shape)))))
        return {"axis": axes, "keepdim": keepdim}

    def of_clamp(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return self.pick([{"low": 0.0}, {"high": 0.5}, {"low": -0.5, "high": 0.5}])

    def of_sub(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"value": 1.5, "reverse": bool(self.number(0, 1))} if len(inputs) == 1 else {"broadcast": True}

    of_div = of_pow = of_sub

    def of_maximum(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"broadcast": True}

    of_minimum = of_maximum

    def of_relative_position_bias(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"window": (shape[-1],)}

    def of_experts(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        more = {"activation": self.pick(["swiglu", "gelu", "relu"]), "renormalize": bool(self.number(0, 1))}
        return more | {"count": 3, "hidden": self.pick([2, 5]), "top": self.number(1, 3)}

    def of_normalize(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"axis": self.number(-len(shape), len(shape) - 1), "start": self.pick([None, 20.0])}

    def of_rnn(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {
            "hidden": self.pick([4, 6]),
            "layers": self.pick([1, 1, 2]),
            "bidirectional": bool(self.number(0, 1)),
            "bias": bool(self.number(0, 1)),
            "dropout": self.pick([0.0, 0.0, 0.3, 1.0]),
            "states": bool(self.number(0, 1)),
        }

    of_gru = of_rnn

    def of_lstm(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        """With a projection: of the kernel without one, what is kept is no more than a bound."""
        return self.of_rnn(shape, inputs) | {"projection": self.pick([1, 3])}

    def of_add(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"broadcast": True, "inplace": self.number(0, 2) == 0}

    def of_concat(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        differ = [i for value in inputs for i, size in enumerate(value.shape.inner) if size != shape[i]]
        return {"axis": differ[0] if differ else self.number(-len(shape), len(shape) - 1)}

    def of_split(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        axis = self.number(-len(shape), len(shape) - 1)
        first = self.number(1, shape[axis])
        sizes = () if self.number(0, 1) or first == shape[axis] else (first, shape[axis] - first)
        return {"parts": self.pick([n for n in (1, 2, 3, 4) if shape[axis] % n == 0]), "axis": axis, "sizes": sizes}

    def of_reshape(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        left, sizes = math.prod(shape), []
        for _ in range(self.number(0, 3)):
            sizes.append(self.pick([n for n in range(1, left + 1) if left % n == 0 and n <= 16]))
            left //= sizes[-1]
        return {"shape": (*sizes, left)}

    def of_permute(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"order": tuple(self.random.sample(range(len(shape)), len(shape)))}

    def of_transpose(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        return {"axes": (self.number(-len(shape), len(shape) - 1), self.number(0, len(shape) - 1))}

    def of_select(self, shape: Shape, inputs: list[Value]) -> dict[str, Any]:
        axis = self.number(-len(shape), len(shape) - 1)
        return {"axis": axis, "index": self.number(-shape[axis], shape[axis] - 1)}


def corrupts(shape: Shape, args: dict[str, Any]) -> bool:
    """Whether a window of a maximum lies in PyTorch's own padding alone: PyTorch 2.13 then writes outside of its memory in backward."""
    window = Window(shape.space, args["kernel"], args["stride"], args["padding"], args["dilation"], args["ceil"])
    axes = zip(window.space, window.kernel, window.stride, window.dilation, window.pads, window.out, strict=True)
    return window.symmetric and any(
        all(not 0 <= at * stride - low + tap * dilation < size for tap in range(kernel))
        for size, kernel, stride, dilation, (low, _), count in axes
        for at in range(count)
    )


def drawn(random: Random, most: int, regions: bool = False) -> Graph:
    build = Builder(random, regions)
    for _ in range(random.choice([1, 1, 2])):
        build.input()
    if random.random() < 0.1:
        build.indices()
    for _ in range(random.randint(2, most)):
        build.layer()
    build.leave()
    return build.graph


def graphs(most: int = 14) -> st.SearchStrategy[Graph]:
    return st.randoms(use_true_random=False).map(lambda random: drawn(random, most))
