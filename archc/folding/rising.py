"""Arguments that rise evenly over a network, as how often a block is skipped: one expression for all its copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archc.folding.calls import Call
from archc.graph import Graph, Scope
from archc.text.writing import text_of

EVEN = ("drop_path",)  # arguments that rise so (Huang et al., ECCV 2016)
LEAST = 3  # values that rise, for which it is no accident


@dataclass(frozen=True, slots=True, eq=False)
class Rise:
    """`most * at / steps`. All of one rise are equal, wherever they are."""

    most: float
    steps: int
    at: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rise) and (self.most, self.steps) == (other.most, other.steps)

    def __hash__(self) -> int:
        return hash((self.most, self.steps))

    @property
    def value(self) -> float:
        return self.most * self.at / self.steps

    def text(self, place: str) -> str:
        """The expression at a place, which may be one, too."""
        return f"${{{text_of(self.most)} * {place} / {self.steps}}}"


def find_rising(graph: Graph, uses: Mapping[Scope, Call]) -> dict[Scope, Call]:
    """The uses of blocks, with a Rise in the place of each argument that rises evenly over all of them.

    A copy that has none of the argument may be one where it decides nothing; whether it is so is seen when the text is proved.
    """
    order = {id(node): at for at, node in enumerate(graph.nodes)}
    found = dict(uses)
    for kind in dict.fromkeys(call.kind for call in uses.values()):
        scopes = sorted(
            (scope for scope, call in uses.items() if call.kind == kind), key=lambda scope: order.get(id(next(scope.walk())), 0)
        )
        for name in EVEN:
            form = _form([uses[scope].args.get(name) for scope in scopes])
            if form is not None:
                for at, scope in enumerate(scopes):
                    found[scope] = Call(kind, {**found[scope].args, name: Rise(form[0], form[1], at + form[2])})
    return found


def _form(values: Sequence[Any]) -> tuple[float, int, int] | None:
    """The most, the number of steps, and where the first is, if the values that there are rise evenly: exactly, to the last bit."""
    known = [(at, value) for at, value in enumerate(values) if value]
    if len(known) < LEAST or not all(isinstance(value, float) for _, value in known):
        return None
    last, value = known[-1]
    for steps in (len(values), len(values) - 1):
        for shift in (0, 1):
            most = round(value * steps / (last + shift), 6) if last + shift else 0.0
            if all(most * (at + shift) / steps == one for at, one in known):
                return most, steps, shift
    return None
