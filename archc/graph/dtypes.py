"""The dtypes of inputs: as they are declared, or as the layers want them."""

from __future__ import annotations

from archc.catalog.dtypes import BYTES
from archc.graph.graph import Graph, Value
from archc.ops.facts import VIEW

WHOLE = ("int64", "int32", "uint8", "bool")  # what an input can be declared to be
SAME = "same"  # the network's own; of an input of which nothing is declared, what its layers want
COMPUTED = "computed"  # the network's own, and nothing else, as a layer made it
_VALUES = {"bool": 2, "uint8": 256}  # how many there are of a dtype


def input_dtypes(graph: Graph) -> dict[Value, str]:
    """The dtype of each input: as declared, else int64 where a layer wants indices of it or of a view of it."""
    found = {value: value.dtype for value in graph.inputs.values()}
    takes = dict(found)
    for node in reversed(graph.nodes):
        through = SAME if node.facts.storage != VIEW else next((takes[v] for v in node.outputs if takes.get(v) == "int64"), SAME)
        for index, value in enumerate(node.inputs):
            if "int64" in (node.facts.taken(index), through):
                takes[value] = "int64"
    return {value: takes[value] if dtype == SAME else dtype for value, dtype in found.items()}


def input_items(graph: Graph, size: int) -> dict[Value, int]:
    """The bytes of a value of each input, where one of the network's own dtype has `size`."""
    return {value: BYTES.get(dtype, size) for value, dtype in input_dtypes(graph).items()}


def input_limits(graph: Graph) -> dict[str, int]:
    """Of the inputs that hold whole numbers, by name: below which number every value is valid.

    The entries of the smallest embedding that looks them up, else what the dtype holds; where neither says it, 0 alone is sure.
    """
    found: dict[str, int] = {}
    for name, value in graph.inputs.items():
        dtype = input_dtypes(graph)[value]
        if dtype != SAME:
            entries = [int(node.args["entries"]) for node in graph.nodes if "entries" in node.args and _seen_from(node.inputs[0]) is value]
            found[name] = min(entries, default=_VALUES.get(dtype, 1))
    return found


def _seen_from(value: Value) -> Value:
    """What a value is a view of."""
    while value.node is not None and value.node.facts.storage == VIEW and value.node.inputs:
        value = value.node.inputs[0]
    return value
