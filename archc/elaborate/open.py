"""A spec with open sizes: which they are, numbers with which it can be elaborated, and its graph for any numbers, recorded or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archc.elaborate.sizes import given_for, names_in_shape, shapes_of, sizes_of
from archc.elaborate.start import elaborate
from archc.graph import Graph
from archc.graph.graph import growing
from archc.language.spec import Spec
from archc.symbolic.recorded import symbol
from archc.symbolic.tape import Tape
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics

# Sizes that are tried in their order where a spec says none: those of images, which divide well, then small and large ones.
TRIED = (224, 256, 64, 32, 128, 16, 28, 96, 299, 512, 1024, 8, 4, 2, 1)


@dataclass(slots=True)
class OpenSpec:
    """A spec under changes, and numbers for its open sizes, in their order.

    known: the sizes that the spec itself says
    """

    spec: Spec
    changes: Mapping[str, t.Tree]
    inputs: Mapping[str, t.Tree]
    witness: dict[str, int]
    known: frozenset[str]

    @property
    def names(self) -> list[str]:
        """The open sizes."""
        return list(self.witness)

    def graph(self, sizes: Mapping[str, int], diagnostics: Diagnostics) -> Graph | None:
        """The graph at some sizes; None where something is wrong there."""
        with growing():
            return elaborate(self.spec, diagnostics, self.changes, self.inputs, sizes)

    def recorded(self, sizes: Mapping[str, int], tape: Tape) -> Graph | None:
        """The graph at the sizes whose own sizes are recorded: a program on the tape."""
        with growing():
            marked = {name: symbol(tape, name, size) for name, size in sizes.items()}
            return elaborate(self.spec, Diagnostics(), self.changes, self.inputs, marked, tape)

    def graph_at_witness(self, diagnostics: Diagnostics) -> Graph | None:
        """The graph at sizes that suit it; they are looked for where the spec says none. The mistakes are those at the first sizes."""
        if diagnostics.failed:  # of what was read: the rest is checked, and nothing comes of it
            return self.graph(self.witness, diagnostics)
        free = [name for name in self.witness if name not in self.known]
        first: Diagnostics | None = None
        for size in TRIED if free else TRIED[:1]:
            sizes = self.witness | dict.fromkeys(free, size)
            found = Diagnostics()
            graph = self.graph(sizes, found)
            if graph is not None:
                self.witness = sizes
                diagnostics.extend(found)
                return graph
            first = first or found
        diagnostics.extend(first or ())
        return None


def open_spec(spec: Spec, changes: Mapping[str, t.Tree], inputs: Mapping[str, t.Tree]) -> OpenSpec | None:
    """The spec with its open sizes; None where every size has a number, or is given one."""
    found: dict[str, int] = {}
    known: set[str] = set()
    bound: set[str] = set()
    for name, own in shapes_of(spec.input).items():
        given = given_for(name, inputs)
        names = names_in_shape(own if given is None else given)
        if given is not None and not names:
            bound |= set(names_in_shape(own))
        sizes = sizes_of(own, {})
        for one in names:
            at = names_at(own if given is None else given, one)
            if given is not None and at < len(sizes):
                found.setdefault(one, sizes[at])
                known.add(one)
            else:
                found.setdefault(one, TRIED[0])
    for one, (_, tree) in spec.sizes.items():
        if one in found and (size := sizes_of(tree, {})):
            found[one] = size[0]
            known.add(one)
    open_ = {one: size for one, size in found.items() if one not in bound}
    return OpenSpec(spec, changes, inputs, open_, frozenset(known)) if open_ else None


def names_at(tree: t.Tree, name: str) -> int:
    """On which axis a name stands first."""
    parts = tree.items if isinstance(tree, t.Sequence) else []
    return next(at for at, part in enumerate(parts) if isinstance(part, t.Scalar) and part.value == name)
