"""A network in the making: layers one by one, each checked by its operator at the place of the file that asks for it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from archc.elaborate.naming import check_names
from archc.elaborate.state import MOST_LAYERS
from archc.language.blocks import is_name
from archc.language.values import Mistake
from archc.ops.registry import OPERATORS
from archc.ops.shape import Shape, input_shape
from archc.signature import Fault, bind
from archc.text.diagnostics import Diagnostic
from archc.text.source import Source, Span
from archc.text.writing import key_of, text_of

MOST_VALUES = 2**53
_NOWHERE = Span(Source("", ""), 0, 0)
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


class Refused(Exception):
    """A file that cannot be read as a network: what is wrong, where, and what to do."""

    def __init__(self, span: Span, message: str, hint: str | None = None, code: str = "A202") -> None:
        super().__init__(message)
        self.found = Diagnostic(code, message, span, hint)


class Wire(NamedTuple):
    """A value of the network: how a spec refers to it, and its shape."""

    reference: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Entry:
    """A layer as it is written: `what` is the operator with its arguments, `modifiers` what stands beside it."""

    name: str
    what: str
    inputs: tuple[str, ...]
    output: str
    modifiers: str = ""


class Draft:
    """The layers of a network so far, from which a spec is written."""

    def __init__(self, name: str, doc: str = "") -> None:
        self.name = name
        self.doc = doc
        self.inputs: dict[str, Shape] = {}
        self.outputs: dict[str, Wire] = {}
        self.entries: list[Entry] = []
        self.weights: dict[str, tuple[int, ...]] = {}  # shapes by the names of the state_dict
        self.again = False  # whether layers are applied that were there before: those with weights share them
        self._first: dict[str, str] = {}  # the layers that were made under the names that were asked for
        self._names: set[str] = set()
        self._tried: dict[str, int] = {}  # up to which number names are taken
        self._levels: set[str] = set()
        self._newest: tuple[str, Sequence[Wire], Span, dict[str, Any]]

    def input(self, sizes: Sequence[int], span: Span, name: str = "input") -> Wire:
        """An input, by its shape without the batch."""
        if not sizes or len(sizes) > 6 or not all(0 < size < 2**31 for size in sizes):
            raise Refused(span, f"an input of shape {list(sizes)}", "sizes are whole numbers from 1 up", "A404")
        self.inputs[name] = shape = input_shape(tuple(sizes))
        return Wire(f".{name}" if name != "input" else "input", shape)

    def free_input(self, wanted: str) -> str:
        """A name for one of several inputs."""
        name = re.sub(r"\W", "_", wanted)[:80]
        return self.free(name if is_name(name) else f"x_{name}")

    def free(self, wanted: str) -> str:
        """A name that can stand in a spec and is not taken: the wanted one, or as near to it as there is."""
        name = ".".join(_fit(part) for part in wanted.split(".")[:20])
        if any(level in self._names for level in _levels(name)):
            name = name.replace(".", "_")
        for number in range(self._tried.get(name, 0), MOST_LAYERS + 2):
            self._tried[name] = number
            tried = f"{name}_{number}" if number else name
            try:
                check_names(tried, _NOWHERE)
            except Mistake:
                continue
            if tried not in self._names and tried not in self._levels and tried not in self.inputs:
                return tried
        raise AssertionError("more names than layers")

    def add(self, name: str, kind: str, inputs: Sequence[Wire], span: Span, **given: Any) -> Wire:
        """A layer with one output."""
        return self.add_several(name, kind, inputs, span, **given)[0]

    def add_several(self, name: str, kind: str, inputs: Sequence[Wire], span: Span, modifiers: str = "", **given: Any) -> tuple[Wire, ...]:
        """A layer by its operator and arguments. Raises Refused where the operator does not take them."""
        if len(self.entries) >= MOST_LAYERS:
            raise Refused(span, f"more than {MOST_LAYERS:,} layers", None, "A601")
        op = OPERATORS[kind]
        args, faults = bind(op.signature, given, {})
        try:
            if faults:
                raise faults[0]
            facts = op(*(wire.shape for wire in inputs), **args)
        except Fault as fault:
            raise Refused(span, f"{kind}: {fault.message}", fault.hint, fault.code) from None
        if any(shape.values > MOST_VALUES for shape in facts.outputs) or any(product(one.shape) > MOST_VALUES for one in facts.owned):
            raise Refused(span, f"{kind}: it has more values than can be counted", None, "A404")
        params = op.signature.params
        kept = {key: value for key, value in given.items() if value != params[key].default or type(value) is not type(params[key].default)}
        shared = self._first.get(name) if self.again and facts.owned else None
        wanted, name = name, self._take(name)
        self._first.setdefault(wanted, name)
        self._newest = kind, inputs, span, given
        what = f"share: {reference(f'.{shared}')}" if shared else f"{kind}: {text_of(kept) if kept else ''}"
        self.entries.append(Entry(name, what, tuple(wire.reference for wire in inputs), f".{name}", modifiers))
        if not shared:
            tied = "weight" if modifiers else ""
            owned = [one for one in facts.owned if not one.name or one.name != tied]
            self.weights |= {f"{name}.{one.name}" if one.name else name: tuple(one.shape) for one in owned}
        several = len(facts.outputs) > 1
        return tuple(Wire(f".{name}.{at}" if several else f".{name}", shape) for at, shape in enumerate(facts.outputs))

    def _take(self, wanted: str) -> str:
        name = self.free(wanted)
        self._names.add(name)
        self._levels.update(_levels(name))
        return name

    def change_last(self, **given: Any) -> None:
        """Gives the newest layer further arguments."""
        entry, (kind, wires, span, before) = self.entries.pop(), self._newest
        self._names.discard(entry.name)
        self.add_several(entry.name, kind, wires, span, **before | given)

    def free_output(self, wanted: str) -> str:
        """A name for an output that is not taken."""
        name = _UNFIT.sub("_", wanted)[:90] or "output"
        return next(tried for tried in (name, *(f"{name}_{at}" for at in range(1, MOST_LAYERS))) if tried not in self.outputs)

    @property
    def last(self) -> str:
        """The name of the newest layer, under which its weights stand."""
        return self.entries[-1].name

    def text(self) -> str:
        """The spec. Neighbours whose names begin alike stand on a level of their own."""
        lines = ["archc: 1", f"name: {text_of(self.name)}"] + ([f"doc: {text_of(self.doc)}"] if self.doc else [])
        if list(self.inputs) == ["input"]:
            lines.append(f"input: {list(self.inputs['input'])}")
        else:
            lines += ["input:", *(f"  {key_of(name)}: {list(shape)}" for name, shape in self.inputs.items())]
        lines += ["layers:", *self._level([(entry.name.split("."), entry) for entry in self.entries], 1, [next(iter(self.inputs))])]
        if self.outputs:
            lines += ["outputs:", *(f"  {key_of(name)}: {reference(wire.reference)}" for name, wire in self.outputs.items())]
        return "\n".join(lines) + "\n"

    def _level(self, entries: list[tuple[list[str], Entry]], indent: int, before: list[str]) -> Iterator[str]:
        """Entries by the parts of their names that are left. `before` holds what the chain stands at."""
        runs = [list(run) for _, run in groupby(entries, key=lambda pair: (pair[0][0], len(pair[0]) > 1))]
        firsts = Counter(run[0][0][0] for run in runs)
        pad = "  " * indent
        for run in runs:
            first = run[0][0][0]
            if len(run[0][0]) > 1 and firsts[first] == 1:
                yield f"{pad}{key_of(first)}:"
                yield f"{pad}  layers:"
                yield from self._level([(parts[1:], entry) for parts, entry in run], indent + 2, before)
                continue
            for parts, entry in run:
                yield f"{pad}{key_of('.'.join(parts))}: {{{self._source(entry, before)}{entry.modifiers}{entry.what}}}"
                before[:] = [entry.output]

    def _source(self, entry: Entry, before: list[str]) -> str:
        if list(entry.inputs) == before:
            return ""
        names = [reference(name) for name in entry.inputs]
        return f"from: {names[0]}, " if len(names) == 1 else f"from: [{', '.join(names)}], "


def product(sizes: Sequence[int]) -> int:
    """The product of sizes."""
    result = 1
    for size in sizes:
        result *= size
    return result


def reference(name: str) -> str:
    """A reference as a spec writes it; one that YAML would take for a number, or that has other marks, in quotes."""
    plain = re.fullmatch(r"\.?[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*", name) and name.lower() not in (".nan", ".inf")
    return name if plain else f'"{name}"'


def _fit(part: str) -> str:
    """A part of a name without what no name has; one that has another meaning gains a mark."""
    part = _UNFIT.sub("_", part)[:90]
    part = f"x{part}" if part.startswith(("__", "-")) or part in ("", "_") else part
    try:
        return check_names(part, _NOWHERE)
    except Mistake:
        return f"{part}_"


def _levels(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:at]) for at in range(1, len(parts)))
