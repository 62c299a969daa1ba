"""Diagnostics for people, for programs, and for the annotations of code hosts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archc.analysis.checks.lint.finding import CODES as LINT
from archc.text.diagnostics import CODES, Diagnostic, printable
from archc.text.diagnostics import draw_all as draw_text
from archc.text.source import Source, Span

FORMATS = ("text", "json", "github", "sarif")


def draw_all(found: Sequence[Diagnostic], form: str) -> str:
    """All diagnostics in one of the forms."""
    if form == "json":
        return json.dumps({"diagnostics": [diagnostic_to_dict(diagnostic) for diagnostic in found]}, indent=2)
    if form == "github":
        return "\n".join(map(_github, found))
    if form == "sarif":
        return json.dumps(_sarif(found), indent=2)
    return draw_text(found)


def diagnostic_to_dict(diagnostic: Diagnostic) -> dict[str, Any]:
    """One of `archc check --format json`; lines and columns count from 1."""
    line, column = diagnostic.span.source.position(diagnostic.span.start)
    end_line, end_column = diagnostic.span.source.position(diagnostic.span.end)
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "file": diagnostic.span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "uses": [
            {"label": use.label, "file": use.span.source.name, "line": use.span.line, "column": use.span.column} for use in diagnostic.uses
        ],
    }


def _github(diagnostic: Diagnostic) -> str:
    """A workflow command: https://docs.github.com/actions/reference/workflow-commands-for-github-actions."""
    span, text = _anchor(diagnostic)
    place = f"file={_property(span.source.name)},line={span.line},col={span.column}," if span is not None else ""
    level = {"error": "error", "note": "notice"}.get(diagnostic.severity, "warning")
    return f"::{level} {place}title={diagnostic.code}::{printable(text).replace('%', '%25')}"


def _anchor(diagnostic: Diagnostic) -> tuple[Span | None, str]:
    """Where an annotation can stand, and its text: at the place itself, or where what the reader has in hand leads there.

    A place in what is installed becomes that of the block's use, or of the `extends` or `use`, in the reader's own file; the text
    then tells the place. None where nothing of the reader's leads there, as for a spec that ships, called by its name.
    """
    text = diagnostic.message + (f" ({diagnostic.hint})" if diagnostic.hint else "")
    root = _repository()
    if _within(diagnostic.span.source, root):
        return diagnostic.span, text
    ways = [use.span for use in diagnostic.uses]
    named = diagnostic.span.source.via
    while named is not None:
        ways.append(named)
        named = named.source.via
    return next((way for way in ways if _within(way.source, root)), None), f"{text}, at {diagnostic.span}"


def _repository() -> Path:
    """The folder that is under version control around the present one, or else the present one."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def _within(source: Source, root: Path) -> bool:
    """Whether a text is the reader's: a file in the repository, not installed in it, or one that was named by its path."""
    if not source.path:
        return False
    if source.via is None and source.name == source.path:
        return True
    path = Path(source.path).resolve()
    return path.is_relative_to(root.resolve()) and not {"site-packages", "dist-packages"}.intersection(path.parts)


def _property(text: str) -> str:
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C")):
        text = text.replace(character, code)
    return text


def _sarif(found: Sequence[Diagnostic]) -> dict[str, Any]:
    """SARIF 2.1.0, as code scanning reads it."""
    used = sorted({diagnostic.code for diagnostic in found})
    known = CODES | LINT
    driver = {"name": "archc", "rules": [{"id": code, "shortDescription": {"text": known.get(code, code)}} for code in used]}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(diagnostic) for diagnostic in found]}],
    }


def _result(diagnostic: Diagnostic) -> dict[str, Any]:
    span, text = _anchor(diagnostic)
    found: dict[str, Any] = {"ruleId": diagnostic.code, "level": diagnostic.severity, "message": {"text": text}, "locations": []}
    if span is not None:
        line, column = span.source.position(span.start)
        end_line, end_column = span.source.position(span.end)
        region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": max(end_column, column + (end_line == line))}
        location = {"artifactLocation": {"uri": Path(span.source.name).as_posix()}, "region": region}
        found["locations"].append({"physicalLocation": location})
    return found
