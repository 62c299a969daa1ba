"""The table of the lectures: `CONV3-64: [224x224x64] = 3.2M   (3x3x3)x64 = 1,728`."""

from __future__ import annotations

from archc.analysis.cost.report import Layer, Report
from archc.catalog.dtypes import NETWORK
from archc.graph import Node, Value
from archc.ops.shape import Shape, product
from archc.text.quantity import counted

HIDDEN = ("flatten", "dropout", "identity", "tokens")  # lectures show what has weights or changes the size
SHOWN = ("maxpool", "avgpool", "lrn", "softmax")


def lecture_lines(report: Report, biases: bool = False) -> list[str]:
    """The rows of the table, and its totals. Lectures count weights, biases apart; with `biases` a row has both.

    The totals are for the report's batch, dtype and optimizer.
    """
    graph = report.graph
    rows = [("INPUT", _volume(value.shape), _round_text(value.shape.values), "0") for value in graph.inputs.values()]
    shown = [layer for layer in report.layers if is_volume(layer)]
    rows += [(_title(layer), _volume(layer.output_shape), _round_text(layer.values), _weights(layer, biases)) for layer in shown]
    wide = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [
        f"{(title + ':').ljust(wide[0] + 1)} {volume.ljust(wide[1])} = {values.rjust(wide[2])}   {weights}"
        for title, volume, values, weights in rows
    ]
    values = sum(v.shape.values for v in graph.inputs.values()) + sum(layer.values for layer in shown)
    return [*lines, "", *_volume_totals(report, values), *_weight_totals(report, biases)]


def _volume_totals(report: Report, values: int) -> list[str]:
    memory = report.memory
    size = NETWORK[memory.dtype]
    lines = [f"TOTAL values:  {values:,} = {_round_text(values, 3)} x {size} bytes = {bytes_of(size * values)} an image, forward alone"]
    factors, volume = [], size * values
    if memory.batch > 1:
        factors.append(f"x {counted(memory.batch, 'image')}")
        volume *= memory.batch
    if memory.optimizer:
        factors.append("x 2 for the gradients in backward")
        volume *= 2
    return lines + ([f"               {' '.join(factors)} = {bytes_of(volume)}"] if factors else [])


def _weight_totals(report: Report, biases: bool) -> list[str]:
    memory = report.memory
    size = NETWORK[memory.dtype]
    counted, what = (report.parameters, "TOTAL params: ") if biases else (report.weights, "TOTAL weights:")
    first = f"{what} {counted:,} = {_round_text(counted, 3)} x {size} bytes = {bytes_of(size * counted)}"
    biases_text = f"of them {report.biases:,} biases" if biases else f"with {report.biases:,} biases {report.parameters:,}"
    lines = [f"{first}; {biases_text}"]
    if memory.optimizer:
        total = memory.parameters + memory.gradients + memory.optimizer_state
        factor = f"{total / memory.parameters:.2f}".removesuffix("0").removesuffix(".0") if memory.parameters else "1"
        kept = "weights, gradients, state" if memory.optimizer_state else "weights, gradients"
        lines.append(f"               x {factor} with {memory.optimizer} ({kept}) = {bytes_of(total)}, biases included")
    return lines


def bytes_of(size: int) -> str:
    """Decimal, as lectures have it: `61.0 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:,.{2 if unit == 10**9 else 1}f} {name}"
    return f"{size / 1e3:.1f} KB"


def is_volume(layer: Layer) -> bool:
    """Activations are drawn into the layer before them; views make no volume of their own."""
    node = layer.node
    same = len(node.inputs) == 1 and node.inputs[0].shape == layer.output_shape
    return layer.kind not in HIDDEN and not (same and not layer.parameters.low and layer.kind not in SHOWN)


def _title(layer: Layer) -> str:
    return layer.node.facts.classic or layer.kind.upper()


def _volume(shape: Shape) -> str:
    """Height, width, then channels, as lectures write it."""
    sizes = (*shape.space, shape.channels) if len(shape) > 2 else (1, 1, shape[0]) if len(shape) == 1 else shape
    return f"[{'x'.join(map(str, sizes))}]"


def _round_text(value: int, digits: int = 2) -> str:
    """`3.2M`, `800K`, `4096`: as many digits as lectures print."""
    if value < 10_000:
        return str(value)
    for size, suffix in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if value >= size:
            scaled = float(f"{value / size:.{digits}g}")
            return f"{scaled:g}{suffix}"
    return str(value)


def _weights(layer: Layer, biases: bool) -> str:
    """`(5x5x6)x16 = 2,400`, or with biases `(5x5x6)x16 + 16 = 2,416`."""
    own = [w for w in layer.node.facts.owned if w.role == "weight" or (biases and w.role == "bias")]
    if not own or layer.node.shared is not None:
        return "0"
    texts = [_product(layer.node, tuple(weight.shape)) for weight in own]
    return f"{' + '.join(texts)} = {(layer.parameters if biases else layer.weights).low:,}"


def _product(node: Node, shape: tuple[int, ...]) -> str:
    """`(3x3x64)x128` for a convolution, `7x7x512x4096` for a dense layer on a map that was flattened."""
    if len(shape) > 2:
        return f"({'x'.join(map(str, (*shape[2:], shape[1])))})x{shape[0]}"
    if len(shape) == 2:
        source = _unflatten(node.inputs[0])
        before = (*source.space, source.channels) if product(source) == shape[1] and len(source) > 1 else (shape[1],)
        return "x".join(map(str, (*before, shape[0])))
    return "x".join(map(str, shape)) or "1"


def _unflatten(value: Value) -> Shape:
    """The map behind a vector, through layers that change no size."""
    node = value.node
    while node is not None and len(node.inputs) == 1 and node.inputs[0].shape.values == value.shape.values:
        if node.kind == "flatten":
            return node.inputs[0].shape
        node = node.inputs[0].node
    return value.shape
