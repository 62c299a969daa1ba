"""Validate specs, and compare them with what their `expect` promises and their `budget` allows.

All weights must lead to an output, and all outputs must depend on a layer,
unless the spec says otherwise. The exit status is 1 if something is not as
expected, and 2 if a spec is wrong.

archc check specs/
archc check my.yaml --format github
"""

from __future__ import annotations

import argparse
from pathlib import Path

from archc.analysis.checks.check import check
from archc.cli.common import compile_model, show, spec_options
from archc.cli.findings import FORMATS, draw_all
from archc.language.loading import shipped
from archc.text.diagnostics import Diagnostic
from archc.text.quantity import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser)
    parser.add_argument("--format", choices=FORMATS, default="text", help="text, JSON, GitHub's annotations, or SARIF")


def run(args: argparse.Namespace) -> int:
    found: list[Diagnostic] = []
    names = [name for named in args.specs for name in specs_of(named)]
    kept = broken = wrong = 0
    for name in names:
        model = compile_model(args, name)
        found.extend(model.diagnostics)
        if model.graph is None:
            wrong += 1
            continue
        unkept = check(model.graph)
        found.extend(unkept)
        failed = any(promise.severity == "error" for promise in unkept)
        broken += failed
        kept += not failed
    if args.format == "text":
        kinds = ((kept, "good"), (broken, "not as expected"), (wrong, "wrong"))
        counts_text = [f"{count} {what}" for count, what in kinds if count]
        print(f"{counted(len(names), 'spec')}: {', '.join(counts_text) or 'nothing to check'}")
        if found:
            show(found)
    else:
        print(draw_all(found, args.format))
    return 2 if wrong or not names else 1 if broken else 0


def specs_of(named: str) -> list[str]:
    """The specs of a folder, or the one that is named. `specs` finds those that ship where there is no such folder."""
    path = Path(named)
    if path.is_dir():
        return sorted(str(entry) for entry in path.rglob("*.yaml") if not any(part.startswith(".") for part in entry.parts))
    if named.rstrip("/") == "specs" and not path.exists():
        return [path.stem for path in shipped()]
    return [named]
