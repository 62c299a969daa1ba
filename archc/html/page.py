"""The page: its parts, the data and a policy that lets nothing else run, as one text."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from archc.draw.theme import DARK, FAMILIES, LIGHT

FOLDER = Path(__file__).parent / "page"
SCRIPTS = (
    "text",
    "network",
    "memory",
    "bounds",
    "figures",
    "rows",
    "layout",
    "diagram",
    "table",
    "charts",
    "timeline",
    "roofline",
    "panel",
    "sums",
    "view",
    "page",
)
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # in JSON they stand in texts alone; other characters are ASCII already


def page(record: dict[str, Any]) -> str:
    """The HTML of a record. Nothing in it depends on when or where it is made."""
    style = _colors() + (FOLDER / "page.css").read_text(encoding="utf-8")
    script = '"use strict";\n{\n' + "\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS) + "}\n"
    names = " and ".join(str(network["name"]) for network in record["networks"])
    parts = {
        "title": html.escape(f"{names}: archc report"),
        "policy": html.escape(_policy(style, script)),
        "style": style,
        "script": script,
        "data": _json(record),
    }
    frame = (FOLDER / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], frame)


def _colors() -> str:
    """A rule for each family of operators: the colours that all pictures have."""

    def rule(family: str) -> str:
        fill = f"light-dark({LIGHT.family_fill(family)}, {DARK.family_fill(family)})"
        edge = f"light-dark({LIGHT.family_edge(family)}, {DARK.family_edge(family)})"
        return f".{family} {{ --fill: {fill}; --stroke: {edge}; }}\n"

    return "".join(map(rule, FAMILIES))


def _policy(style: str, script: str) -> str:
    """The page loads nothing and sends nothing; one script and one style run, known by their hashes."""
    return f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _json(record: dict[str, Any]) -> str:
    """JSON that can stand in a script element: no text in it can end that, or begin another."""
    text = json.dumps(record, separators=(",", ":"))
    return re.sub("[<>&]", lambda match: _UNSAFE[match[0]], text)
