"""What a network keeps in memory or computes for nothing when PyTorch trains it.

Each finding is shown at its place, with its cost in this network; docs/lint.md
explains the rules. The exit status is 0; with --strict it is 1 if there are
warnings; it is 2 if a spec is wrong.

archc lint resnet50 --batch 64
archc lint my.yaml --ignore L114,L117 --strict
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from archc.analysis.checks.lint import CODES, WARNING, Finding, lint
from archc.cli.check_command import specs_of
from archc.cli.common import compile_model, show, spec_options
from archc.cli.console import complain, diagnostics_text
from archc.cli.findings import FORMATS, diagnostic_to_dict, draw_all
from archc.text.quantity import counted
from archc.text.suggest import did_you_mean


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser)
    parser.add_argument("--batch", type=_batch, default=1, metavar="N", help="images in a batch (default: 1)")
    parser.add_argument("--ignore", action="append", default=[], metavar="CODE[,CODE]", help="rules to skip, such as L114")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 if there are warnings")
    parser.add_argument("--format", choices=FORMATS, default="text", help="text, JSON, GitHub's annotations, or SARIF")


def _batch(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text[:9]) <= 1_000_000 or len(text) > 7:
        raise argparse.ArgumentTypeError("a whole number from 1 to 1,000,000")
    return int(text)


def run(args: argparse.Namespace) -> int:
    ignored = _ignore(args.ignore)
    if ignored is None:
        return 2
    found: list[Finding] = []
    wrong = 0
    names = [name for named in args.specs for name in specs_of(named)]
    for name in names:
        model = compile_model(args, name)
        show(model.diagnostics)
        wrong += model.graph is None
        found += lint(model.graph, args.batch, ignored) if model.graph is not None else []
    print(_drawn(found, args.format, len(names), wrong))
    return 2 if wrong or not names else int(args.strict and any(finding.level == WARNING for finding in found))


def _ignore(words: list[str]) -> set[str] | None:
    """The codes to pass over; None where one is no code."""
    codes = {code.strip().upper() for word in words for code in word.split(",") if code.strip()}
    for code in sorted(codes - CODES.keys()):
        hint = did_you_mean(code, CODES) or f"there are {min(CODES)} to {max(CODES)}"
        complain(f"no rule is called {code!r}; {hint}")
    return codes if codes <= CODES.keys() else None


def _drawn(found: list[Finding], form: str, specs: int, wrong: int) -> str:
    diagnostics = [finding.diagnostic() for finding in found]
    if form == "json":
        rows = [diagnostic_to_dict(diagnostic) | _figures(finding) for diagnostic, finding in zip(diagnostics, found, strict=True)]
        return json.dumps({"findings": rows}, indent=2)
    if form != "text":
        return draw_all(diagnostics, form)
    text = diagnostics_text(diagnostics, sys.stdout)
    warnings = sum(finding.level == WARNING for finding in found)
    counts_text = ", ".join(counted(n, what) for n, what in ((warnings, "warning"), (len(found) - warnings, "note")) if n)
    counts_text = ", ".join(part for part in (f"{wrong} wrong" if wrong else "", counts_text) if part)
    return "\n\n".join(part for part in (text, f"{counted(specs, 'spec')}: {counts_text or 'nothing to say'}") if part)


def _figures(finding: Finding) -> dict[str, Any]:
    return {"layers": [node.name for node in finding.layers], "batch": finding.batch, "cost": finding.cost._asdict()}
