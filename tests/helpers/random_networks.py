"""Random networks: chains, branches, nested parts, blocks of their own, values across parts, shared weights, heads of training."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

Entry = Any
WINDOW = {"kernel": 3, "stride": 1, "padding": 1}
SIMPLE = [
    *("relu", "batchnorm", "silu", "gelu", "sigmoid", "prelu", "layer_scale", "tanh", "identity"),
    *("abs", "square", "sin", {"add": 0.5}, {"sub": {"value": 1, "reverse": True}}, {"div": 2}, {"pow": 2}, {"clamp": {"low": 0}}),
    *({"cumsum": {"axis": -1}}, {"cummax": {"axis": -1}}),
    *({"leaky_relu": 0.2}, {"dropout": 0.3}, {"groupnorm": 2}, {"scale": 0.5}, {"drop_path": 0.2}, {"spatial_dropout": 0.2}),
    *({"maxpool": WINDOW}, {"avgpool": WINDOW}, {"channel_shuffle": 2}, {"lrn": 3}, {"squeeze_excite": {"reduced": 2}}),
]

BLOCKS = {
    "residual": {
        "params": {"channels": "int", "kernel": "int = 3", "act": "layer = relu", "stride": "int = 1"},
        "layers": {
            "conv1": {"conv": {"channels": "$channels", "kernel": "$kernel", "padding": "same", "stride": "$stride", "bias": False}},
            "bn1": "batchnorm",
            "act1": "$act",
            "conv2": {"conv": {"channels": "$channels", "kernel": 3, "padding": 1}},
            "project": {"from": "input", "when": "${input.channels != channels or stride > 1}",
                        "conv": {"channels": "$channels", "kernel": 1, "stride": "$stride"}},
            "add": {"from": ["conv2", "project"], "add": None},
            "out": "$act",
        },
    },
    "fork": {
        "doc": "Two values in, one of them twice.",
        "inputs": ["a", "b"],
        "params": {"channels": "int"},
        "layers": {
            "left": {"from": "a", "conv": "$channels"},
            "right": {"from": "b", "conv": "$channels"},
            "sum": {"from": ["left", "right", "left"], "add": None},
            "both": {"from": ["sum", "b"], "concat": None},
        },
    },
    "headed": {
        "params": {"channels": "int"},
        "layers": {
            "body": {"conv": "$channels"},
            "aux": {"train_only": True, "layers": ["relu", {"conv": 3}]},
            "tail": "relu",
        },
    },
    "twice": {"params": {"channels": "int"}, "layers": [{"conv": "$channels"}, {"concat": [["relu"], [{"conv": 2}, "tanh"]]}, "batchnorm"]},
}  # fmt: skip


class Builder:
    """Draws entries; `names` are those of the top level that may be read later."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.names: list[str] = []
        self.count = 0

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def pick(self, items: list[Any]) -> Any:
        return self.draw(st.sampled_from(items))

    def conv(self) -> Entry:
        channels = self.pick([4, 8, 12])
        return {"conv": {"channels": channels, "kernel": self.pick([1, 3, 5]), "padding": "same", "groups": self.pick([1, 1, 2, 4]),
                         "dilation": self.number(1, 2), "bias": self.pick([True, False]),
                         "padding_mode": self.pick(["zeros", "zeros", "zeros", "replicate"])}}  # fmt: skip

    def simple(self) -> Entry:
        return self.conv() if self.number(0, 2) == 0 else self.pick(SIMPLE)

    def chain(self, depth: int, most: int = 3) -> Entry:
        """A chain as a list or a mapping, so that layers have numbers or names."""
        items = [self.entry(depth + 1) for _ in range(self.number(1, most))]
        return items if self.number(0, 1) else {self.name(): item for item in items}

    def name(self) -> str:
        self.count += 1
        return f"{self.pick(['conv', 'body', 'n', 'lambda', 'keys', 'x'])}_{self.count}" if self.number(0, 6) else f"{self.count}"

    def branches(self, depth: int) -> list[Entry]:
        """Chains that all end with four channels."""
        found: list[Entry] = [[self.entry(depth + 1), {"conv": 4}] for _ in range(self.number(1, 3))]
        return [*found, {"conv": 4}]

    def entry(self, depth: int = 0) -> Entry:
        if depth >= 3:
            return self.simple()
        kinds = ["simple", "simple", "nested", "repeat", "merge", "concat", "named", "block", "fork", "split", "when", "aside", "fan"]
        kind = self.pick(kinds)
        if kind == "simple":
            return self.simple()
        if kind == "nested":
            return {"layers": self.chain(depth)}
        if kind == "repeat":
            return {"repeat": self.number(0, 3), self.pick(["layers", "inline"]): [self.simple() for _ in range(self.number(1, 2))]}
        if kind == "merge":
            return {self.pick(["add", "mul", "average", "maximum"]): self.branches(depth)}
        if kind == "concat":
            return {"concat": [{"layers": self.chain(depth)}, "identity", self.pick(["relu", {"conv": 2}])]}
        if kind == "named":
            return {"add": {"a" + self.name(): [self.entry(depth + 1), {"conv": 4}], "b" + self.name(): {"conv": 4}}}
        if kind == "block":
            arguments = {"channels": self.pick([4, 8]), "kernel": self.pick([1, 3]), "act": self.pick(["relu", "silu", None])}
            arguments = {key: value for key, value in arguments.items() if value is not None and self.number(0, 2)} | {"channels": 4}
            return self.pick([{"residual": arguments}, {"twice": self.pick([4, 8])}, {"headed": 4}])
        if kind == "fork":
            return self.pick(
                [[{"conv": 4}, {"concat": [["relu"], ["sigmoid"]]}], {"conv_bn_act": {"kernel": 3}}, {"conv_bn": {"channels": 8}}]
            )
        if kind == "split":
            name = "s" + self.name()
            return {"layers": {name: {"split": 2}, name + "_a": {"from": f"{name}.1", "conv": 4},
                               name + "_b": {"from": [name + "_a", f"{name}.0"], "concat": None}}}  # fmt: skip
        if kind == "when":
            return {"when": self.pick([True, False]), "layers": self.chain(depth)}
        if kind == "fan":
            return self.fan(depth)
        return {"train_only": True, "layers": self.chain(depth, 2)}

    def fan(self, depth: int) -> Entry:
        """Copies side by side: as a part of several values, by their names, in a merge."""
        row = f"i{depth}"
        copies = {"for": {row: [1, 2, 3][: self.number(2, 3)]}, "layers": [self.entry(depth + 1), {"conv": f"${row}"}]}
        if (form := self.number(0, 2)) == 0:
            return {"concat": ["identity", copies]}
        name = "f" + self.name() if form == 1 else f"f{self.name()}_${{{row}}}"
        collected = name if form == 1 else name.partition("$")[0] + "*"
        return {"layers": {"t": {"conv": 4}, name: {**copies, "from": "chain_input", "parallel": True},
                           "end": {"from": ["t", collected], "concat": None}}}  # fmt: skip


