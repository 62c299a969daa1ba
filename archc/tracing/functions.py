"""What is known of functions of torch by their names, where no input bears on what they are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archc.tracing.steps import Constant

# Functions whose result takes the shape of a tensor and none of its values.
FACTORIES = {"new_empty", "new_zeros", "new_ones", "new_full", "new_tensor", "empty_like", "zeros_like", "ones_like", "full_like",
             "rand_like", "randn_like"}  # fmt: skip

# Functions that make zeros.
ZEROS = {"zeros", "new_zeros", "zeros_like"}

# Functions with multiply-accumulates, which may be done on weights alone.
PRODUCTS = {"linear", "conv1d", "conv2d", "conv3d", "matmul", "bmm", "mm", "addmm", "einsum", "baddbmm"}

# Functions that leave the values of a tensor as they are.
MOVES = {"expand", "expand_as", "view", "view_as", "reshape", "unsqueeze", "squeeze", "to", "type_as", "contiguous", "clone", "detach",
         "unflatten", "flatten", "repeat", "float"}  # fmt: skip


def name_of(func: Any) -> str:
    """`add` of torch.add, Tensor.add_, Tensor.__iadd__ and Tensor.__radd__; the name of a property."""
    name = getattr(func, "__name__", "") or type(func).__name__
    if name in ("__get__", "__set__"):
        return f"{getattr(func.__self__, '__name__', '')}{'=' * (name == '__set__')}"
    return name.split(".")[0].strip("_") if name not in ("__setitem__",) else "setitem"


def drawn(name: str, args: Sequence[Any], constants: Sequence[Constant]) -> tuple[float | None, float | None]:
    """What is known of random constants: `keep` of ones and zeros, `least` of numbers from an even range of one."""
    keep = next((one.keep for one in constants if one.keep is not None), None)
    least = next((one.least for one in constants if one.least is not None), None)
    if name == "bernoulli" and len(args) > 1 and isinstance(args[1], float):
        return args[1], None
    if name == "rand":
        return None, 0.0
    if least is not None and name in ("add", "radd", "iadd") and len(constants) == 1:
        return None, least + next((one for one in args if isinstance(one, int | float)), 0.0)
    if least is not None and name == "floor":
        return (least if 0 < least < 1 else None), None
    return keep, least if name in MOVES else None
