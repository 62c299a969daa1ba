"""How each figure of a layer comes about: its formula, and the formula with the numbers in it."""

from __future__ import annotations

from typing import Any, NamedTuple

from archc.analysis.cost import Layer
from archc.analysis.field import Axis, Field
from archc.graph import Node
from archc.ops.facts import NEW, Facts, Work
from archc.ops.window import AXIS_NAMES
from archc.shape import Shape, product
from archc.tracked import Tracked, formula, numbers, track


class Step(NamedTuple):
    """`what = formula = numbers = value`; parts that would repeat are empty."""

    what: str
    formula: str
    numbers: str
    value: str

    def __str__(self) -> str:
        parts = [self.formula, self.numbers, self.value]
        kept = [part for i, part in enumerate(parts) if part and part not in parts[:i]]
        return f"{self.what} = {' = '.join(kept)}"


def derive(layer: Layer, before: Field | None = None) -> list[Step]:
    """The derivation of each figure of a layer. `before` is the receptive field of its first input."""
    facts = _tracked_facts(layer.node)
    steps = _shape_steps(layer.node, facts)
    steps += _weight_steps(facts)
    if isinstance(facts.macs, int) and facts.macs:
        steps.append(_step("MACs", facts.macs))
    steps += _work_steps(facts)
    steps += _activation_steps(facts)
    if before is not None:
        steps += _field_steps(layer.node, before, layer.field)
    if facts.dense is not None:
        steps.append(_step("parameters of a fully-connected layer that does the same", facts.dense))
    return steps


def _tracked_facts(node: Node) -> Facts:
    """The operator, run on numbers that remember their formulas."""
    shapes = _tracked_shapes(node)
    args = {name: _tracked_argument(name, value) for name, value in node.args.items()}
    return node.op.function(*shapes, **args)


def _tracked_shapes(node: Node) -> list[Shape]:
    """The inputs' shapes; with several inputs, their axes are numbered: C1, C2."""
    several = len(node.inputs) > 1
    pairs = [(value.shape, str(i + 1) if several else "") for i, value in enumerate(node.inputs)]
    return [Shape(track(shape, [name + suffix for name in axis_names(node, shape)])) for shape, suffix in pairs]


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
    if len(set(value)) == 1 and all(isinstance(one, int) for one in value):
        return tuple(Tracked(one, name) for one in value)
    return tuple(Tracked(one, f"{name}[{i}]") if isinstance(one, int) else one for i, one in enumerate(value))


def _step(what: str, value: int) -> Step:
    return Step(what, formula(value), numbers(value), f"{int(value):,}")


def _sum(sizes: list[int]) -> int:
    total = sizes[0]
    for size in sizes[1:]:
        total = total + size
    return total


def _shape_steps(node: Node, facts: Facts) -> list[Step]:
    """A step for each size of the output that is worked out, not handed on."""
    handed_on = {size.symbols for shape in _tracked_shapes(node) for size in shape if isinstance(size, Tracked)}
    shape = facts.outputs[0]
    names = ("T", "D") if len(shape) == 2 and "-> [T" in node.op.summary else axis_names(node, shape)
    steps = []
    for name, size in zip(names, shape, strict=True):
        if isinstance(size, Tracked) and size.symbols not in handed_on:
            steps.append(_step(size.symbols if size.parent is not None else name + "'", size))
    return steps


def _weight_steps(facts: Facts) -> list[Step]:
    steps, learned = [], {}
    for role, what in (("weight", "weights"), ("bias", "biases"), ("buffer", "buffers")):
        sizes = [product(weight.shape) for weight in facts.owned if weight.role == role]
        if sizes:
            steps.append(_step(what, _sum(sizes)))
            if role != "buffer":
                learned[what] = int(_sum(sizes))
    if len(learned) > 1:
        told = " + ".join(f"{size:,}" for size in learned.values())
        steps.insert(2, Step("parameters", " + ".join(learned), told, f"{sum(learned.values()):,}"))
    return steps


def _work_steps(facts: Facts) -> list[Step]:
    if not isinstance(facts.work, Work) or not facts.work.flops:
        return []
    names = {"multiply": "multiplies", "add": "adds", "compare": "compares", "special": "special functions"}
    parts = [(names[name], value) for name, value in facts.work._asdict().items() if value]
    steps = [_step(f"FLOPs, {what}", value) for what, value in parts]
    if len(parts) > 1:
        told = " + ".join(f"{int(value):,}" for _, value in parts)
        steps.append(Step("FLOPs", " + ".join(what for what, _ in parts), told, f"{int(facts.work.flops):,}"))
    return steps


def _activation_steps(facts: Facts) -> list[Step]:
    values = _sum([shape.values for shape in facts.outputs])
    step = _step("output values", values)
    if facts.storage == NEW:
        return [step, Step("memory", "output values*4 bytes", f"{int(values):,}*4", f"{4 * int(values):,} bytes in float32")]
    why = "a view: it shares its input's memory" if facts.storage == "view" else "in place: written over its input"
    return [step._replace(value=f"{step.value} ({why}, so none is new)")]


def _field_steps(node: Node, before: Field, after: Field) -> list[Step]:
    """`size' = size + (window - 1)*jump`, for each axis that differs."""
    if before.whole or after.whole:
        return [Step("receptive field", "", "", "the whole input" if after.whole else str(after))]
    if isinstance(node.facts.reach, str):
        return [Step("receptive field", "that of its input", "", str(after))]
    steps = []
    names = AXIS_NAMES.get(len(after.axes), ())
    seen = set()
    for name, a, b, reach in zip(names, before.axes, after.axes, node.facts.reach, strict=False):
        if (a, b) in seen:
            continue
        seen.add((a, b))
        steps += _axis_steps(name, a, b, reach.high - reach.low + 1, reach.step)
    return steps


def _axis_steps(name: str, a: Axis, b: Axis, window: Any, step: Any) -> list[Step]:
    return [
        Step(f"receptive field ({name})", "size + (window - 1)*jump", f"{a.size} + ({window} - 1)*{a.jump}", str(b.size)),
        Step(f"jump ({name})", "jump*stride", f"{a.jump}*{step}", str(b.jump)),
    ]
