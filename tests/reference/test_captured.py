"""What came of 200 models of torchvision and timm, drawn before any of them was captured: the table says what the page says."""

from __future__ import annotations

import csv
from collections import Counter

from tests.helpers.paths import ROOT

with (ROOT / "tests" / "reference" / "captured.csv").open() as file:
    ROWS = list(csv.DictReader(file))


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
    assert f"In {Counter(row['macs_agree'] for row in ROWS)['yes']} models MACs agree" in text
    assert f"reached {Counter(row['last_run'] for row in ROWS)['third']} of them" in text
