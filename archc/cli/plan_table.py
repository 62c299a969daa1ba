"""A plan of checkpointing as lines: regions that are alike on one row, the peak before and after, what runs again."""

from __future__ import annotations

import re

from archc.analysis.recompute import Region
from archc.analysis.recompute.planner import Planned, PlanRow
from archc.cli.console import DEFAULT_WIDTH, table_text
from archc.text.quantity import bytes_text, counted, short
from archc.text.table import Column, Table

MOST_ROWS = 12


def plan_lines(planned: Planned) -> list[str]:
    """What `archc fit` prints of a plan that has regions."""
    before, after = planned.before, planned.after
    batch = before.options.batch
    if planned.fits:
        first = f"with checkpointing, a batch of {batch} fits {bytes_text(planned.memory)}:"
    else:
        first = f"the smallest peak with checkpointing is {after.amount_text(after.needed_bytes)}:"
    recomputed = (
        f"{counted(planned.recomputed.layers, 'layer')}, {short(planned.recomputed.macs)} MACs an image, {planned.extra:.1%} of a step's"
    )
    found = "no plan of such regions recomputes less" if planned.exact and planned.fits else ""
    if planned.coarse:
        found = f"of {len(before.graph.nodes):,} layers, only regions between some of the cuts were searched"
    return [
        first,
        f"peak       {before.amount_text(before.peak_bytes)} before, {after.amount_text(after.peak_bytes)} after",
        f"recomputed {recomputed}",
        *([f"           {found}"] if found else []),
        "",
        table_text(_table(planned), DEFAULT_WIDTH),
        "",
    ]


def _table(planned: Planned) -> Table:
    table = Table([
        Column("recomputed in backward"),
        Column("regions", "count"),
        Column("layers", "count"),
        Column("kept", "bytes"),
        Column("saved", "bytes"),
        Column("extra MACs", "count"),
    ])  # fmt: skip
    groups = group_regions(planned.rows)
    shown = sorted(sorted(range(len(groups)), key=lambda at: -sum(row.saved for row in groups[at]))[:MOST_ROWS])
    for at in shown:
        table.rows.append([common_name([row.region for row in groups[at]]), *_sums(groups[at])])
    rest = [row for at, rows in enumerate(groups) if at not in set(shown) for row in rows]
    if rest:
        table.rows.append([f"and {counted(len(groups) - len(shown), 'more kind')}", *_sums(rest)])
    table.totals.append(["", *_sums(list(planned.rows))])
    table.notes.append("recomputed layers, bytes kept and saved for a batch, MACs for an image")
    if any(row.recomputed.layers > row.layers for row in planned.rows):
        table.notes.append("regions within regions are included: their layers are recomputed twice")
    return table


def _sums(rows: list[PlanRow]) -> list[object]:
    macs = sum(row.recomputed.macs for row in rows)
    layers, kept, saved = sum(row.recomputed.layers for row in rows), sum(row.kept for row in rows), sum(row.saved for row in rows)
    return [len(rows), layers, kept, saved, short(macs) if macs else "0"]


def group_regions(rows: tuple[PlanRow, ...]) -> list[list[PlanRow]]:
    """Regions whose names differ in numbers of repeated blocks alone, in the order of the first of each."""
    found: dict[tuple[str, ...], list[PlanRow]] = {}
    for row in rows:
        key = (*(re.sub(r"\d+(?=\.)|\d+\Z", "#", name) for name in (row.region.first, row.region.last)), str(row.recomputed.layers))
        found.setdefault(key, []).append(row)
    return list(found.values())


def common_name(regions: list[Region]) -> str:
    """One name for regions that are alike: where their numbers differ, a star."""
    first = _star([region.first for region in regions])
    if not regions[0].last:
        return first
    last = _star([region.last for region in regions])
    around = first.split(".")[:-1]
    parts = last.split(".")
    same = 0
    while same < min(len(around), len(parts) - 1) and around[same] == parts[same]:
        same += 1
    return f"{first} to {'.'.join(parts[same:])}"


def _star(names: list[str]) -> str:
    columns = zip(*(re.split(r"(\d+)", name) for name in names), strict=True)
    return "".join(parts[0] if len(set(parts)) == 1 else "*" for parts in map(list, columns))
