"""Diagnostics for people, for programs, and for the annotations of code hosts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archc.analysis.lint.finding import CODES as LINT
from archc.text.diagnostics import CODES, Diagnostic, printable
from archc.text.diagnostics import draw_all as draw_text

FORMATS = ("text", "json", "github", "sarif")


def draw_all(found: Sequence[Diagnostic], form: str, color: bool = False) -> str:
    """All diagnostics in one of the forms."""
    if form == "json":
        return json.dumps([_json(one) for one in found], indent=2)
    if form == "github":
        return "\n".join(map(_github, found))
    if form == "sarif":
        return json.dumps(_sarif(found), indent=2)
    return draw_text(found, color)


def _json(one: Diagnostic) -> dict[str, Any]:
    line, column = one.span.source.position(one.span.start)
    end_line, end_column = one.span.source.position(one.span.end)
    return {
        "code": one.code,
        "severity": one.severity,
        "message": one.message,
        "hint": one.hint,
        "file": one.span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "uses": [{"label": use.label, "file": use.span.source.name, "line": use.span.line, "column": use.span.column} for use in one.uses],
    }


def _github(one: Diagnostic) -> str:
    """A workflow command: https://docs.github.com/actions/reference/workflow-commands-for-github-actions."""
    place = f"file={_property(one.span.source.name)},line={one.span.line},col={one.span.column},title={one.code}"
    text = printable(one.message) + (f" ({printable(one.hint)})" if one.hint else "")
    level = {"error": "error", "note": "notice"}.get(one.severity, "warning")
    return f"::{level} {place}::{text.replace('%', '%25')}"


def _property(text: str) -> str:
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C")):
        text = text.replace(character, code)
    return text


def _sarif(found: Sequence[Diagnostic]) -> dict[str, Any]:
    """SARIF 2.1.0, as code scanning reads it."""
    used = sorted({one.code for one in found})
    known = CODES | LINT
    driver = {"name": "archc", "rules": [{"id": code, "shortDescription": {"text": known.get(code, code)}} for code in used]}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(one) for one in found]}],
    }


def _result(one: Diagnostic) -> dict[str, Any]:
    line, column = one.span.source.position(one.span.start)
    end_line, end_column = one.span.source.position(one.span.end)
    region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": max(end_column, column + (end_line == line))}
    location = {"artifactLocation": {"uri": Path(one.span.source.name).as_posix()}, "region": region}
    text = one.message + (f" ({one.hint})" if one.hint else "")
    return {"ruleId": one.code, "level": one.severity, "message": {"text": text}, "locations": [{"physicalLocation": location}]}