@st.composite
def networks(draw: st.DrawFn) -> str:
    """A spec, as text; some are refused for their shapes."""
    build = Builder(draw)
    size = draw(st.integers(5, 8))
    shape = [4, *[size] * draw(st.sampled_from([1, 2, 2, 2, 3]))]
    layers: dict[str, Entry] = {}
    names: list[str] = []
    for index in range(draw(st.integers(2, 6))):
        name = f"part{index}"
        entry = build.entry() if draw(st.integers(0, 3)) else {"layers": {"pre": {"conv": 4}, "inner": {"conv": 4}, "end": build.simple()}}
        layers[name] = entry
        if isinstance(entry, dict) and "inner" in entry.get("layers", {}):
            names += [f"{name}.inner", name]
        if names and draw(st.integers(0, 2)) == 0:
            layers[f"join{index}"] = {"from": [name if draw(st.booleans()) else names[-1], draw(st.sampled_from(names))], "concat": None}
        if names and draw(st.integers(0, 3)) == 0:
            layers[f"to4_{index}"] = {"conv": 4}
            layers[f"again{index}"] = {"share": draw(st.sampled_from(names))}
        if draw(st.integers(0, 4)) == 0:
            layers[f"deep{index}"] = {"layers": [{"conv": 4}, *([{"share": names[0]}] if names else []), "relu"]}
    spec: dict[str, Any] = {"input": shape, "blocks": BLOCKS, "layers": layers}
    if draw(st.integers(0, 3)) == 0:
        spec["input"] = {"image": shape, "other": shape}
        spec["layers"] = {"mix": {"from": ["image", "other"], "fork": 4}} | layers
    if names and draw(st.integers(0, 2)) == 0:
        spec["outputs"] = {"main": list(layers)[-1], "side": draw(st.sampled_from(names))}
    return json.dumps(spec)
