"""The page of the lectures' tables, and the one layer of a spec in two lines."""

from __future__ import annotations

import archc
from archc.analysis.cost.report import Layer
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "lecture-tables.md"


def small(text: str) -> Layer:
    """The one layer of a spec in two lines: its input and itself."""
    shape, entry = text.split(" ", 1)
    return archc.analyze(archc.loads(f"input: [{shape}]\nlayers: [{entry}]\n")).layers[0]
