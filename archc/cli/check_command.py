"""Validate specs, and compare them with what their `expect` promises and their
`budget` allows.

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
from archc.elaborate.compiler import address
from archc.language.loading import shipped_name, shipped_names
from archc.language.variants import names_in
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
    """The specs of a folder, or the one that is named, with their variants. `specs` finds those that ship where there is no such folder."""
    path = Path(named)
    if path.is_dir():
        found = sorted(entry for entry in path.rglob("*.yaml") if not any(part.startswith(".") for part in entry.parts))
        return [name for entry in found for name in _family(str(entry), entry)]
    if named.rstrip("/") == "specs" and not path.exists():
        return shipped_names()
    found_at, member = address(named)
    # what comes through a pipe is read once
    return [named] if member or found_at is None or not found_at.is_file() else _family(named, found_at)


def _family(named: str, path: Path) -> list[str]:
    """A spec and its variants, as they are named."""
    ships = named == path.stem and shipped_name(path) is not None
    return [named, *(name if ships else f"{path}:{name}" for name in names_in(path))]
