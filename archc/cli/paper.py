"""`archc explain SPEC --paper`: what others print of a network beside what comes out of the spec."""

from __future__ import annotations

import argparse
import json

from archc.analysis.checks.published import CUT, DIFFERS, QUOTED, Comparison, compare
from archc.cli.common import show
from archc.cli.console import prose, table_text
from archc.language.citation import PAPER, in_bytes
from archc.language.spec import Spec
from archc.text.table import Column, Table

NAMES = {
    "macs": "MACs",
    "flops": "FLOPs",
    "top1": "top-1 %",
    "top5": "top-5 %",
    "top1_error": "top-1 error %",
    "top5_error": "top-5 error %",
    "dense": "if dense",
}


def explain_paper(args: argparse.Namespace, spec: Spec) -> int:
    """Prints the table; 2 where a claim speaks of what is not there."""
    rows, wrong = compare(spec)
    show(wrong)
    if args.format == "json":
        paper = {name: value for name in PAPER if (value := getattr(spec.paper, name))}
        print(json.dumps({"name": spec.name, "paper": paper, "published": [_record(row) for row in rows]}, indent=2))
    else:
        print("\n".join(_text(spec, rows)))
    return 2 if wrong else 0


def _record(row: Comparison) -> dict[str, object]:
    claim = row.claim
    line_of_claim = {"metric": row.metric, "printed": row.printed, "ours": row.ours, "verdict": row.verdict, "by": claim.by}
    more = {"of": list(claim.of), "only": claim.only, "set": _settings(row), "note": claim.note, "why": claim.why}
    return {**line_of_claim, **{key: value for key, value in more.items() if value}}


def _text(spec: Spec, rows: list[Comparison]) -> list[str]:
    paper = spec.paper
    cited = [part for part in (paper.title, paper.authors, paper.venue or str(paper.year or ""), paper.url) if part]
    head = [prose(f"{spec.name}: {'. '.join(cited) or 'the spec names no paper'}", 100)]
    if not rows:
        return [*head, "", "the spec has no published figures; add them under `published`"]
    notes: dict[tuple[str, str], int] = {}
    table = Table([Column("figure"), Column("of", "text", 3), Column("printed", "number"), Column("ours", "count"),
                   Column("difference", "number"), Column("by")])  # fmt: skip
    for row in rows:
        claim = row.claim
        reasons = (claim.why if row.verdict in (DIFFERS, CUT) else "", claim.note)
        numbers = [notes.setdefault(("", text), len(notes) + 1) for text in reasons if text]
        marks = "".join(f" [{number}]" for number in numbers)
        table.rows.append(
            [NAMES.get(row.metric, row.metric), _what(row), _printed_text(row), _ours(row), _difference(row) + marks, claim.by]
        )
    if not any(row[1] for row in table.rows):
        table.columns.pop(1)
        for cells in table.rows:
            cells.pop(1)
    table.notes = ["", *(f"[{number}] {text}" for (_, text), number in notes.items())] if notes else []
    return [*head, "", table_text(table)]


def _printed_text(row: Comparison) -> str:
    return f"{row.printed:,}" if isinstance(row.printed, int) else str(row.printed)


def _ours(row: Comparison) -> int | str | None:
    return f"{row.ours:,} B" if in_bytes(row.printed) else row.ours


def _what(row: Comparison) -> str:
    return ", ".join([*row.claim.of, *([f"{row.claim.only} alone"] if row.claim.only else []), *_settings(row)])


def _settings(row: Comparison) -> list[str]:
    return [f"{name}={tree.source.text[tree.start : tree.end]}" for name, tree in row.claim.set.items()]


def _difference(row: Comparison) -> str:
    if row.verdict == QUOTED:
        return ""
    return f"{row.off:+.1%}" if row.verdict == DIFFERS else row.verdict
