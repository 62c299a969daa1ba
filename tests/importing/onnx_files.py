"""ONNX files made here, node by node, as exporters of several times write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class Maker:
    """A graph in the making. Tensors are drawn from a seed."""

    def __init__(self, shape: tuple[Any, ...], opset: int = 17) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.shape, self.opset = shape, opset
        self.draw = np.random.default_rng(0)

    def node(self, op: str, inputs: list[str], output: str, name: str = "", **args: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **args))
        return output

    def tensor(self, name: str, *shape: int, positive: bool = False) -> str:
        values = self.draw.normal(0, 0.5, shape).astype(np.float32)
        return self.const(name, np.abs(values) + 0.5 if positive else values)

    def const(self, name: str, values: Any) -> str:
        from onnx import numpy_helper

        self.tensors.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def model(self, output: str, dtype: int = 1) -> Any:
        from onnx import TensorProto, helper

        given = helper.make_tensor_value_info("image", dtype, self.shape)
        out = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [given], [out], self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def save(self, path: Path, output: str, dtype: int = 1) -> Path:
        from onnx import save

        save(self.model(output, dtype), path)
        return path


def classifier(opset: int, batch: Any = "n") -> tuple[Maker, str]:
    """A residual part with normalizations, a pool, a flatten by computed sizes, a dense layer: as torch's first exporter names nodes."""
    make = Maker((batch, 3, 9, 9), opset)
    make.tensor("stem.0.weight", 8, 3, 3, 3)
    for name, positive in (("weight", True), ("bias", False), ("running_mean", False), ("running_var", True)):
        make.tensor(f"stem.1.{name}", 8, positive=positive)
    x = make.node("Conv", ["image", "stem.0.weight"], "c1", "/stem/stem.0/Conv", kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2])
    x = make.node("BatchNormalization", [x, *(f"stem.1.{n}" for n in ("weight", "bias", "running_mean", "running_var"))], "b1",
                  "/stem/stem.1/BatchNormalization", epsilon=1e-3)  # fmt: skip
    x = make.node("Relu", [x], "r1", "/stem/stem.2/Relu")
    make.tensor("onnx::Conv_193", 8, 4, 3, 3)
    make.tensor("onnx::Conv_194", 8)
    y = make.node("Conv", [x, "onnx::Conv_193", "onnx::Conv_194"], "c2", "/layer1/conv/Conv", kernel_shape=[3, 3], pads=[1] * 4, group=2)
    gate = make.node("Sigmoid", [y], "s", "/layer1/act/Sigmoid")
    y = make.node("Mul", [y, gate], "m", "/layer1/act/Mul")
    x = make.node("Add", [x, y], "a", "/layer1/Add")
    x = make.node("MaxPool", [x], "p", "/pool/MaxPool", kernel_shape=[2, 2], strides=[2, 2], **({"ceil_mode": 1} if opset >= 10 else {}))
    side = 3 if opset >= 10 else 2
    shape = make.node("Shape", [x], "shape", "/Shape")
    make.const("zero", np.asarray(0))
    first = make.node("Gather", [shape, "zero"], "first", "/Gather", axis=0)
    if opset >= 13:
        make.const("axes", np.asarray([0]))
        first = make.node("Unsqueeze", [first, "axes"], "first1", "/Unsqueeze")
    else:
        first = make.node("Unsqueeze", [first], "first1", "/Unsqueeze", axes=[0])
    make.const("rest", np.asarray([-1]))
    target = make.node("Concat", [first, "rest"], "target", "/Concat", axis=0)
    x = make.node("Reshape", [x, target], "flat", "/Reshape")
    make.tensor("fc.weight", 5, 8 * side * side)
    make.tensor("fc.bias", 5)
    x = make.node("Gemm", [x, "fc.weight", "fc.bias"], "g", "/fc/Gemm", transB=1)
    return make, make.node("Softmax", [x], "probabilities", "/Softmax", axis=1)
