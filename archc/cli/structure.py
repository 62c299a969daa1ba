"""`archc explain SPEC --structure`: the paths through a network, their lengths, and what all of them go through."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import groupby

from archc.analysis.structure import PAPER, Structure, structure
from archc.cli.common import heading_line
from archc.cli.console import prose, table_text, width
from archc.graph import Graph
from archc.text.table import Column, Table

MOST_ROWS, MOST_NAMES = 12, 24
MOST_DIGITS = 21  # of a count that is written out


def explain_structure(args: argparse.Namespace, graph: Graph) -> int:
    """Prints the structure of the deployed network. Raises MissingPackage without networkx."""
    found = structure(graph.deployed())
    print(json.dumps(found.to_dict(), indent=2) if args.format == "json" else "\n".join(_text(found)))
    return 0


def _text(found: Structure) -> Iterator[str]:
    yield heading_line(found.name, ": the graph", width() or 100)
    yield ""
    facts = Table([Column("what"), Column("count", "number"), Column("which")])
    facts.rows = [
        ["paths from input to output", _many(found.paths), _power(found.paths)],
        ["shortest path", str(found.shortest), "layers with weights"],
        ["median path", str(found.quantile(0.5)), f"95% of them: {found.quantile(0.025)} to {found.quantile(0.975)}"],
        ["depth, the longest path", str(found.depth), "layers with weights"],
        ["layers on all paths", f"{len(found.bottlenecks):,}", f"of {found.layers:,}"],
        ["branches", f"{len(found.branches):,}", "several layers read them"],
        ["joins", f"{len(found.joins):,}", "they read several"],
    ]
    if found.idle:
        facts.rows.append(["layers on no path", f"{found.idle:,}", "no output depends on them"])
    yield table_text(facts, broken=True)
    if len(found.lengths) > 1:
        yield ""
        yield table_text(_distribution(found))
    for title, names in (("on all paths", found.bottlenecks), ("branches", found.branches), ("joins", found.joins)):
        if names:
            more = f", … {len(names) - MOST_NAMES:,} more (--format json has all)" if len(names) > MOST_NAMES else ""
            yield ""
            yield prose(f"{title}: {', '.join(names[:MOST_NAMES])}{more}", 100)
    yield ""
    yield prose(
        f"Paths are those of {PAPER}: from layer to layer by what is read, each way once. Layers with weights are those that multiply by "
        "them, as convolutions and dense layers do; normalizations do not count.",
        100,
    )


def _distribution(found: Structure) -> Table:
    """How many paths there are of each length; of many lengths, by spans of equal size. No row is empty."""
    lengths = sorted(found.lengths)
    least, step = lengths[0], 1
    if len(lengths) > MOST_ROWS:
        step = -(-(lengths[-1] - least + 1) // MOST_ROWS)
    table = Table([Column("layers with weights"), Column("paths", "number"), Column("share", "number")])
    for span, within in groupby(lengths, lambda length: (length - least) // step):
        first, last = least + span * step, min(least + span * step + step - 1, lengths[-1])
        many = sum(found.lengths[length] for length in within)
        table.rows.append([f"{first}" if first == last else f"{first} to {last}", _many(many), _share(many, found.paths)])
    return table


def _share(part: int, total: int) -> str:
    """In percent, by whole numbers, as floats do not hold them."""
    tenths = (2000 * part + total) // (2 * total)
    return "<0.1%" if part and not tenths else f"{tenths / 10:.1f}%"


def _many(number: int) -> str:
    """A count, written out where it has few digits; else to four digits."""
    digits = str(number)
    return f"{number:,}" if len(digits) <= MOST_DIGITS else f"{digits[0]}.{digits[1:4]}e{len(digits) - 1}"


def _power(number: int) -> str:
    """`2^16`, where a count is a power of two."""
    return f"2^{number.bit_length() - 1}" if number > 1024 and number.bit_count() == 1 else ""
