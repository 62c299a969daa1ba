"""Nodes that reduce: windows, whole maps, axes."""

from __future__ import annotations

from typing import Any

from archc.importing.onnx.file import Step
from archc.importing.onnx.reading import Flow, Reading, handles
from archc.importing.onnx.weighted import window

LEAST = -3.4e38  # what no value of float32 is below, but for minus infinity


@handles("MaxPool AveragePool")
def pool(reading: Reading, step: Step) -> Flow:
    x, kernel = reading.flow(step), step.args["kernel_shape"]
    kind = "maxpool" if step.op == "MaxPool" else "avgpool"
    if len(step.outputs) > 1 and step.outputs[1] and step.outputs[1] in reading.readers:
        raise reading.refuse(step, "the places of its largest values are used")
    args = window(reading, step, kernel, x.shape)
    dilation = args.pop("dilation")
    if kind == "maxpool":
        args["dilation"] = dilation
    elif dilation != 1:
        raise reading.refuse(step, "it averages values that are apart")
    args["ceil"] = bool(step.args.get("ceil_mode", 0))
    if kind == "avgpool":
        args["count_padding"] = bool(step.args.get("count_include_pad", 0)) or args["padding"] == 0
    flow = x
    if isinstance(args["padding"], list) and any(isinstance(one, list) for one in args["padding"]):
        if kind == "avgpool" and not args["count_padding"]:
            raise reading.refuse(step, "it averages without a padding that has unequal sides")
        sides = [side for one in args.pop("padding") for side in (one if isinstance(one, list) else (one, one))]
        low = LEAST if kind == "maxpool" else 0.0
        flow = reading.add(step, "pad", [x], name=f"{reading.name_of(step)}_pad", sides=sides, value=low)
    return reading.add(step, kind, [flow], **args)


@handles("GlobalAveragePool GlobalMaxPool")
def whole(reading: Reading, step: Step) -> Flow:
    x = reading.flow(step)
    made = reading.add(step, "global_avgpool" if step.op == "GlobalAveragePool" else "global_maxpool", [x])
    return Flow(made.wire, (x.shape[0], *(1 for _ in x.shape[1:])))


_REDUCTIONS = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min", "ReduceL2": "norm"}


@handles(" ".join(_REDUCTIONS))
def reduce(reading: Reading, step: Step) -> Flow:
    x, axes, keep = reading.flow(step), reading.numbers(step, "axes", 1), bool(step.args.get("keepdims", 1))
    if axes is None:
        raise reading.refuse(step, "it reduces over the batch, too")
    rank = len(x.shape)
    gone = sorted(reading.axis(step, axis, rank) for axis in axes)
    kept = tuple(1 if at in gone else size for at, size in enumerate(x.shape) if keep or at not in gone)
    if step.op == "ReduceMean" and rank >= 2 and gone == list(range(1, rank)) and x.wire.shape.names[-1:] != ("features",):
        try:
            made = reading.add(step, "global_avgpool", [x])
        except Exception:  # its axes are not those of a map
            made = reading.add(step, "mean", [x], axis=gone if len(gone) > 1 else gone[0])
    else:
        made = reading.add(step, _REDUCTIONS[step.op], [x], axis=gone if len(gone) > 1 else gone[0])
    return Flow(made.wire, kept or (1,))


@handles("ArgMax")
def argmax(reading: Reading, step: Step) -> Flow:
    x = reading.flow(step)
    axis = reading.axis(step, step.args.get("axis", 0), len(x.shape))
    return reading.add(step, "argmax", [x], axis=axis, keepdim=bool(step.args.get("keepdims", 1)))


@handles("Softmax LogSoftmax")
def softmax(reading: Reading, step: Step) -> Flow:
    x = reading.flow(step)
    before = reading.model.opset < 13  # then it was over the product of the axes from there on
    axis = reading.axis(step, step.args.get("axis", 1 if before else -1), len(x.shape))
    if before and any(size != 1 for size in x.shape[axis + 1 :]):
        raise reading.refuse(step, "it is over several axes at once, as before opset 13")
    return reading.add(step, "softmax" if step.op == "Softmax" else "log_softmax", [x], axis=axis)


@handles("LRN")
def lrn(reading: Reading, step: Step) -> Flow:
    names = {"alpha": ("alpha", 1e-4), "beta": ("beta", 0.75), "bias": ("k", 1.0)}
    args: dict[str, Any] = {ours: float(f"{step.args.get(theirs, default):.6g}") for theirs, (ours, default) in names.items()}
    return reading.add(step, "lrn", [reading.flow(step)], size=step.args["size"], **args)
