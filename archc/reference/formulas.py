"""The formulas of an operator in symbols: the operator run on numbers that remember how they were made."""

from __future__ import annotations

import re
from typing import Any

from archc.ops.facts import Facts, Work
from archc.ops.registry import Op
from archc.ops.shape import Shape, product
from archc.ops.tracked import Tracked, formula, track
from archc.signature import MISSING, Fault

# Axes as the first lines of the operators' documentation name them, with sizes at which most arguments are legal.
_Axes = tuple[tuple[str, ...], tuple[int, ...]]
_MAP: _Axes = ("C", "H", "W"), (16, 12, 12)
_TOKENS: _Axes = ("T", "D"), (6, 16)
_VECTOR: _Axes = ("F",), (16,)
_INPUTS: dict[str, _Axes] = {
    "[T, D]": _TOKENS,
    "[S, D]": (("S", "D"), (5, 16)),
    "[*, F]": _TOKENS,
    "[*, D]": _TOKENS,
    "[F]": _VECTOR,
    "[T]": (("T",), (6,)),
    "[A, B]": _TOKENS,
    "[*, M, K]": (("M", "K"), (6, 8)),
    "[*, K, N]": (("K", "N"), (8, 4)),
}
_SAMPLES = {"int": 4, "sizes": 2, "factors": 2, "number": 2, "list": None}
_NAMES = {"multiply": "multiplies", "add": "adds", "compare": "compares", "special": "special functions"}


def formulas(op: Op) -> list[tuple[str, str]]:
    """(what, formula) for the output, the weights, the MACs and the FLOPs by kind; empty where no sample is legal."""
    facts = _sample(op)
    if facts is None:
        return []
    rows = [(size.symbols, formula(size)) for size in facts.outputs[0] if isinstance(size, Tracked) and size.parent is not None]
    for role in ("weight", "bias"):
        sizes = [formula(product(weight.shape)) for weight in facts.owned if weight.role == role]
        rows += [({"weight": "weights", "bias": "biases"}[role], " + ".join(sizes))] if sizes else []
    rows += [("MACs", formula(facts.macs))] if isinstance(facts.macs, int) and facts.macs else []
    if isinstance(facts.work, Work):
        rows += [(_NAMES[name], formula(value)) for name, value in facts.work._asdict().items() if value]
    return rows


def _sample(op: Op) -> Facts | None:
    """The facts of a legal use of the operator, on tracked numbers."""
    inputs = re.findall(r"\[[^\]]*\]", op.summary.partition("->")[0].partition(", or ")[0])
    named = [_INPUTS.get(text, _MAP) for text in inputs[:2]]
    shapes = [Shape(track(sizes, names)) for names, sizes in named]
    args: dict[str, Any] = {}
    for name, param in op.signature.params.items():
        value = param.default if param.default is not MISSING else _SAMPLES.get(param.type.name)
        args[name] = Tracked(value, name) if isinstance(value, int) and not isinstance(value, bool) else value
    try:
        return op.function(*shapes, **args)
    except (Fault, TypeError, ValueError, AttributeError):
        return None
