"""A report as data: the keys of JSON, and a data frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archc.analysis.cost.count import Count
from archc.analysis.field.field import Field, text
from archc.catalog.dtypes import NETWORK
from archc.errors import MissingPackage
from archc.text.extras import needs

if TYPE_CHECKING:
    from pandas import DataFrame

    from archc.analysis.cost.report import Layer, Report


def to_dict(report: Report) -> dict[str, Any]:
    """The stable keys of `archc analyze --format json`."""
    counts, memory = report.counts, report.memory
    size = NETWORK[memory.dtype]
    return {
        "name": report.name,
        "input": {name: list(value.shape) for name, value in report.graph.inputs.items()},
        "parameters": {
            "total": report.parameters,
            "weights": report.weights,
            "biases": report.biases,
            "trainable": report.parameters - _frozen(report),
            "buffers": counts["buffers"].low,
        },
        "macs": report.macs,
        "flops": report.flops,
        "activations": {"values": report.activations, "bytes": memory.activations_per_image},
        "completeness": {key: counts[key].status for key in ("parameters", "macs", "flops", "activations")},
        "bounds": {key: [c.low, c.high] for key, c in counts.items() if not c.exact},
        "memory": {
            "batch": memory.batch,
            "dtype": memory.dtype,
            "optimizer": memory.optimizer,
            "input": memory.input,
            "activations_per_image": memory.activations_per_image,
            "activations": memory.activations,
            "parameters": memory.parameters,
            "buffers": memory.buffers,
            "gradients": memory.gradients,
            "optimizer_state": memory.optimizer_state,
            "training": memory.training,
        },
        "layers": [layer_to_dict(layer, size) for layer in report.layers],
    } | ({"captured": _captured(report)} if report.graph.captured is not None else {})


def _frozen(report: Report) -> int:
    """Values that are counted and not trained."""
    captured = report.graph.captured
    return sum(size for name, size in captured.frozen.items() if name not in captured.unused) if captured is not None else 0


def _captured(report: Report) -> dict[str, Any]:
    """Of a network that came from a model: what is known of that."""
    captured = report.graph.captured
    assert captured is not None
    opaque = [(layer.name, layer.node.args) for layer in report.layers if layer.kind == "opaque"]
    return {
        "source": captured.source,
        "dtype": captured.dtype,
        "opaque": [{"layer": name, **{key: args.get(key) or "" for key in ("name", "place", "why")}} for name, args in opaque],
        "unused": captured.unused,
        "frozen": captured.frozen,
        "notes": list(captured.notes),
    }


def layer_to_dict(layer: Layer, size: int) -> dict[str, Any]:
    """One layer; a count that is unknown is null, a bounded one is its lower bound."""
    node, field = layer.node, layer.field
    made: dict[str, Any] = {
        "name": layer.name,
        "kind": layer.kind,
        "inputs": [value.node.name if value.node else value.name for value in node.inputs],
        "input_shapes": [list(value.shape) for value in node.inputs],
        "output_shape": list(layer.output_shape),
        "parameters": _number(layer.parameters),
        "weights": _number(layer.weights),
        "biases": _number(layer.biases),
        "buffers": _number(layer.buffers),
        "macs": _number(layer.macs),
        "flops": _number(layer.flops),
        "activations": {"values": layer.values, "bytes": layer.bytes(size), "storage": layer.storage},
        "receptive_field": _field(field),
    }
    if len(layer.fields) > 1:
        made["receptive_fields"] = {name: _field(field_of_input) for name, field_of_input in layer.fields.items()}
    if layer.dense is not None:
        made["dense_equivalent"] = layer.dense
    if node.shared is not None:
        made["shares"] = node.shared.name
    if node.ties:
        made["tied"] = {name: f"{tie.node.name}.{tie.tensor}".rstrip(".") for name, tie in node.ties.items()}
    return made


def _number(count: Count) -> int | None:
    return None if count.status == "unknown" else count.low


def _field(field: Field) -> dict[str, Any] | None:
    """None for the whole input; `jump` and `offset` are None along an axis where they differ from position to position."""
    if field.covers_input and field.exact:
        return None
    return {"size": list(field.size), "jump": list(field.jump), "offset": list(field.offset), "exact": field.exact}


def to_dataframe(report: Report) -> DataFrame:
    """One row a layer. Raises MissingPackage without pandas."""
    try:
        import pandas
    except ModuleNotFoundError:
        raise MissingPackage(needs("pandas", "pandas")) from None

    size = NETWORK[report.memory.dtype]
    rows = []
    for layer in report.layers:
        row = layer_to_dict(layer, size)
        row["activations"], row["bytes"] = row["activations"]["values"], row["activations"]["bytes"]
        row["receptive_field"] = text(layer.fields)
        rows.append(row)
    return pandas.DataFrame(rows)
