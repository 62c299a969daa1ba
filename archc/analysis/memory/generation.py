"""The memory of a language model that writes: the cache of keys and values, the pass over a prompt, and the step of one token.

Without the cache, each new token would need all tokens before it again (Pope et al., Efficiently Scaling Transformer Inference, 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from archc.analysis.memory.timeline import Options, Timeline, inference
from archc.analysis.memory.timeline.bounds import ABOUT
from archc.catalog.dtypes import NETWORK
from archc.errors import ArgumentError
from archc.graph import Graph, Node, Value
from archc.graph.rewrite import Copy
from archc.ops import OPERATORS

_REPEATS = ("repeat_interleave", "expand", "tile")  # what gives shared keys and values to each head again; before it they are cached


class Cached(NamedTuple):
    """Keys and values of one layer: [heads, tokens, features] of one sequence."""

    node: Node
    keys: Value
    values: Value

    @property
    def numbers(self) -> int:
        """How many numbers of one sequence are kept."""
        return self.keys.shape.values + self.values.shape.values


@dataclass(slots=True, repr=False)
class Generation:
    """Memory of a model that writes, in bytes.

    prefill: the pass over all tokens of the context at once, whose keys and values stay
    step: the pass of one token, without what it reads from the cache; None where the network does not take one token
    """

    graph: Graph
    options: Options
    layers: list[Cached]
    prefill: Timeline
    step: Timeline | None

    def __repr__(self) -> str:
        return f"<Generation {self.graph.name}: {self.tokens:,} tokens, {self.cache_bytes:,} bytes of keys and values>"

    @property
    def tokens(self) -> int:
        """The context: tokens of the prompt and those that were written."""
        return int(self.layers[0].keys.shape[-2])

    @property
    def cache_bytes(self) -> int:
        """Keys and values of all layers and sequences."""
        return sum(map(self.bytes_of, self.layers))

    @property
    def bytes_a_token(self) -> int:
        """Of one sequence."""
        return self.cache_bytes // (self.tokens * self.options.batch)

    def bytes_of(self, cached: Cached) -> int:
        """Keys and values of one layer, for all sequences."""
        return cached.numbers * self.options.batch * NETWORK[self.options.amp or self.options.dtype]

    @property
    def decode_bytes(self) -> int | None:
        """About what is alive at most while one token is written: the cache, the step, and a longer copy of one layer's keys.

        The new key is joined with those before it, as `torch.cat` does, so that for a moment both exist.
        """
        if self.step is None:
            return None
        size = self.options.batch * NETWORK[self.options.amp or self.options.dtype]
        joined = {cached.node.name: max(cached.keys.shape.values, cached.values.shape.values) * size for cached in self.layers}
        moments = [mark.live + joined.get(mark.layer.name, 0) for mark in self.step.events if mark.layer is not None]
        return self.cache_bytes + max(self.step.peak_bytes, *moments)

    def to_dict(self) -> dict[str, Any]:
        """What `archc memory --generate --format json` prints. All sizes are bytes."""
        decode = None if self.decode_bytes is None else {"peak": self.decode_bytes, "bound": ABOUT, "peak_text": f"~{self.decode_bytes:,}"}
        return {
            "name": self.graph.name,
            "batch": self.options.batch,
            "dtype": self.options.dtype,
            "amp": self.options.amp or None,
            "device": self.options.device,
            "tokens": self.tokens,
            "parameters": self.prefill.by_kind().get("parameters", 0),
            "cache": {
                "bytes": self.cache_bytes,
                "bytes_a_token": self.bytes_a_token,
                "layers": [
                    {"layer": one.node.name, "keys": list(one.keys.shape), "values": list(one.values.shape), "bytes": self.bytes_of(one)}
                    for one in self.layers
                ],
            },
            "prefill": {
                "peak": self.prefill.peak_bytes,
                "bound": self.prefill.bound.status,
                "peak_text": f"{self.prefill.bound.sign}{self.prefill.peak_bytes:,}",
                "peak_at": self.prefill.peak_at,
                "reasons": list(self.prefill.bound.reasons),
            },
            "decode": decode,
        }


def generation(graph: Graph, options: Options, single: Graph | None = None) -> Generation:
    """The memory of a network that writes a context as long as its input. Raises ArgumentError where none of its attention is causal.

    single: the same network for an input of one token, if there is one
    """
    check_writes(graph)
    layers = list(cached_layers(graph))
    prefill = inference(_keeping(graph, layers), options)
    return Generation(graph, options, layers, prefill, inference(single, options) if single is not None else None)


def check_writes(graph: Graph) -> None:
    """Raises ArgumentError where a network does not write token after token."""
    shapes = [value.shape for value in graph.inputs.values()]
    if len(shapes) != 1 or len(shapes[0]) != 1:
        raise ArgumentError(f"{graph.name} does not write: a network that does has one input, the tokens [T], and causal attention")
    if not any(cached_layers(graph)):
        raise ArgumentError(f"{graph.name} has no causal scaled_dot_product_attention, so it keeps no keys and values between tokens")


def cached_layers(graph: Graph) -> Iterator[Cached]:
    """The layers whose keys and values are kept between tokens: all causal attention."""
    for node in graph.nodes:
        if node.kind == "scaled_dot_product_attention" and node.args["causal"]:
            yield Cached(node, _unrepeated(node.inputs[1]), _unrepeated(node.inputs[2]))


def _unrepeated(value: Value) -> Value:
    while value.node is not None and value.node.kind in _REPEATS:
        value = value.node.inputs[0]
    return value


def _keeping(graph: Graph, layers: list[Cached]) -> Graph:
    """The network with copies of keys and values among its outputs, as a cache has them, and attention that reads the copies."""
    copy, cached = Copy(graph), {}
    kept = {value: f"{one.node.name}.{name}" for one in layers for value, name in ((one.keys, "keys"), (one.values, "values"))}
    for node in graph.nodes:
        copy.keep(node, {})
        for value in node.outputs:
            if value in kept:
                cached[kept[value]] = copy.add(kept[value], OPERATORS["clone"], {}, value)
    made = copy.done()
    made.outputs |= cached
    return made
