"""A plan of checkpointing as data: the regions of a network that run again in backward."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from archc.text import tree as t

_PLAIN = re.compile(r"[A-Za-z_][\w.]*\Z")


@dataclass(frozen=True, slots=True)
class Region:
    """The part or layer `first`, or, with `last`, the layers from one to the other in the order in which they run."""

    first: str
    last: str = ""

    def __str__(self) -> str:
        return f"[{_quoted(self.first)}, {_quoted(self.last)}]" if self.last else _quoted(self.first)


@dataclass(frozen=True, slots=True, repr=False)
class CheckpointPlan:
    """The regions of a network that run again in backward; one may lie in another."""

    regions: tuple[Region, ...]

    def __repr__(self) -> str:
        more = f", … {len(self.regions) - 4:,} more" if len(self.regions) > 4 else ""
        return f"<CheckpointPlan: {', '.join(map(str, self.regions[:4])) or 'nothing runs again'}{more}>"

    def _repr_html_(self) -> str:
        from archc.text.notebook import to_html
        from archc.text.table import Column, Table

        rows: list[list[object]] = [[number, str(region)] for number, region in enumerate(self.regions, 1)]
        return to_html("runs again in backward", Table([Column("", "count"), Column("region")], rows))

    def text(self) -> str:
        """The plan as a file holds it."""
        return "checkpoint:\n" + "".join(f"  - {region}\n" for region in self.regions) if self.regions else "checkpoint: []\n"


def _quoted(name: str) -> str:
    return name if _PLAIN.match(name) and t.plain_value(name) == name else json.dumps(name)
