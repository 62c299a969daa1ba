"""What changed between two networks: which layers came, went, changed or were only renamed, and what that costs.

The trees of scopes are walked side by side. Within a scope, children of equal content are paired first, in order (so that
an insertion into a numbered list renumbers the rest and changes nothing), then those of equal name or kind between them.
Content is kinds and arguments; shapes follow from it and are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from archc.analysis.cost.count import Count
from archc.analysis.cost.report import Layer, Report, analyze, totals
from archc.graph import Graph, Node, Scope, Value
from archc.ops.facts import Module
from archc.ops.opaque import ORIGIN
from archc.text.diagnostics import printable
from archc.text.quantity import counted

Part = Scope | Node
ADDED, REMOVED, CHANGED, RENAMED, MOVED = "added", "removed", "changed", "renamed", "moved"
COSTS = ("parameters", "macs", "flops", "activations")


@dataclass(slots=True)
class Change:
    """One change. `old` and `new` are layers or scopes (None where there is none); `details` say what differs."""

    what: str
    old: Part | None
    new: Part | None
    details: list[str] = field(default_factory=list)
    costs: dict[str, int] = field(default_factory=dict)

    @property
    def part(self) -> Part:
        part = self.new if self.new is not None else self.old
        assert part is not None
        return part

    @property
    def layers(self) -> int:
        return len(list(nodes_of(self.part)))


@dataclass(slots=True, repr=False)
class Difference:
    """Two networks compared.

    same: layers that are unchanged; reshaped: how many of these have other shapes
    more: what the reshaped layers cost in addition, by figure
    """

    old: Report
    new: Report
    changes: list[Change]
    same: int
    reshaped: int
    more: dict[str, int]

    @property
    def unchanged(self) -> str:
        """`175 layers are as they were`."""
        return "1 layer is as it was" if self.same == 1 else f"{self.same:,} layers are as they were"

    def __repr__(self) -> str:
        names = f"{printable(self.old.name)} → {printable(self.new.name)}"
        return f"<Difference {names}: {counted(len(self.changes), 'change')}, {counted(self.same, 'layer')} as before>"

    def _repr_html_(self) -> str:
        from archc.text.notebook import to_html
        from archc.text.table import Column, Table

        table = Table([Column("change"), Column("layer"), Column("details"), Column("parameters", "number"), Column("MACs", "number")])
        for change in self.changes:
            was = change.old.name if change.old is not None and change.new is not None and change.old.name != change.new.name else ""
            details = ", ".join([*([f"was {was}"] if was else []), *change.details])
            table.rows.append([change.what, change.part.name, details, *(f"{change.costs[key]:+,}" for key in ("parameters", "macs"))])
        more = (self.new.counts[key].low - self.old.counts[key].low for key in ("parameters", "macs"))
        table.totals.append(["in all", "", self.unchanged, *(f"{figure:+,}" for figure in more)])
        return to_html(f"{self.old.name} → {self.new.name}", table)

    @property
    def structural(self) -> bool:
        """Whether more than names changed."""
        return any(change.what != RENAMED for change in self.changes)


def compare(old: Graph, new: Graph) -> Difference:
    """What leads from one network to the other. The reports are those of the deployed networks."""
    matcher = _Matcher(by_block=old.captured is None and new.captured is None)
    matcher.scopes(old.root, new.root)
    changes = _find_moves(matcher.changes)
    _mark_rewired(matcher.pairs, changes)
    before = {id(layer.node): layer for layer in analyze(old).layers}
    after = {id(layer.node): layer for layer in analyze(new).layers}
    touched = {id(node) for change in changes if change.what == CHANGED for node in nodes_of(change.part)}
    same = [(a, b) for a, b in matcher.pairs.values() if id(b) not in touched]
    for change in changes:
        change.costs = _costs(change, before, after)
    sums = (totals(before[id(a)] for a, _ in same), totals(after[id(b)] for _, b in same))
    reshaped = sum(_shapes(a) != _shapes(b) for a, b in same)
    return Difference(analyze(old.deployed()), analyze(new.deployed()), changes, len(same), reshaped, _more(*sums))


def nodes_of(part: Part) -> Iterator[Node]:
    if isinstance(part, Node):
        yield part
    else:
        yield from part.walk()


def content(part: Part) -> Any:
    """What a part is, its names left out: equal for parts that do the same."""
    if isinstance(part, Node):
        return part.kind, part.train_only, tuple(sorted((name, _frozen(value)) for name, value in _arguments(part).items()))
    return tuple(map(content, part.children))


def _arguments(node: Node) -> dict[str, Any]:
    """The arguments that say what a layer does; `padding: same` as the numbers that it comes to."""
    form = node.facts.torch
    comes_to = {"padding": form.options.get("padding", 0)} if node.args.get("padding") == "same" and isinstance(form, Module) else {}
    return {name: value for name, value in (node.args | comes_to).items() if name not in ORIGIN}


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((name, _frozen(one)) for name, one in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else (type(value).__name__, value)


class _Matcher:
    """Pairs layers of two trees; `pairs` goes by the old node's identity.

    by_block: whether a scope takes the place of one with its block's name alone; the classes of a model have names of their own
    """

    def __init__(self, by_block: bool) -> None:
        self.by_block = by_block
        self.changes: list[Change] = []
        self.pairs: dict[int, tuple[Node, Node]] = {}
        self._contents: dict[int, int] = {}
        self._known: dict[Any, int] = {}

    def scopes(self, old: Scope, new: Scope) -> None:
        self._children(old.children, new.children)

    def _content(self, part: Part) -> int:
        """A number for the content of a part, the same for equal ones."""
        number = self._contents.get(id(part))
        if number is None:
            inner = content(part) if isinstance(part, Node) else tuple(map(self._content, part.children))
            number = self._contents[id(part)] = self._known.setdefault(inner, len(self._known))
        return number

    def _children(self, old: Sequence[Part], new: Sequence[Part]) -> None:
        i = j = 0
        ends = len(old), len(new)
        for i_next, j_next in [*common(list(map(self._content, old)), list(map(self._content, new))), ends]:
            self._gap(old[i:i_next], new[j:j_next])
            if (i_next, j_next) != ends:
                self._equal(old[i_next], new[j_next])
            i, j = i_next + 1, j_next + 1

    def _equal(self, old: Part, new: Part) -> None:
        if old.label != new.label:
            self.changes.append(Change(RENAMED, old, new))
        self._pair(old, new)

    def _pair(self, old: Part, new: Part) -> None:
        for a, b in zip(nodes_of(old), nodes_of(new), strict=True):
            self.pairs[id(a)] = a, b

    def _gap(self, old: Sequence[Part], new: Sequence[Part]) -> None:
        """Between equal neighbours: what bears one name or is of one kind was changed; the rest went or came."""
        rest = list(new)
        for a in old:
            b = self._counterpart(a, rest)
            if b is None:
                self.changes.append(Change(REMOVED, a, None))
                continue
            for passed in rest[: rest.index(b)]:
                if isinstance(a, Node) or passed.label.isdigit():
                    self.changes.append(Change(ADDED, None, passed))
                    rest.remove(passed)
            rest.remove(b)
            self._changed(a, b)
        self.changes.extend(Change(ADDED, None, b) for b in rest)

    def _counterpart(self, part: Part, among: Sequence[Part]) -> Part | None:
        """The part that took the place of another: of its name, unless that is a number, else the next of its kind."""
        if not part.label.isdigit():
            named = next(
                (other for other in among if other.label == part.label and isinstance(other, Node) == isinstance(part, Node)), None
            )
            if named is not None:
                return named
        return next(
            (other for other in among if self._sort(other) == self._sort(part) and (part.label.isdigit() or other.label.isdigit())), None
        )

    def _sort(self, part: Part) -> tuple[bool, str]:
        """What two parts must share to be the same thing, changed: a kind of layer, or the name of a block."""
        if isinstance(part, Node):
            return True, part.kind
        return False, part.block if self.by_block else ""

    def _changed(self, old: Part, new: Part) -> None:
        if isinstance(old, Scope) and isinstance(new, Scope):
            if self._content(old) == self._content(new):
                self._equal(old, new)
                return
            if old.label != new.label:
                self.changes.append(Change(RENAMED, old, new))
            self.scopes(old, new)
        elif isinstance(old, Node) and isinstance(new, Node):
            self.pairs[id(old)] = old, new
            details = differences(old, new)
            if details:
                self.changes.append(Change(CHANGED, old, new, details))
            elif old.label != new.label:
                self.changes.append(Change(RENAMED, old, new))


def differences(old: Node, new: Node) -> list[str]:
    """`channels 64 → 128`, for each argument that differs."""
    if old.kind != new.kind:
        return [f"{old.kind} → {new.kind}"]
    before, after = _arguments(old), _arguments(new)
    names = [name for name in dict.fromkeys((*before, *after)) if _frozen(before.get(name)) != _frozen(after.get(name))]
    details = [f"{name} {_shown(old.args.get(name))} → {_shown(new.args.get(name))}" for name in names]
    if old.train_only != new.train_only:
        details.append("now only in training" if new.train_only else "now in the deployed network too")
    return details


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_shown(one)}" for name, one in value.items()) + "}"
    return str(value)


def _find_moves(changes: list[Change]) -> list[Change]:
    """What went in one place and came in another, the same in content, has moved."""
    gone: dict[Any, list[Change]] = {}
    for change in changes:
        if change.what == REMOVED and any(node.facts.weights for node in nodes_of(change.part)):
            gone.setdefault(content(change.part), []).append(change)
    kept: list[Change] = []
    dropped: set[int] = set()
    for change in changes:
        origins = gone.get(content(change.part)) if change.what == ADDED else None
        if origins:
            origin = origins.pop(0)
            dropped.add(id(origin))
            kept.append(Change(MOVED, origin.old, change.new))
        else:
            kept.append(change)
    return [change for change in kept if id(change) not in dropped]


def _mark_rewired(pairs: dict[int, tuple[Node, Node]], changes: list[Change]) -> None:
    """Layers that take other values than before; where a neighbour came or went, that is no news."""
    by_layer = {id(change.new): change for change in changes if change.what == CHANGED}
    images = {id(b) for _, b in pairs.values()}
    for a, b in pairs.values():
        for i, (before, after) in enumerate(zip(a.inputs, b.inputs, strict=False)):
            if before.node is None or after.node is None:
                if (before.node is None) == (after.node is None) or not _is_settled(before, after, pairs, images):
                    continue
            elif id(before.node) not in pairs or id(after.node) not in images or pairs[id(before.node)][1] is after.node:
                continue
            change = by_layer.get(id(b))
            if change is None:
                change = by_layer[id(b)] = Change(CHANGED, a, b)
                changes.append(change)
            which = f"input {i + 1} " if len(b.inputs) > 1 else ""
            change.details.append(f"{which}from {_source(before)} → {_source(after)}")
        if len(a.inputs) != len(b.inputs):
            change = by_layer.get(id(b))
            if change is None:
                change = by_layer[id(b)] = Change(CHANGED, a, b)
                changes.append(change)
            change.details.append(f"{counted(len(a.inputs), 'input')} → {len(b.inputs)}")


def _is_settled(before: Value, after: Value, pairs: dict[int, tuple[Node, Node]], images: set[int]) -> bool:
    """Whether the layer that is read on one side is there on both."""
    return id(before.node) in pairs if before.node is not None else id(after.node) in images


def _source(value: Value) -> str:
    return value.node.name if value.node is not None else value.name


def _shapes(node: Node) -> list[tuple[int, ...]]:
    return [tuple(value.shape) for value in (*node.inputs, *node.outputs)]


def _costs(change: Change, before: dict[int, Layer], after: dict[int, Layer]) -> dict[str, int]:
    """How much more the part costs than before. New names cost nothing."""
    if change.what == RENAMED:
        return dict.fromkeys(COSTS, 0)
    old = [before[id(node)] for node in nodes_of(change.old)] if change.old is not None else []
    new = [after[id(node)] for node in nodes_of(change.new)] if change.new is not None else []
    return _more(totals(old), totals(new))


def _more(old: dict[str, Count], new: dict[str, Count]) -> dict[str, int]:
    return {name: new[name].low - old[name].low for name in COSTS}


MOST_CELLS = 1_000_000  # of the exact table; longer sequences are aligned by their longest common runs


def common(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of positions of equal items, both increasing, as many as there can be."""
    first = 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    last = 0
    while last < min(len(old), len(new)) - first and old[-1 - last] == new[-1 - last]:
        last += 1
    middle = _middle(old[first : len(old) - last], new[first : len(new) - last])
    head = [(i, i) for i in range(first)]
    tail = [(len(old) - i, len(new) - i) for i in range(last, 0, -1)]
    return [*head, *((first + i, first + j) for i, j in middle), *tail]


def _middle(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
    if len(old) * len(new) > MOST_CELLS:
        blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
        return [(block.a + i, block.b + i) for block in blocks for i in range(block.size)]
    lengths = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]  # of the best subsequence from (i, j) on
    for i in reversed(range(len(old))):
        row, below = lengths[i], lengths[i + 1]
        for j in reversed(range(len(new))):
            row[j] = below[j + 1] + 1 if old[i] == new[j] else max(below[j], row[j + 1])
    pairs, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        if old[i] == new[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
