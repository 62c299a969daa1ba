"""Configurations of Keras' networks, as `to_json` of Keras 3 writes them, made from their architectures."""

from __future__ import annotations

import json
from typing import Any


class Model:
    """A Functional model in the making. `top` names the newest layer."""

    def __init__(self, name: str, *shape: int | None) -> None:
        self.name = name
        self.layers: list[dict[str, Any]] = []
        self.top = self.layer("InputLayer", "input_1", [], batch_shape=[None, *shape])

    def layer(self, kind: str, name: str, takes: list[str] | None = None, **config: Any) -> str:
        taken = [self.top] if takes is None else takes
        tensors = [{"class_name": "__keras_tensor__", "config": {"shape": [], "keras_history": [one, 0, 0]}} for one in taken]
        args: list[Any] = [tensors] if len(tensors) > 1 else tensors
        nodes = [{"args": args, "kwargs": {}}] if tensors else []
        entry = {"module": "keras.layers", "class_name": kind, "config": {"name": name, **config}, "registered_name": None}
        self.layers.append({**entry, "name": name, "inbound_nodes": nodes})
        self.top = name
        return name

    def conv(self, name: str, filters: int, kernel: int, strides: int = 1, padding: str = "same", **config: Any) -> str:
        sizes = {"kernel_size": [kernel, kernel], "strides": [strides, strides]}
        return self.layer("Conv2D", name, filters=filters, padding=padding, **sizes, **config)

    def config(self) -> dict[str, Any]:
        ends = {"input_layers": [["input_1", 0, 0]], "output_layers": [[self.top, 0, 0]]}
        return {"class_name": "Functional", "module": "keras", "config": {"name": self.name, "layers": self.layers, **ends}}

    @property
    def text(self) -> str:
        return json.dumps(self.config())


def vgg16() -> str:
    net = Model("vgg16", 224, 224, 3)
    for block, (filters, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for at in range(1, count + 1):
            net.conv(f"block{block}_conv{at}", filters, 3, activation="relu")
        net.layer("MaxPooling2D", f"block{block}_pool", pool_size=[2, 2], strides=[2, 2], padding="valid")
    net.layer("Flatten", "flatten")
    for name in ("fc1", "fc2"):
        net.layer("Dense", name, units=4096, activation="relu")
    net.layer("Dense", "predictions", units=1000, activation="softmax")
    return net.text


def resnet50() -> str:
    net = Model("resnet50", 224, 224, 3)

    def normed(name: str, filters: int, kernel: int, strides: int = 1, padding: str = "valid", act: bool = True) -> None:
        net.conv(f"{name}_conv", filters, kernel, strides, padding)
        net.layer("BatchNormalization", f"{name}_bn", axis=3, epsilon=1.001e-5)
        if act:
            net.layer("Activation", f"{name}_relu", activation="relu")

    net.layer("ZeroPadding2D", "conv1_pad", padding=[[3, 3], [3, 3]])
    normed("conv1", 64, 7, 2)
    net.layer("ZeroPadding2D", "pool1_pad", padding=[[1, 1], [1, 1]])
    net.layer("MaxPooling2D", "pool1_pool", pool_size=3, strides=2)
    for stage, (filters, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for block in range(1, count + 1):
            name, start, strides = f"conv{stage}_block{block}", net.top, 2 if block == 1 and stage > 2 else 1
            skip = start
            if block == 1:
                normed(f"{name}_0", 4 * filters, 1, strides, act=False)
                skip, net.top = net.top, start
            normed(f"{name}_1", filters, 1, strides)
            normed(f"{name}_2", filters, 3, padding="same")
            normed(f"{name}_3", 4 * filters, 1, act=False)
            net.layer("Add", f"{name}_add", [skip, net.top])
            net.layer("Activation", f"{name}_out", activation="relu")
    net.layer("GlobalAveragePooling2D", "avg_pool")
    net.layer("Dense", "predictions", units=1000, activation="softmax")
    return net.text


def mobilenet() -> str:
    net = Model("mobilenet_1.00_224", 224, 224, 3)

    def normed(name: str) -> None:
        net.layer("BatchNormalization", f"{name}_bn", axis=-1)
        net.layer("ReLU", f"{name}_relu", max_value=6.0)

    net.conv("conv1", 32, 3, 2, use_bias=False)
    normed("conv1")
    rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for at, (filters, strides) in enumerate(rows, 1):
        if strides == 2:
            net.layer("ZeroPadding2D", f"conv_pad_{at}", padding=[[0, 1], [0, 1]])
        options = {"strides": [strides, strides], "padding": "same" if strides == 1 else "valid", "use_bias": False}
        net.layer("DepthwiseConv2D", f"conv_dw_{at}", kernel_size=[3, 3], depth_multiplier=1, **options)
        normed(f"conv_dw_{at}")
        net.conv(f"conv_pw_{at}", filters, 1, use_bias=False)
        normed(f"conv_pw_{at}")
    net.layer("GlobalAveragePooling2D", "global_average_pooling2d", keepdims=True)
    net.layer("Dropout", "dropout", rate=0.001)
    net.conv("conv_preds", 1000, 1)
    net.layer("Reshape", "reshape_2", target_shape=[1000])
    net.layer("Activation", "predictions", activation="softmax")
    return net.text


def xception() -> str:
    net = Model("xception", 299, 299, 3)

    def separable(name: str, filters: int, act: str = "before") -> None:
        if act == "before":
            net.layer("Activation", f"{name}_act", activation="relu")
        net.layer("SeparableConv2D", name, filters=filters, kernel_size=[3, 3], padding="same", use_bias=False)
        net.layer("BatchNormalization", f"{name}_bn")
        if act == "after":
            net.layer("Activation", f"{name}_act", activation="relu")

    def strided(block: int, widths: tuple[int, int], first: bool = False) -> None:
        start = net.top
        net.conv(f"conv2d_{block}", widths[1], 1, 2, use_bias=False)
        skip = net.layer("BatchNormalization", f"batch_normalization_{block}")
        net.top = start
        separable(f"block{block}_sepconv1", widths[0], "" if first else "before")
        separable(f"block{block}_sepconv2", widths[1])
        net.layer("MaxPooling2D", f"block{block}_pool", pool_size=[3, 3], strides=[2, 2], padding="same")
        net.layer("Add", f"add_{block}", [net.top, skip])

    for at, (filters, strides) in enumerate(((32, 2), (64, 1)), 1):
        net.conv(f"block1_conv{at}", filters, 3, strides, "valid", use_bias=False)
        net.layer("BatchNormalization", f"block1_conv{at}_bn")
        net.layer("Activation", f"block1_conv{at}_act", activation="relu")
    for block, width in ((2, 128), (3, 256), (4, 728)):
        strided(block, (width, width), first=block == 2)
    for block in range(5, 13):
        start = net.top
        for at in (1, 2, 3):
            separable(f"block{block}_sepconv{at}", 728)
        net.layer("Add", f"add_{block}", [net.top, start])
    strided(13, (728, 1024))
    separable("block14_sepconv1", 1536, "after")
    separable("block14_sepconv2", 2048, "after")
    net.layer("GlobalAveragePooling2D", "avg_pool")
    net.layer("Dense", "predictions", units=1000, activation="softmax")
    return net.text
