"""The rules of each tool: what it counts of a layer beside, or instead of, archc's multiply-accumulates.

A rule yields (what, amount). The amounts of a layer and its MACs add up to what the tool counts for it. Each rule was
read in the source of the version in `tools.py` and measured with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from archc.analysis.compare.conventions.form import MULTIPLYING, NORMS, POOLS, HookedLayer
from archc.graph import Value
from archc.ops.shape import product

Parts = Iterator[tuple[str, int]]

UNSEEN_PRODUCTS = "the two products of each head are not counted"


def nothing(form: HookedLayer) -> Parts:
    """MACs alone."""
    yield from ()


def torchinfo(form: HookedLayer) -> Parts:
    """Weights times output positions for classes with Conv in their name; for all others weights, once an image."""
    kind, family = form.kind, form.family
    if family in ("Conv", "ConvTranspose"):
        if family == "ConvTranspose":
            yield _by_output(form)
        yield f"{kind}: a bias is one per value", form.y if form.biases else 0
    elif family == "Linear":
        yield f"{kind}: on the first token alone", form.weights - form.biases - form.macs
        yield f"{kind}: a bias is one per feature", form.biases
    elif family in ("MultiheadAttention", "matmul"):
        yield f"{kind}: not counted", -form.macs
    elif family:
        yield f"{kind}: each weight and bias as one", form.weights


def fvcore(form: HookedLayer) -> Parts:
    """Operators of a trace of the network in evaluation mode."""
    kind, family = form.kind, form.family
    if not form.used:
        yield f"{kind}: not counted where nothing uses it", -form.macs
    elif family == "MultiheadAttention":
        yield f"{kind}: {UNSEEN_PRODUCTS}", -form.products
    elif family in NORMS:
        yield _per_value(kind, _estimate(form), form.x)
    elif family == "Upsample" and len(form.out) == 3:
        yield _per_value(kind, 4 if form.options.get("mode") == "bilinear" else 1, form.y)
    elif family == "AdaptiveAvgPool" and form.rank == 2:
        yield f"{kind}: 1 per value read", form.x


def thop(form: HookedLayer) -> Parts:
    """Modules of the classes that it lists, each by a rule; others are zero."""
    kind, family = form.kind, form.family
    if family == "ConvTranspose":
        yield _by_output(form)
    elif family in ("MultiheadAttention", "matmul"):
        yield f"{kind}: not counted", -form.macs
    elif family in ("BatchNorm", "LayerNorm", "InstanceNorm"):
        yield _per_value(kind, 4 if form.scaled else 2, form.x)
    elif family == "PReLU":
        yield _per_value(kind, 1, form.x)
    elif family == "Softmax":
        axis = form.options["dim"]
        rows = form.y // form.out[axis - 1 if axis > 0 else axis]
        yield f"{kind}: 3 per value, less 1 per row", 3 * form.y - rows
    elif family == "AvgPool":
        yield f"{kind}: 1 per output value", form.y * form.calls
    elif family == "AdaptiveAvgPool":
        taps = 1.0
        for size, bins in zip(form.inputs[0].space, form.out.space, strict=True):
            taps *= size / bins
        yield f"{kind}: 1 per value of its window and 1 more, per output value", int((taps + 1) * form.y)
    elif family == "Upsample":
        each = {"nearest": 1, "linear": 5, "bilinear": 11}.get(form.options.get("mode", "nearest"), 0)
        yield _per_value(kind, each, form.y)


THOP_KNOWS = (
    *("Conv", "ConvTranspose", "Linear", "BatchNorm", "LayerNorm", "InstanceNorm"),
    *("PReLU", "Softmax", "ReLU", "ReLU6", "LeakyReLU", "Upsample", *POOLS),
)


def thop_parameters(form: HookedLayer) -> Parts:
    """It adds up the parameters of the modules that it has a rule for."""
    if form.family not in THOP_KNOWS:
        yield f"{form.kind}: not counted", -form.owned


def ptflops(form: HookedLayer) -> Parts:
    """Hooks on modules, and the functions that modules call: activations and pools that have both count twice."""
    kind, family = form.kind, form.family
    if family in ("Conv", "ConvTranspose", "Linear"):
        yield f"{kind}: a bias is one per value", form.y if form.biases else 0
    elif family == "MultiheadAttention":
        asked = form.inputs[-1].values
        yield f"{kind}: biases, that of the last projection always", (form.x + 2 * asked if form.biases else 0) + form.y
        yield f"{kind}: 1 per query value and 1 per score", form.x + form.scores
    elif family in ("BatchNorm", "InstanceNorm", "GroupNorm"):
        yield _per_value(kind, 2 if form.scaled else 1, form.x)
    elif family in ("LayerNorm", "LeakyReLU", "ReLU6", "SiLU", "Softmax"):
        yield _per_value(kind, 1, form.x)
    elif family in ("ReLU", "PReLU", "ELU", "GELU"):
        yield f"{kind}: 2 per value, once for the module and once for its function", 2 * form.x
    elif family in POOLS:
        yield f"{kind}: 2 per value read, once for the module and once for its function", 2 * form.x * form.calls
    elif family == "Upsample":
        yield f"{kind}: 2 per output value, once for the module and once for its function", 2 * form.y
    else:
        yield from _by_functions(form)


def ptflops_aten(form: HookedLayer) -> Parts:
    """Matrix products and convolutions as they reach the dispatcher, with the biases that go with them."""
    kind, family = form.kind, form.family
    if family in ("Conv", "ConvTranspose"):
        yield f"{kind}: a bias is one per value", form.y if form.biases else 0
    elif family == "Linear":
        yield f"{kind}: a bias is one per value", form.y if form.biases and not apart(form.node.inputs[0]) else 0
    elif family == "MultiheadAttention":
        yield f"{kind}: {UNSEEN_PRODUCTS}", -form.products
        yield f"{kind}: a bias is one per value", _attention_biases(form) if form.biases else 0


def calflops(form: HookedLayer) -> Parts:
    """The functions that modules call."""
    if form.family == "ConvTranspose" and form.groups > 1:
        yield f"{form.kind}: divided by the groups twice", _calflops_transposed(form) - form.macs
    elif form.family == "MultiheadAttention":
        yield f"{form.kind}: {UNSEEN_PRODUCTS}", -form.products


def calflops_flops(form: HookedLayer) -> Parts:
    """The same, with two operations for a multiply-accumulate, and the rest of the functions."""
    kind, family = form.kind, form.family
    parts = list(calflops(form))
    yield from parts
    if family in MULTIPLYING:
        yield "a multiply-accumulate is two operations", form.macs + sum(amount for _, amount in parts)
    if family == "Conv":
        yield f"{kind}: a bias is one per value", form.y if form.biases else 0
    elif family == "ConvTranspose":
        yield f"{kind}: biases, by the size rule of a convolution", _calflops_transposed_bias(form) if form.biases else 0
    elif family in NORMS:
        yield _per_value(kind, _estimate(form), form.x)
    elif family in ("ReLU", "PReLU", "ELU", "LeakyReLU", "SiLU", "GELU", "Softmax"):
        yield _per_value(kind, 1, form.x)
    elif family in POOLS:
        yield f"{kind}: 1 per value read", form.x * form.calls
    elif family == "Upsample":
        size = form.options.get("size")
        yield (f"{kind}: 1 per value read", form.x) if size is None else (f"{kind}: 1 per position", product(map(int, size)))
    else:
        yield from _by_functions(form)


def _by_functions(form: HookedLayer) -> Parts:
    """Layers that PyTorch makes of functions: tools that watch functions count those."""
    if form.family == "LPPool":
        yield f"{form.kind}: 1 per value read and 2 per output value", form.x + 2 * form.y
    elif form.family == "LocalResponseNorm":
        values, averaged = form.lrn
        yield f"{form.kind}: 3 per value, and 1 per value that it averages", 3 * values + averaged


def _by_output(form: HookedLayer) -> tuple[str, int]:
    at_each = form.macs // product(form.inputs[0].space)
    what = f"{form.kind}: at each output position, where work is done at each input position"
    return what, at_each * product(form.out.space) - form.macs


def _per_value(kind: str, each: int, values: int) -> tuple[str, int]:
    return f"{kind}: {each} per value", each * values


def _estimate(form: HookedLayer) -> int:
    """Operations of a norm for each value, as fvcore and calflops estimate them."""
    if form.family == "BatchNorm" and form.tracked:
        return 2 if form.scaled else 1
    return 5 if form.scaled else 4


def _calflops_transposed(form: HookedLayer) -> int:
    filters = int(form.out.channels) // form.groups
    return form.macs // filters * (filters // form.groups)


def _calflops_transposed_bias(form: HookedLayer) -> int:
    kernel = form.node.facts.owned[0].shape[2:]
    windows = zip(kernel, form.on_axes("stride", 1), form.on_axes("padding", 0), form.on_axes("dilation", 1), strict=True)
    sizes = [(int(n) + 2 * p - (d * (int(k) - 1) + 1)) // s + 1 for n, (k, s, p, d) in zip(form.inputs[0].space, windows, strict=True)]
    return int(form.out.channels) // form.groups * product(sizes)


def _attention_biases(form: HookedLayer) -> int:
    """Biases of the projections that reach the dispatcher together with their product."""
    queries, asked = form.node.inputs[0], form.node.inputs[-1]
    if len(form.inputs) == 1:
        return form.y + (0 if apart(queries) else 3 * form.x)
    return form.y + (0 if apart(queries) else form.x) + (0 if apart(asked) else 2 * int(asked.shape.values))


TURNING = ("tokens", "transpose")  # and permute, by its order
KEEPING = ("position_embedding", "layer_scale", "scale", "dropout", "spatial_dropout", "drop_path", "add", "mul", "average")


def apart(value: Value) -> bool:
    """Whether a sequence is not contiguous in memory. PyTorch multiplies it first and adds the bias after."""
    node = value.node
    if node is not None and node.kind == "split" and len(value.shape) == 2 and node.args["axis"] % 2 == 1 and value.shape[0] > 1:
        return True
    return is_turned(value)


def is_turned(value: Value) -> bool:
    """Whether its axes lie in memory in the other order."""
    node = value.node
    if node is None or len(value.shape) != 2:
        return False
    if node.kind == "split":
        return is_turned(node.inputs[0])
    if 1 in value.shape:
        return False
    form = HookedLayer(node)
    if node.kind in TURNING or form.family == "ChannelLayerNorm":
        return True
    if node.kind == "permute":
        return tuple(node.args["order"]) == (1, 0)
    pointwise = node.op.module == "archc.ops.activation" and form.family not in ("Softmax", "LogSoftmax", "GLU")
    return (node.kind in KEEPING or pointwise) and is_turned(node.inputs[0])
