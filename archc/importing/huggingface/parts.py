"""What families of transformers share: a network in the making by the names of Hugging Face, and attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archc.importing.document import Part
from archc.importing.draft import Draft, Refused, Wire
from archc.text.source import Span

if TYPE_CHECKING:
    import numpy

    Convert = Callable[["numpy.ndarray"], "numpy.ndarray"]

MOST_BLOCKS = 1_000
_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "gelu": ("gelu", {}), "gelu_new": ("gelu", {"approximate": "tanh"}), "gelu_pytorch_tanh": ("gelu", {"approximate": "tanh"}),
    "gelu_fast": ("gelu", {"approximate": "tanh"}), "relu": ("relu", {}), "silu": ("silu", {}), "swish": ("silu", {}), "tanh": ("tanh", {}),
    "mish": ("mish", {}), "relu6": ("relu6", {}), "sigmoid": ("sigmoid", {}),
}  # fmt: skip


@dataclass(slots=True)
class Reading:
    """A network as far as it is read. Layers have Hugging Face's names, so their weights do, too, but for those of `others`.

    converts: what is done to weights that are laid out otherwise
    others: the file's names of weights that have another
    """

    config: Part
    draft: Draft
    head: str
    notes: list[str] = field(default_factory=list)
    converts: dict[str, Convert] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    prefix: str = ""

    @property
    def span(self) -> Span:
        return self.config.place("model_type")

    def add(self, name: str, kind: str, *wires: Wire, place: str = "", **given: Any) -> Wire:
        return self.draft.add(name, kind, list(wires), self.config.place(place) if place else self.span, **given)

    def whole(self, name: str, default: int, least: int = 1) -> int:
        return self.config.get_whole(name, default, least)

    def number(self, name: str, default: float) -> float:
        return self.config.get_number(name, default)

    def only(self, name: str, wanted: object, why: str) -> None:
        """Refuses a setting unless it has the value at which the network is the one that is read."""
        found = self.config.get(name)
        if found is not None and found.value != wanted:
            raise Refused(found.span, f"{name}: {why}", f"{str(wanted).lower()} is read", "A303")

    def blocks(self, name: str, default: int) -> range:
        count = self.whole(name, default)
        if count > MOST_BLOCKS:
            raise Refused(self.config.place(name), f"{name} is {count:,}", f"at most {MOST_BLOCKS:,} blocks are read", "A601")
        return range(count)

    def heads(self, name: str, default: int, features: int) -> int:
        heads = self.whole(name, default)
        if features % heads:
            raise Refused(self.config.place(name), f"{heads} heads do not divide {features} features", None, "A404")
        return heads

    def activation(self, name: str, wire: Wire, key: str, default: str) -> Wire:
        word = self.config.get_text(key, default)
        if word not in _ACTIVATIONS:
            known = f"read are {', '.join(_ACTIVATIONS)}"
            raise Refused(self.config.place(key), f"the activation {word[:40]} has no operator here", known, "A303")
        kind, given = _ACTIVATIONS[word]
        return self.add(name, kind, wire, place=key, **given)

    def dropout(self, name: str, wire: Wire, p: float, place: str) -> Wire:
        return self.add(name, "dropout", wire, place=place, p=p) if p else wire

    def turned(self) -> None:
        """The newest layer's weight is [in, out] in the file."""
        self.converts[f"{self.draft.last}.weight"] = lambda array: array.T

    def embedded(self, name: str, tokens: Wire, entries: int, features: int, place: str) -> Wire:
        return self.add(name, "embedding", tokens, place=place, entries=entries, features=features)

    def positions(self, name: str, wire: Wire, entries: int, start: int = 0) -> Wire:
        """A table of learned positions, of which each token takes the next row."""
        table = self.add(f"{name}.weight", "parameter", wire, shape=[entries, wire.shape.features], start="normal", std=0.02)
        tokens = wire.shape[0]
        return table if tokens == entries else self.add(f"{name}.used", "slice", table, start=start, stop=start + tokens)

    def heads_of(self, name: str, wire: Wire, heads: int, size: int) -> Wire:
        """[T, heads * size] -> [T, heads, size]."""
        return self.add(f"{name}_heads", "reshape", wire, shape=[wire.shape[0], heads, size])

    def first(self, name: str, wire: Wire) -> Wire:
        return self.add(f"{name}_heads_first", "permute", wire, order=[1, 0, 2])

    def attended(self, name: str, q: Wire, k: Wire, v: Wire, *, causal: bool, dropout: float) -> Wire:
        """Attention of heads [H, T, D], joined again: [T, H * D]."""
        out = self.add(f"{name}.attend", "scaled_dot_product_attention", q, k, v, causal=causal, dropout=dropout)
        out = self.add(f"{name}.turned", "permute", out, order=[1, 0, 2])
        return self.add(f"{name}.joined", "reshape", out, shape=[out.shape[0], out.shape[1] * out.shape[2]])

    def tied_head(self, name: str, wire: Wire, embedding: str, entries: int, *, bias: bool, tied: bool) -> Wire:
        """A linear layer over the vocabulary, whose weight is that of the embedding if they are tied."""
        modifiers = f"tie: .{embedding}, " if tied else ""
        given = {"features": entries, "bias": bias}
        return self.draft.add_several(name, "linear", [wire], self.config.place("vocab_size"), modifiers, **given)[0]

    def labels(self, default: int = 2) -> int:
        """The number of classes, which a file tells by their names."""
        found = self.config.get("id2label")
        return len(found.keys()) if found is not None and found.is_mapping else self.whole("num_labels", default)
