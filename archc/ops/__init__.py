"""The operators. Each is one function that holds all that is known of it; importing this package registers them."""

from archc.ops import (
    activation,
    arithmetic,
    attention,
    conv,
    drop,
    linear,
    merge,
    norm,
    opaque,
    pool,
    resample,
    reshape,
    scale,
    tensors,
    tokens,
    unpool,
)
from archc.ops.facts import (
    INPLACE,
    INPUT,
    NEW,
    OUTPUT,
    VIEW,
    Between,
    Doubt,
    Expression,
    Facts,
    Kept,
    Module,
    Weight,
    Work,
    new,
)
from archc.ops.reach import POINT, WHOLE, Reach
from archc.ops.registry import OPERATORS, Op, op
from archc.ops.shape import Shape
from archc.signature import Fault

__all__ = [
    "INPLACE",
    "INPUT",
    "NEW",
    "OPERATORS",
    "OUTPUT",
    "POINT",
    "VIEW",
    "WHOLE",
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
    "new",
    "op",
]

MODULES = (
    activation,
    arithmetic,
    attention,
    conv,
    drop,
    linear,
    merge,
    norm,
    opaque,
    pool,
    resample,
    reshape,
    scale,
    tensors,
    tokens,
    unpool,
)
