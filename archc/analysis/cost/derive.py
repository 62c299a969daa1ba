"""What each figure means, and how that of a layer comes about: its formula, and the formula with the numbers in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from archc.analysis.cost.report import Layer
from archc.analysis.field.field import Axis, Field, Fields
from archc.graph import Node, Value
from archc.ops.contract import breach
from archc.ops.facts import NEW, Facts, Work
from archc.ops.reach import Reach, rules_of
from archc.ops.shape import Shape, product
from archc.ops.tracked import Tracked, formula, number_of, numbers, track
from archc.ops.window import AXIS_NAMES

NO_FIELDS: Mapping[Value, Fields] = {}


class DerivationStep(NamedTuple):
    """`what = formula = numbers = value`; parts that would repeat are empty."""

    what: str
    formula: str
    numbers: str
    value: str

    def __str__(self) -> str:
        parts = [self.formula, self.numbers, self.value]
        kept = [part for i, part in enumerate(parts) if part and part not in parts[:i]]
        return f"{self.what} = {' = '.join(kept)}"


def derive(layer: Layer, fields: Mapping[Value, Fields] = NO_FIELDS) -> list[DerivationStep]:
    """The derivation of each figure of a layer. `fields` are the receptive fields of the values before it."""
    facts = _tracked_facts(layer.node)
    steps = _shape_steps(layer.node, facts)
    steps += _weight_steps(facts)
    if isinstance(facts.macs, int) and facts.macs:
        steps.append(_step("MACs", facts.macs))
    steps += _work_steps(facts)
    steps += _activation_steps(facts)
    for name, field in layer.fields.items() if fields else ():
        before = [fields[value][name] for value in layer.node.inputs[: facts.reads] if name in fields.get(value, {})]
        steps += _field_steps(layer.node, before, field, f" on {name}" if len(layer.fields) > 1 else "")
    if facts.dense is not None:
        steps.append(_step("parameters of a fully-connected layer that does the same", facts.dense))
    return steps


def _tracked_facts(node: Node) -> Facts:
    """The operator, run on numbers that remember their formulas; a plugin that takes plain numbers alone keeps its facts."""
    shapes = _tracked_shapes(node)
    args = {name: _tracked_argument(name, value) for name, value in node.args.items()}
    try:
        facts = node.op(*shapes, **args)
    except Exception:
        if node.op.built_in:
            raise
        return node.facts
    return facts if node.op.built_in or breach(facts, shapes) is None else node.facts


def _tracked_shapes(node: Node) -> list[Shape]:
    """The inputs' shapes; with several inputs, their axes are numbered: C1, C2."""
    several = len(node.inputs) > 1
    pairs = [(value.shape, str(i + 1) if several else "") for i, value in enumerate(node.inputs)]
    return [Shape(track(shape, [name + suffix for name in axis_names(node, shape)])).named(shape.names) for shape, suffix in pairs]


def axis_names(node: Node, shape: Shape) -> tuple[str, ...]:
    """`C, H, W` for a map, `T, D` for tokens, as the operator's documentation has them."""
    if len(shape) == 1:
        return ("F",)
    if len(shape) == 2 and not node.op.summary.startswith("[C"):
        return ("T", "D")
    return ("C", *AXIS_NAMES.get(len(shape) - 1, [f"axis{i}" for i in range(1, len(shape))]))


def _tracked_argument(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | tuple):
        return value
    if isinstance(value, int):
        return Tracked(value, name)
    if all(isinstance(size, int) for size in value) and len(set(value)) == 1:
        return tuple(Tracked(size, name) for size in value)
    return tuple(Tracked(size, f"{name}[{i}]") if isinstance(size, int) else size for i, size in enumerate(value))


def _step(what: str, value: int) -> DerivationStep:
    return DerivationStep(what, formula(value), numbers(value), _text(value))


def _text(value: int) -> str:
    """A number, or the formula of one that depends on open sizes."""
    number = number_of(value)
    return f"{number:,}" if type(number) is int else f"{number}"


def _sum(sizes: list[int]) -> int:
    total = sizes[0]
    for size in sizes[1:]:
        total = total + size
    return total


def _shape_steps(node: Node, facts: Facts) -> list[DerivationStep]:
    """A step for each size of the output that is worked out, not handed on."""
    handed_on = {size.symbols for shape in _tracked_shapes(node) for size in shape if isinstance(size, Tracked)}
    shape = facts.outputs[0]
    names = ("T", "D") if len(shape) == 2 and "-> [T" in node.op.summary else axis_names(node, shape)
    steps = []
    for name, size in zip(names, shape, strict=True):
        if isinstance(size, Tracked) and size.symbols not in handed_on:
            steps.append(_step(size.symbols if size.parent is not None else name + "'", size))
    return steps


def _weight_steps(facts: Facts) -> list[DerivationStep]:
    steps, learned = [], {}
    for role, what in (("weight", "weights"), ("bias", "biases"), ("buffer", "buffers")):
        sizes = [product(weight.shape) for weight in facts.owned if weight.role == role]
        if sizes:
            steps.append(_step(what, _sum(sizes)))
            if role != "buffer":
                learned[what] = int(_sum(sizes))
    if len(learned) > 1:
        written = " + ".join(f"{size:,}" for size in learned.values())
        steps.insert(2, DerivationStep("parameters", " + ".join(learned), written, f"{sum(learned.values()):,}"))
    return steps


