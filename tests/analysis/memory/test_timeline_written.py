"""Small networks written by hand, in each of which gradients meet in another way: their peaks to the byte, without a mark."""

from __future__ import annotations

import json
from typing import Any

import pytest

import archc
from archc.analysis.memory.timeline import Options, inference, training

pytest.importorskip("torch")

import torch

from .test_timeline import agrees, evaluates, one_thread

__all__ = ["one_thread"]

TORCH = tuple(map(int, torch.__version__.split(".")[:2]))

SCALED = {"from": "x", "layer_scale": None}
WRITTEN = {"from": "s", "relu": {"inplace": True}}
CASES: dict[str, tuple[list[int], dict[str, Any]]] = {
    "queries written over before they are read": (
        [5, 4],
        {"s": SCALED, "r": WRITTEN, "a": {"from": ["s", "r"], "attention": {"heads": 2}}},
    ),
    "a value three times onto itself": ([4, 6], {"s": SCALED, "a": {"from": ["s", "s", "s"], "add": {"inplace": True}}}),
    "a sum of several beside its first": (
        [4, 6],
        {"s": SCALED, "a": {"from": ["s", "s", "s", "s"], "add": None}, "c": {"from": ["s", "a"], "concat": {"axis": -1}}},
    ),
    "both names of a tensor": ([4, 6], {"s": SCALED, "r": WRITTEN, "a": {"from": ["s", "r", "s"], "add": None}}),
    "both names side by side": ([4, 5, 3], {"s": SCALED, "r": WRITTEN, "c": {"from": ["s", "s", "r"], "concat": {"axis": 0}}}),
    "a product that widens": ([4, 6], {"s": SCALED, "m": {"from": ["x", "x", "s", "x"], "mul": None}}),
    "one token for one image": ([4, 6], {"c": {"from": "x", "class_token": None}}),
    "tokens of two sequences": ([4, 6], {"s": SCALED, "c": {"from": "s", "class_token": None}, "d": {"from": "s", "share": "c"}}),
    "positions of one image": ([4, 6], {"p": {"from": "x", "position_embedding": None}}),
    "positions before an embedding's module": ([4, 6], {"l": {"from": "x", "linear": 8}, "p": {"from": "l", "position_embedding": None}}),
    "slopes of single values": ([8, 1, 1], {"s": SCALED, "p": {"from": "s", "prelu": {"shared": False}}}),
    "standardized filters": (
        [4, 6, 5],
        {
            "s": SCALED,
            "h": {"from": "s", "hardswish": None},
            "c": {"from": "s", "conv": {"kernel": 3, "channels": 4, "padding": "same", "standardize": 1e-5, "padding_mode": "reflect"}},
            "a": {"from": ["h", "c"], "add": None},
        },
    ),
    "a normalization of groups over maps channels last": (
        [8, 6, 7],
        {"l": {"from": "x", "layernorm": {"axis": "channels"}}, "g": {"from": "l", "groupnorm": {"groups": 1}}},
    ),
    "a view written over, with another reader of its gradient": (
        [6, 7],
        {
            "s": SCALED,
            "p": {"from": "s", "avgpool": {"kernel": 2, "stride": 1}},
            "r": {"from": "p", "leaky_relu": {"inplace": True}},
            "c": {"from": ["r", "s"], "concat": {"axis": 1}},
        },
    ),
    "nothing cut off": ([6, 5], {"s": SCALED, "c": {"from": ["s", "s"], "center_crop": None}, "t": {"from": ["c", "s"], "add": None}}),
    "a tensor that every image sees": (
        [4, 6],
        {
            "q": {"parameter": {"shape": [4, 6], "start": "normal"}},
            "s": {"from": ["x", "q"], "add": None},
            "c": {"constant": {"values": "sinusoidal", "shape": [4, 6]}},
            "m": {"from": ["s", "c", "q"], "mul": None},
            "t": {"parameter": {"shape": [1, 6], "batch_axis": True}},
            "j": {"from": ["t", "m"], "concat": None},
            "l": {"linear": 6},
            "p": {"share": "q"},
            "k": {"from": ["l", "p"], "concat": None},
        },
    ),
    "a learned tensor alone": ([4, 6], {"q": {"parameter": {"shape": [3, 5], "batch_axis": True}}, "l": {"linear": 6}}),
    "learned tensors through layers and moves": (
        [4, 6],
        {
            "q": {"parameter": {"shape": [3, 5]}},
            "g": {"gelu": None},
            "t": {"transpose": None},
            "b": {"buffer": {"shape": [5, 2]}},
            "c": {"from": ["t", "b"], "concat": {"axis": 1}},
        },
    ),
    "noise without a gradient": ([4, 6], {"d": {"from": "x", "drop_path": {"p": 0.3}}, "p": {"from": "d", "position_embedding": None}}),
}


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("what", CASES)
def test_to_the_byte(what: str, batch: int) -> None:
    shape, layers = CASES[what]
    if what.endswith("channels last") and TORCH >= (2, 14):
        pytest.skip("from 2.14 on, backward through group normalization makes one copy less")
    graph = archc.loads(json.dumps({"input": {"x": shape}, "layers": layers}))
    options = Options(batch, optimizer="adam")
    assert not training(graph, options).bound.reasons
    agrees(graph, options)
    assert not inference(graph, options).bound.reasons
    evaluates(graph, batch)
