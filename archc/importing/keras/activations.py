"""Keras' activations as operators: those of a layer's `activation`, and layers that are one."""

from __future__ import annotations

from typing import Any

from archc.importing.document import Part
from archc.importing.draft import Wire
from archc.importing.keras.values import Held, Layer

_WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("relu", {}), "relu6": ("relu6", {}), "sigmoid": ("sigmoid", {}), "tanh": ("tanh", {}), "softplus": ("softplus", {}),
    "softsign": ("softsign", {}), "selu": ("selu", {}), "elu": ("elu", {}), "exponential": ("exp", {}), "gelu": ("gelu", {}),
    "silu": ("silu", {}), "swish": ("silu", {}), "hard_silu": ("hardswish", {}), "hard_swish": ("hardswish", {}), "mish": ("mish", {}),
    "leaky_relu": ("leaky_relu", {"slope": 0.2}), "log_sigmoid": ("logsigmoid", {}), "hard_tanh": ("hardtanh", {}),
}  # fmt: skip


def activated(layer: Layer, held: Held) -> Held:
    """What a layer's `activation` makes of its output."""
    found = layer.config.get("activation")
    if found is None or found.value == "linear":
        return held
    return applied(layer, held, found, "act")


def applied(layer: Layer, held: Held, found: Part, part: str) -> Held:
    """An activation by its name."""
    if found.is_mapping:
        kind = found.get_text("class_name", "")
        raise layer.refused(
            f"the activation {kind[:40]} is an object, which is not made", "an activation by its name is read", "activation"
        )
    word = found.text()
    if word == "linear":
        return held
    if word in ("softmax", "log_softmax"):
        held = layer.plain(held) if held.order else held
        return layer.like(held, layer.add(word, [held.wire], part, "activation", axis=layer.axis(held, -1)))
    if word == "hard_sigmoid":
        return layer.like(held, _hard_sigmoid(layer, held.wire, part))
    if word not in _WORDS:
        raise layer.refused(f"the activation {word[:40]} has no operator here", f"read are {', '.join(_WORDS)}", "activation")
    kind, given = _WORDS[word]
    return layer.like(held, layer.add(kind, [held.wire], part, "activation", **given))


def _hard_sigmoid(layer: Layer, wire: Wire, part: str) -> Wire:
    """relu6(x + 3) / 6; in Keras 2, 0.2 x + 0.5 cut to 0 and 1."""
    if not layer.reading.older:
        return layer.add("hardsigmoid", [wire], part, "activation")
    wire = layer.add("scale", [wire], "hard.scale", "activation", factor=0.2)
    wire = layer.add("add", [wire], "hard.add", "activation", value=0.5)
    return layer.add("clamp", [wire], "hard.clamp", "activation", low=0, high=1)


def activation(layer: Layer, held: Held) -> Held:
    return applied(layer, held, layer.config.need("activation"), "")


def relu(layer: Layer, held: Held) -> Held:
    most = layer.config.get_number("max_value", -1)
    slope = layer.config.get_number("negative_slope", 0)
    if layer.config.get_number("threshold", 0):
        raise layer.refused("a threshold of its own is not read", "threshold: 0 is", "threshold")
    if slope and most >= 0:
        raise layer.refused("a slope and a greatest value together are not read", None, "negative_slope")
    if slope:
        wire = layer.add("leaky_relu", [held.wire], place="negative_slope", slope=slope)
    elif most >= 0:
        wire = layer.add("relu6", [held.wire]) if most == 6 else layer.add("hardtanh", [held.wire], place="max_value", low=0.0, high=most)
    else:
        wire = layer.add("relu", [held.wire])
    return layer.like(held, wire)


def leaky_relu(layer: Layer, held: Held) -> Held:
    slope = layer.config.get_number("negative_slope", layer.config.get_number("alpha", 0.3))
    return layer.like(held, layer.add("leaky_relu", [held.wire], place="negative_slope", slope=slope))


def elu(layer: Layer, held: Held) -> Held:
    return layer.like(held, layer.add("elu", [held.wire], place="alpha", alpha=layer.config.get_number("alpha", 1.0)))


def softmax(layer: Layer, held: Held) -> Held:
    held = layer.plain(held) if held.order else held
    part = layer.config.get("axis")
    axis = layer.axis(held, -1 if part is None else part.whole(-10), "axis")
    return layer.like(held, layer.add("softmax", [held.wire], axis=axis))
