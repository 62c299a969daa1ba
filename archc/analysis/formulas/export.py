"""Formulas as data: the keys of JSON for a network of open sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archc.analysis.formulas.figures import Bounds, LayerFigures

if TYPE_CHECKING:
    from archc.analysis.formulas.formulas import Formula, Formulas

NOT_GIVEN = ["receptive fields", "what backward keeps, layer by layer", "the peak of memory over time"]


def to_dict(found: Formulas) -> dict[str, Any]:
    """Every figure as `{"text": …, "terms": […]}`, with `simple` beside them where the assumption makes them shorter."""
    return totals_to_dict(found) | {
        "layers": [_layer(layer) for layer in found.figures.layers],
        "not_given": NOT_GIVEN,
    }


def totals_to_dict(found: Formulas) -> dict[str, Any]:
    """The same without the layers."""
    batch, dtype, optimizer = found.options
    values = found.recording.graph.inputs
    return {
        "name": found.name,
        "sizes": {name: found.recording.witness[name] for name in found.sizes},
        "input": {name: [_one(found.formula(size)) for size in value.shape] for name, value in values.items()},
        "conditions": found.conditions,
        "assumption": found.assumption,
        "totals": {key: _bounds(bounds) for key, bounds in found.figures.counts.items()},
        "memory": {"batch": batch, "dtype": dtype, "optimizer": optimizer} | {key: _one(formula) for key, formula in found.memory.items()},
    }


def _layer(layer: LayerFigures[Formula]) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "output_shape": [_one(size) for size in layer.output_shape],
        **{key: _bounds(bounds) for key, bounds in layer.counts.items()},
        "activations": {"values": _one(layer.values), "bytes": _one(layer.bytes), "storage": layer.storage},
    }


def _one(formula: Formula) -> Any:
    """A number that is the same at every size is that number."""
    return formula.to_dict() if formula.number is None else formula.number


def _bounds(bounds: Bounds[Formula]) -> Any:
    """A figure that is not exact is what it is at least and at most; null where nothing bounds it."""
    if bounds.exact:
        return _one(bounds.low)
    return {"low": _one(bounds.low), "high": None if bounds.high is None else _one(bounds.high)}