def _work_steps(facts: Facts) -> list[DerivationStep]:
    if not isinstance(facts.work, Work) or not facts.work.flops:
        return []
    names = {"multiply": "multiplies", "add": "adds", "compare": "compares", "special": "special functions"}
    parts = [(names[name], value) for name, value in facts.work._asdict().items() if value]
    steps = [_step(f"FLOPs, {what}", value) for what, value in parts]
    if len(parts) > 1:
        written = " + ".join(f"{number_of(value):,}" for _, value in parts)
        steps.append(DerivationStep("FLOPs", " + ".join(what for what, _ in parts), written, _text(facts.work.flops)))
    return steps


def _activation_steps(facts: Facts) -> list[DerivationStep]:
    values = _sum([shape.values for shape in facts.outputs])
    step = _step("output values", values)
    if facts.storage == NEW:
        size = 4 * number_of(values)
        return [step, DerivationStep("memory", "output values*4 bytes", f"{number_of(values):,}*4", f"{_text(size)} bytes in float32")]
    why = "a view: it shares its input's memory" if facts.storage == "view" else "in place: written over its input"
    return [step._replace(value=f"{step.value} ({why}, so none is new)")]


def _field_steps(node: Node, before: list[Field], field: Field, on: str) -> list[DerivationStep]:
    """That of its input where a layer hands it on; else axis by axis, those that are alike once."""
    what = f"receptive field{on}"
    if not field.exact:
        bound = "the whole input" if field.covers_input else "x".join(map(str, field.size))
        return [DerivationStep(what, "", "", f"at most {bound}: a bound, since positions could not be followed")]
    if field.covers_input:
        return [DerivationStep(what, "", "", "the whole input")]
    if all(source.axes == field.axes for source in before) or (len(before) == 1 and None not in field.jump and _alike(before[0], field)):
        return [DerivationStep(what, f"that of its input{'s' if len(before) > 1 else ''}", "", str(field))]
    steps: list[DerivationStep] = []
    names = AXIS_NAMES.get(len(field.axes), ())
    seen = set()
    for k, (name, axis) in enumerate(zip(names, field.axes, strict=False)):
        inputs = [source.axes[k] for source in before]
        rule = _window(node, axis) if len(inputs) == 1 else None
        key = (axis._replace(axis=0), *(value._replace(axis=0) for value in inputs), rule)
        if key not in seen:
            seen.add(key)
            steps += _axis_steps(f"{name}{on}", inputs, axis, rule)
    return steps


def _alike(before: Field, after: Field) -> bool:
    return (before.size, before.jump) == (after.size, after.jump)


def _window(node: Node, axis: Axis) -> Reach | None:
    """The window that a layer slides along an axis, if it does."""
    rules = rules_of(node.facts.reach) or ()
    at = axis.axis - (len(node.output.shape) - len(rules))
    rule = rules[at] if axis.axis >= 0 and 0 <= at < len(rules) else None
    return rule if isinstance(rule, Reach) else None


def _axis_steps(name: str, inputs: list[Axis], axis: Axis, rule: Reach | None) -> list[DerivationStep]:
    """By the window where fields move on evenly; else by the first and last pixel at the position where it is widest."""
    if axis.covers_input:
        return [DerivationStep(f"receptive field ({name})", "", "", f"{axis.size}, the whole axis")]
    if rule is not None and axis.jump is not None and inputs[0].jump is not None:
        before, window = inputs[0], rule.high - rule.low + 1
        return [
            DerivationStep(
                f"receptive field ({name})", "size + (window - 1)*jump", f"{before.size} + ({window} - 1)*{before.jump}", str(axis.size)
            ),
            DerivationStep(f"jump ({name})", "jump*stride", f"{before.jump}*{rule.step}", str(axis.jump)),
        ]
    if not axis.size:
        return [DerivationStep(f"receptive field ({name})", "", "", "0: no position sees a pixel")]
    i = axis.widest()
    first, last = axis.span(i)
    start = f"({first})" if first < 0 else str(first)
    return [
        DerivationStep(f"widest position ({name})", "", "", f"{i}, which sees pixels {first} to {last}"),
        DerivationStep(f"receptive field ({name})", "last - first + 1", f"{last} - {start} + 1", str(axis.size)),
    ]


DEFINITIONS = {
    "MACs": "multiply-accumulates of convolution, linear, attention and matmul layers only, without biases, for one image in the"
    " forward pass: what papers since ResNet print as FLOPs.",
    "FLOPs": "every floating-point multiply, add, compare or special function (division, root, power, exp, log, erf, tanh: one each)"
    " of every layer, for one image in the forward pass. A filter of K taps without a bias is K multiplies and K - 1 adds. Windows"
    " over padding count as full.",
    "parameters": "learned values: weights and biases. The weights of a shared layer count once.",
    "weights": "learned values that are not biases: kernels, matrices, and the scales of normalizations.",
    "biases": "learned values that are added: the biases of convolutions and linear layers, and the shifts of normalizations.",
    "buffers": "values that are stored but not learned: the running means and variances of batchnorm, and its count of batches.",
    "activations": "values of all layers' outputs for one image, as a forward pass in training makes them. A view shares its input's"
    " memory and a result in place overwrites it; both are marked and not counted again.",
    "memory": "bytes of the activations, parameters, gradients and optimizer state, summed as if all were kept at once. The peak of a"
    " training step is a different figure.",
    "receptive field": "along each axis, the pixels of the input from the first to the last that can reach one position of the output, at"
    " the position that sees the most; holes between them count. Padding counts as more of the image, so a field may be larger than it,"
    " as papers state them; circular padding, with values from the other side, counts in the same way. Where positions have no common step"
    " (resampling by an uneven ratio, positions joined, cut or reordered), the field covers the actual positions, cut at the"
    " image's border. An input that gives only its size adds nothing. `all` is the whole input, seen from every position; `≤` marks"
    " a bound.",
}
