"""Where the repository, the tests and the figures of others stand."""

from __future__ import annotations

import csv
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
FIGURES = TESTS / "figures"


def table(name: str) -> list[dict[str, str]]:
    """The rows of a file of tests/figures."""
    with (FIGURES / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
