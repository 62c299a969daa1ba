"""The zoo as a whole: its history, comparisons, charts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from archc.cli.main import main
from archc.draw.charts import Bar, Bubble, ChartError, bubbles, timeline
from archc.language.loading import shipped
from archc.language.variants import names_in
from archc.reference.zoo import ZooEntry, challenge, history, plot_entries

ENTRIES = {entry.name: entry for entry in history()}
NO_PAPER = {"mlp", "convnet", "autoencoder", "word_lstm"}


def test_every_spec_names_its_paper() -> None:
    assert set(ENTRIES) == {name for path in shipped() for name in (path.stem, *names_in(path))}
    for entry in ENTRIES.values():
        paper = entry.paper
        if entry.name not in NO_PAPER:
            assert paper.title and paper.authors and paper.venue and 1998 <= paper.year <= 2024, entry.name
            assert paper.url.startswith("https://"), entry.name


def test_history_goes_forward() -> None:
    years = [entry.paper.year for entry in history()]
    assert years == sorted(years) and years[-1] > 2019


def test_the_state_of_the_art_rose_with_the_years() -> None:
    """Accuracies are quoted, not computed; these four are landmarks that every lecture has."""
    found = [ENTRIES[name].accuracy for name in ("alexnet_torchvision", "resnet50", "nasnet_a_large", "efficientnet_l2")]
    assert [one.top1 for one in found if one is not None] == [56.522, 76.13, 82.7, 85.5]


def test_one_source_of_accuracies_or_each_named(capsys: pytest.CaptureFixture[str]) -> None:
    """torchvision's where a spec quotes it; a printed error is 100 less the accuracy; every output says whose figure it is."""
    for entry in ENTRIES.values():
        measured = [claim for claim in entry.spec.published if claim.by.startswith("torchvision") and "top1" in claim.figures]
        assert not measured or (entry.accuracy is not None and entry.accuracy.by == measured[0].by), entry.name
    found = ENTRIES["alexnet_grouped"].accuracy
    assert found is not None and (found.top1, found.top5) == (59.3, 81.8)  # the paper: errors of 40.7 and 18.2
    points = {point.name: point for point in plot_entries(ENTRIES.values())}
    assert {"alexnet", "alexnet_grouped", "googlenet", "googlenet_caffe"} <= set(points)
    assert all((point.source == "torchvision") == ENTRIES[point.name].accuracy.by.startswith("torchvision") for point in points.values())
    assert main(["compare", "vgg16", "alexnet_grouped"]) == 0
    out = capsys.readouterr().out
    assert "top-1 of vgg16: torchvision 0.28" in out and "top-1 of alexnet_grouped: paper, table 2" in out


def test_what_a_listing_takes_from_promises_is_what_comes_out() -> None:
    for entry in list(ENTRIES.values())[::9]:
        assert (entry.parameters, entry.macs) == (entry.report.counts["parameters"], entry.report.counts["macs"])


def test_the_challenge_names_specs_that_ship() -> None:
    rows = challenge()
    assert {row["spec"] for row in rows if row["spec"]} <= set(ENTRIES)
    errors = [float(row["top5_error"]) for row in rows if row["year"]]
    assert errors == sorted(errors, reverse=True)


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(path.stem in out for path in shipped())
    assert re.search(r"\bgpt2 \(\+3\)", out)  # a family is one row
    assert main(["list", "densely", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["networks"]
    assert {one["year"] for one in found} == {2016} and {one["spec"] for one in found} >= {"densenet121", "densenet_bc_190_40"}
    assert main(["list", "nothing like this"]) == 1


def test_compare(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "resnet50", "vgg16", "--format", "csv"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.startswith("spec,input,layers,parameters,parameters ratio,MACs,MACs ratio")
    assert first.split(",")[3:5] == ["25557032", "1.00"]
    assert second.split(",")[3:5] == ["138357544", "5.41"]
    assert main(["compare"]) == 2
    assert "--all" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "googlenet_caffe"])
def test_explain_paper(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["explain", name, "--paper"]) == 0
    out = capsys.readouterr().out
    entry: ZooEntry = ENTRIES[name]
    assert entry.paper.url in out.replace("\n", "") and "printed" in out
    assert main(["explain", name, "--paper", "--set", "classes=10"]) == 2


def test_charts_are_whole_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    chart = tmp_path / "chart.svg"
    assert main(["compare", "resnet50", "vgg16", "mlp", "--plot", str(chart)]) == 0
    text = chart.read_text()
    assert text.startswith("<?xml") and "resnet50" in text and "vgg16" in text
    assert "left out, since they quote no accuracy: mlp" in capsys.readouterr().err
    assert main(["compare", "resnet50", "vgg16", "mlp", "--plot", str(chart)]) == 0
    assert chart.read_text() == text
    assert main(["compare", "mlp", "--plot", str(chart)]) == 2
    assert main(["compare", "resnet50", "--plot", str(tmp_path / "chart.xyz")]) == 2
    assert "svg" in capsys.readouterr().err
    assert main(["docs", "--zoo", "--pictures", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"chart.svg", "zoo.svg", "ilsvrc.svg"}


def test_names_in_charts_are_text() -> None:
    pytest.importorskip("matplotlib")
    point = Bubble("<script>alert(1)</script> $x^2$ $", 10**9, 10**6, 76.0)
    assert b"<script>" not in bubbles([point], "svg")
    assert timeline([Bar("a", "2012", 16.4), Bar("human", "", 5.1)], "png").startswith(b"\x89PNG")
    with pytest.raises(ChartError, match="svg"):
        bubbles([point], "exe")
