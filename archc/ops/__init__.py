"""The operators. Each is one function that holds all that is known of it; importing this package registers them."""

from archc.ops import activation, attention, conv, drop, linear, merge, norm, pool, resample, reshape, scale, tokens
from archc.ops.facts import Between, Doubt, Expression, Facts, Kept, Module, Weight, Work
from archc.ops.reach import Reach
from archc.ops.registry import OPERATORS, Op, op
from archc.shape import Shape
from archc.signature import Fault

__all__ = [
    "OPERATORS",
    "Between",
    "Doubt",
    "Expression",
    "Facts",
    "Fault",
    "Kept",
    "Module",
    "Op",
    "Reach",
    "Shape",
    "Weight",
    "Work",
    "op",
]

MODULES = (activation, attention, conv, drop, linear, merge, norm, pool, resample, reshape, scale, tokens)
