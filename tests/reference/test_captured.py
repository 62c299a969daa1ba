"""What came of 200 models of torchvision and timm, drawn before any of them was captured: the table says what the page says."""

from __future__ import annotations

import csv
from collections import Counter

from tests.helpers.paths import ROOT

with (ROOT / "tests" / "reference" / "captured.csv").open() as file:
    ROWS = list(csv.DictReader(file))
with (ROOT / "tests" / "reference" / "captured_memory.csv").open() as file:
    MEMORY = list(csv.DictReader(file))


def test_each_model_is_there_once_with_an_outcome_that_its_opaque_layers_bear_out() -> None:
    assert len({row["model"] for row in ROWS}) == len(ROWS) == 200
    for row in ROWS:
        for run in ("first", "last"):
            opaque = row[f"opaque_{run}"]
            assert row[f"outcome_{run}"] == ("refused" if not opaque else "exact" if opaque == "0" else "bound"), row


def test_the_page_has_the_counts_of_the_table() -> None:
    text = " ".join((ROOT / "docs" / "import.md").read_text().split())
    for run in ("first", "last"):
        found = Counter(row[f"outcome_{run}"] for row in ROWS)
        assert f"| {run} | {found['exact']} | {found['bound']} | {found['refused']} |" in text
    assert f"in {Counter(row['macs_agree'] for row in ROWS)['yes']} models" in text
    for said in ("exact", "bound"):
        chosen = [row for row in MEMORY if row["said"] == said]
        equal = [sum(row[what] == row[f"{what}_by_archc"] for row in chosen) for what in ("saved", "peak")]
        assert f"| {'a bound' if said == 'bound' else said} | {len(chosen)} | {equal[0]} | {equal[1]} |" in text


def test_what_is_said_to_be_exact_is_and_a_bound_is_no_more_than_the_truth() -> None:
    for row in MEMORY:
        for what in ("saved", "peak"):
            real, ours = int(row[what]), int(row[f"{what}_by_archc"])
            assert ours == real if row["said"] == "exact" else 0.99 * real <= ours <= real or (what == "saved" and ours <= real), row
