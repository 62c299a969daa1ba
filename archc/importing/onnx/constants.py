"""Nodes of constants alone, worked out: shapes that are computed, weights that are turned. Bounded, and a few operators alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from archc.importing.imported import numbers
from archc.importing.onnx.file import Step
from archc.importing.onnx.reading import Const, Flow, Reading

MOST = 2**28  # values of a result


def fold(reading: Reading, step: Step) -> Const:
    """The constant that a node gives. Raises ImportedError."""
    library = numbers()
    if step.op == "Constant":
        return Const(_constant(step))
    if step.op in ("Shape", "Size"):
        value = reading.value(step.inputs[0])
        whole = (reading.model.batch, *value.shape) if isinstance(value, Flow) else tuple(value.array.shape)
        found = whole[slice(step.args.get("start", 0), step.args.get("end"))] if step.op == "Shape" else math.prod(whole)
        return Const(library.asarray(found, "int64"))
    if step.op == "Identity" or (step.op == "Cast" and step.args.get("to") == 1):
        value = reading.value(step.inputs[0])
        assert isinstance(value, Const)
        return value if step.op == "Identity" else Const(value.array.astype("float32"), value.name)
    function = _FUNCTIONS.get(step.op)
    if function is None:
        raise reading.refuse(step, "it computes a constant in a way that is not read")
    given = [one.array if (one := reading.const(step, at)) is not None else None for at in range(len(step.inputs))]
    if sum(one.size for one in given if one is not None) > MOST:
        raise reading.refuse(step, "it computes with constants that are too large")
    try:
        found = library.asarray(function(library, step.args, *given))
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, FloatingPointError) as error:
        raise reading.refuse(step, f"its constants do not fit ({error})") from None
    if found.size > MOST:
        raise reading.refuse(step, "it makes a constant that is too large")
    return Const(found)


def _constant(step: Step) -> Any:
    for name in ("value_float", "value_int", "value_floats", "value_ints"):
        if name in step.args:
            return numbers().asarray(step.args[name], "int64" if "int" in name else "float32")
    held = step.args.get("value")
    if held is None:
        return numbers().asarray(0.0)
    from onnx import numpy_helper

    return numpy_helper.to_array(held)


def _bounded(shape: Any) -> tuple[int, ...]:
    sizes = tuple(int(one) for one in shape)
    if math.prod(sizes) > MOST or any(one < 0 for one in sizes):
        raise ValueError(f"sizes {sizes[:6]}")
    return sizes


def _slice(library: Any, args: dict[str, Any], x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Any:
    starts, ends = (args.get(name) if one is None else one for name, one in (("starts", starts), ("ends", ends)))
    axes = args.get("axes", range(len(starts))) if axes is None else axes
    cut = [slice(None)] * x.ndim
    for at, axis in enumerate(axes):
        cut[int(axis)] = slice(int(starts[at]), int(ends[at]), int(steps[at]) if steps is not None else 1)
    return x[tuple(cut)]


def _axes(args: dict[str, Any], axes: Any) -> tuple[int, ...] | None:
    held = args.get("axes") if axes is None else axes
    return None if held is None else tuple(int(one) for one in held)


def _unsqueeze(library: Any, args: dict[str, Any], x: Any, axes: Any = None) -> Any:
    return library.expand_dims(x, _axes(args, axes) or 0)


def _filled(library: Any, args: dict[str, Any], shape: Any) -> Any:
    from onnx import numpy_helper

    value = numpy_helper.to_array(args["value"]).reshape(-1)[0] if "value" in args else library.float32(0)
    return library.full(_bounded(shape), value)


def _cast(library: Any, args: dict[str, Any], x: Any) -> Any:
    from onnx.helper import tensor_dtype_to_np_dtype

    return x.astype(tensor_dtype_to_np_dtype(args["to"]))


def _divide(library: Any, args: dict[str, Any], a: Any, b: Any) -> Any:
    return a // b if a.dtype.kind in "iu" else a / b


def _range(library: Any, args: dict[str, Any], start: Any, stop: Any, step: Any) -> Any:
    _bounded([abs((stop.item() - start.item()) / step.item())])
    return library.arange(start.item(), stop.item(), step.item(), dtype=start.dtype)


def _reshape(library: Any, args: dict[str, Any], x: Any, shape: Any) -> Any:
    return x.reshape([x.shape[at] if size == 0 else int(size) for at, size in enumerate(shape.tolist())])


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Gather": lambda np, args, x, at: np.take(x, at, axis=args.get("axis", 0)),
    "Concat": lambda np, args, *xs: np.concatenate(xs, args.get("axis", 0)),
    "Unsqueeze": _unsqueeze,
    "Squeeze": lambda np, args, x, axes=None: np.squeeze(x, _axes(args, axes)),
    "Slice": _slice,
    "Cast": _cast,
    "Reshape": _reshape,
    "Transpose": lambda np, args, x: np.transpose(x, args.get("perm")),
    "Add": lambda np, args, a, b: a + b,
    "Sub": lambda np, args, a, b: a - b,
    "Mul": lambda np, args, a, b: a * b,
    "Div": _divide,
    "Neg": lambda np, args, x: -x,
    "Sqrt": lambda np, args, x: np.sqrt(x),
    "Floor": lambda np, args, x: np.floor(x),
    "Ceil": lambda np, args, x: np.ceil(x),
    "Equal": lambda np, args, a, b: a == b,
    "Where": lambda np, args, c, a, b: np.where(c, a, b),
    "ConstantOfShape": _filled,
    "Expand": lambda np, args, x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, _bounded(shape))),
    "Range": _range,
    "ReduceProd": lambda np, args, x, axes=None: np.prod(x, _axes(args, axes), keepdims=bool(args.get("keepdims", 1))),
}
