"""What a word among a layer's arguments means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archc.aliases.table import fold, table

Params = Mapping[str, str]
"""The arguments of a layer by name, in their order, with the names of their types; `!` after a type where one is required."""


@dataclass(frozen=True, slots=True)
class Says:
    """What an argument's word means for a layer: an argument, with a conversion of its value; or where it stands instead."""

    argument: str = ""
    by: str = ""
    inferred: bool = False
    next: str | None = None
    say: str = ""
    another: bool = False  # whether the layer itself is another one with this argument


def find_argument(kind: str, name: str, params: Params, *, foreign: bool = True, own: bool = False) -> Says:
    """What an argument means of a layer that does not have it, or (`own`) may have it. `foreign`: in a foreign layer, or a foreign word."""
    known, folded = table(), fold(name)
    if own and name in params:
        return Says(name, _conversion(kind, name) if foreign else "")
    if (say := known.told.get((kind, folded))) is not None:
        return Says(say=say, another="leave it out" not in say)
    argument = known.of.get((kind, folded), "")
    if argument in params:
        return Says(argument, _conversion(kind, argument))
    converted = known.converted.get((kind, folded))
    if converted is not None and converted.argument in params:
        return Says(converted.argument, converted.by)
    meant = next((argument for argument in known.arguments.get(folded, ()) if argument in params), None)
    meant = meant or next((param for param in params if fold(param) == folded), None)
    if meant is not None:
        return Says(meant, _conversion(kind, meant))
    if folded in known.inferred or (folded in known.channels_inferred and kind in known.keeping):
        return Says(inferred=True)
    if folded in known.layout:
        return Says(say="maps are [C, H, W] here: leave it out")
    if folded in known.elsewhere:
        return Says(say=known.elsewhere[folded])
    return Says(next=known.next.get(folded))


def _conversion(kind: str, argument: str) -> str:
    """How a value of a foreign argument becomes one of this."""
    return table().conversions.get((kind, argument), "")
