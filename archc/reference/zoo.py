"""The specs that ship as a history: each with its paper, its figures, its published accuracy; the tables of docs/zoo.md."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from archc.analysis.checks.published import CUT, DIFFERS, Comparison, compare
from archc.analysis.cost.count import Count
from archc.analysis.cost.report import Report, analyze
from archc.draw.charts import Bubble
from archc.elaborate.compiler import load_spec, variant
from archc.graph import Graph
from archc.language.citation import Claim, Paper
from archc.language.loading import shipped, shipped_folder
from archc.language.spec import Spec
from archc.language.variants import names_in
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.quantity import bytes_text
from archc.text.table import STAYS, Column, Table, escape_markdown


@dataclass(slots=True)
class Accuracy:
    """Published accuracy on ImageNet's validation set, in %; `by` says who published it."""

    top1: float | None
    top5: float | None
    by: str
    note: str

    @property
    def source(self) -> str:
        """Who printed it, and what a reader should know."""
        return self.by + (f" ({self.note})" if self.note else "")


@dataclass(slots=True)
class ZooEntry:
    """One network, deployed, at its own input. What came from a model has no spec."""

    name: str
    spec: Spec | None
    parameters: Count
    macs: Count
    known: Report | None = None
    family: str = ""  # the spec in whose file it stands as a variant
    file: str = ""  # relative to the folder of the specs that ship

    @property
    def report(self) -> Report:
        """Its analysis, made when it is first asked for."""
        if self.known is None:
            graph = variant(self.spec, {}).graph if self.spec is not None else None
            assert graph is not None, self.name
            self.known = analyze(graph.deployed())
        return self.known

    @property
    def paper(self) -> Paper:
        return self.spec.paper if self.spec is not None else Paper()

    @property
    def task(self) -> str:
        """What the network is for: the folder that its spec is in."""
        return self.file.rpartition("/")[0] or "classification"

    @property
    def doc(self) -> str:
        return " ".join(self.spec.doc.split()) if self.spec is not None else ""

    @property
    def accuracy(self) -> Accuracy | None:
        return accuracy(self.spec.published) if self.spec is not None else None

    @property
    def inputs(self) -> str:
        return ", ".join(str(value.shape) for value in self.report.graph.inputs.values())


def analyze_entry(name: str, spec: Spec | None, graph: Graph) -> ZooEntry:
    """The entry of a network whose graph is there."""
    report = analyze(graph.deployed())
    return ZooEntry(name, spec, report.counts["parameters"], report.counts["macs"], report)


def _entry_of_promises(name: str, spec: Spec) -> ZooEntry | None:
    """The entry of a spec that promises both figures to the unit: `archc check` holds it to them, so nothing is counted again."""
    promises = [tree.value for figure in ("parameters", "macs") if isinstance(tree := spec.expect.get(figure, (None, None))[1], t.Scalar)]
    figures = [Count(value, value) for value in promises if isinstance(value, int)]
    return ZooEntry(name, spec, figures[0], figures[1]) if len(figures) == 2 else None


MEASURED = "torchvision"  # whose weights can be had and measured again: preferred to what papers and lectures print


def accuracy(claims: Iterable[Claim]) -> Accuracy | None:
    """The accuracy that a spec quotes of the network as it stands: torchvision's where there is one, else the first."""
    found = [claim for claim in claims if not claim.set and not claim.of and _percent(claim, "top1", "top5") is not None]
    found.sort(key=lambda claim: (not claim.by.startswith(MEASURED), _percent(claim, "top1") is None))
    if not found:
        return None
    claim = found[0]
    return Accuracy(_percent(claim, "top1"), _percent(claim, "top5"), claim.by, claim.note)


def _percent(claim: Claim, *names: str) -> float | None:
    """The first accuracy of these that was printed, or follows from a printed error."""
    for name in names:
        if name in claim.figures:
            return float(claim.figures[name])
        if f"{name}_error" in claim.figures:
            return round(100 - float(claim.figures[f"{name}_error"]), 6)
    return None


def history(paths: Iterable[Path] | None = None) -> list[ZooEntry]:
    """All networks that ship, the oldest first; those of no paper stand before."""
    entries = []
    for path in shipped() if paths is None else paths:
        for name in (path.stem, *names_in(path)):
            own = name == path.stem
            spec = load_spec(str(path) if own else f"{path}:{name}", Diagnostics())
            entry = _entry_of_promises(name, spec) if spec is not None else None
            if spec is not None and entry is None and (graph := variant(spec, {}).graph) is not None:
                entry = analyze_entry(name, spec, graph)
            if entry is not None:
                entry.family, entry.file = "" if own else path.stem, _file(path)
                entries.append(entry)
    return sorted(entries, key=lambda entry: (entry.paper.year, entry.paper.title, entry.parameters.low, entry.name))


def _file(path: Path) -> str:
    folder = shipped_folder().resolve()
    return path.resolve().relative_to(folder).as_posix() if path.resolve().is_relative_to(folder) else str(path)


def markdown() -> str:
    """docs/zoo.md."""
    entries = history()
    parts = ["# The zoo", "", _HEAD, ""]
    parts += ["![Accuracy, MACs and parameters](zoo.svg)", "", "## Networks", "", _INTRODUCTION, *_by_task(entries)]
    parts += ["", "## Where printed figures differ", "", _DIFFERENCES, "", *_differences(entries)]
    parts += ["", "## Not here", "", _MISSING]
    return "\n".join([*parts, "", "## ILSVRC", "", _ILSVRC, "", "![Top-5 errors of ILSVRC](ilsvrc.svg)", "", *_challenge()])


_HEAD = (
    "The networks that ship, with their figures and sources. Each is a spec in `specs/`: `archc analyze NAME` analyzes it, and\n"
    "`archc explain NAME --paper` compares what others print with archc's figures. Generated by `archc docs --zoo`."
)
_INTRODUCTION = (
    "Figures are for one image at the network's own input, deployed: learned parameters, MACs, values of all outputs, and the bytes of\n"
    "these values and the parameters in float32. Accuracies are quoted, in % on ImageNet's validation set, with their source."
)
_MISSING = (
    "- **EfficientNet-B6-Wide** (Meta Pseudo Labels, 390M parameters in the lectures' table) was not published in enough detail to\n"
    "  be rebuilt: its width is not stated. `archc analyze efficientnet_b6 --set width=5.56` has about as many parameters.\n"
    "- **KarNet** (16M in a lecture): no public network of that name and size was found.\n"
    "- FixRes, SAM, Noisy Student, AutoAugment and semi-supervised training change no network, so their rows are those of\n"
    "  `resnext101_32x48d`, `efficientnet_b7`, `efficientnet_l2`, `resnet50`."
)
_DIFFERENCES = "All other published figures equal archc's, or are rounded from them."
_ILSVRC = "The lowest top-5 error in each year's classification challenge, on its test set, in %."


def _by_task(entries: list[ZooEntry]) -> list[str]:
    """A table for each task; classifiers, which are most, come first."""
    tasks = sorted({entry.task for entry in entries}, key=lambda task: (task != "classification", task))
    return [line for task in tasks for line in ("", f"### {task.capitalize()}", "", *_networks([e for e in entries if e.task == task]))]


def _networks(entries: list[ZooEntry]) -> list[str]:
    table = ["| year | spec | paper | input | parameters | MACs | activations | memory | top-1 | top-5 | source |",
             "|---:|---|---|---|---:|---:|---:|---:|---:|---:|---|"]  # fmt: skip
    for entry in entries:
        paper, report, found = entry.paper, entry.report, entry.accuracy
        cited = f"[{escape_markdown(paper.short)}]({paper.url})" if paper.url else escape_markdown(paper.short)
        memory = bytes_text(4 * (report.activations + report.parameters))
        cells = [str(paper.year or ""), f"[{entry.name}](../specs/{entry.file})", cited, entry.inputs]
        cells += [f"{report.parameters:,}", f"{report.macs:,}", f"{report.activations:,}", memory, *_shown(found)]
        table.append(f"| {' | '.join(cells)} |")
    return table


def _shown(found: Accuracy | None) -> list[str]:
    if found is None:
        return ["", "", ""]
    return [*("" if value is None else f"{value:g}" for value in (found.top1, found.top5)), escape_markdown(found.source)]


def _differences(entries: list[ZooEntry]) -> list[str]:
    lines = ["| spec | of | figure | printed | ours | by | why |", "|---|---|---|---:|---:|---|---|"]
    for entry in entries:
        for row in compare(entry.spec, entry.report)[0] if entry.spec is not None else ():
            if row.verdict in (DIFFERS, CUT):
                cells = [entry.name, _what(row), row.metric, str(row.printed), f"{row.ours:,}", row.claim.by, row.claim.why]
                lines.append(f"| {' | '.join(map(escape_markdown, cells))} |")
    return lines


def _what(row: Comparison) -> str:
    settings = (f"{name}={tree.source.text[tree.start : tree.end]}" for name, tree in row.claim.set.items())
    return ", ".join([*row.claim.of, *([f"{row.claim.only} alone"] if row.claim.only else []), *settings])


def challenge() -> list[dict[str, str]]:
    """The results of ILSVRC, by year: year, entry, spec, top5_error, source."""
    with (shipped_folder() / "ilsvrc.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _challenge() -> list[str]:
    lines = ["| year | entry | spec | top-5 error | source |", "|---:|---|---|---:|---|"]
    for row in challenge():
        spec = f"[{row['spec']}](../specs/{row['spec']}.yaml)" if row["spec"] else ""
        lines.append(f"| {row['year']} | {row['entry']} | {spec} | {row['top5_error']} | {row['source']} |")
    return lines


def listing(entries: list[ZooEntry], fold: bool = False) -> Table:
    """The history as a table. `fold`: the variants of a file are counted in the row of their family, where that is among them."""
    columns = [Column("year"), Column("spec"), Column("parameters", "count"), Column("MACs", "count", 4), *_TOP1,
               Column("paper", "text", 1), Column("what", "text", 2)]  # fmt: skip
    table = Table(columns)
    names = {entry.name for entry in entries if not entry.family}
    for entry in entries:
        if fold and entry.family in names:
            continue
        members = sum(other.family == entry.name for other in entries) if fold else 0
        name = f"{entry.name} (+{members})" if members else entry.name
        cells = [str(entry.paper.year or ""), name, entry.parameters, entry.macs, *_top1(entry)]
        table.rows.append([*cells, entry.paper.short, entry.doc])
    return table


_TOP1 = Column("top-1", "number", 3), Column("printed by", "text", 1)


def _top1(entry: ZooEntry) -> list[str]:
    """The accuracy, and who printed it."""
    found = entry.accuracy
    return [f"{found.top1:g}", found.source] if found is not None and found.top1 is not None else ["", ""]


def plot_entries(entries: Iterable[ZooEntry]) -> list[Bubble]:
    """The networks of which a top-1 accuracy is quoted, as a chart has them: it tells whose figures they are."""
    found = [(entry, quoted, quoted.top1) for entry in entries if (quoted := entry.accuracy) is not None and quoted.top1 is not None]
    return [
        Bubble(
            name=entry.name,
            macs=entry.macs.low,
            parameters=entry.parameters.low,
            accuracy=top1,
            group=entry.paper.title,
            source=MEASURED if quoted.by.startswith(MEASURED) else "papers and lectures",
        )
        for entry, quoted, top1 in found
    ]


def comparison(entries: list[ZooEntry], ratio: str = "×") -> Table:
    """Networks side by side, with their ratios to the first in columns titled `ratio`, where {} is what it is a ratio of."""
    columns = [Column("spec"), Column("input", "text", 1), Column("layers", "number", 2)]
    for title in ("parameters", "MACs", "FLOPs", "activations"):
        rank = {"FLOPs": 3, "activations": 3, "MACs": 8}.get(title, STAYS)
        columns += [Column(title, "count", rank), Column(ratio.format(title), "number", rank - 1)]
    table = Table([*columns, Column("top-1", "number", 4), Column("printed by", "text", 1)])
    base = entries[0].report.counts
    for entry in entries:
        counts = entry.report.counts
        cells: list[object] = [entry.name, entry.inputs, str(len(entry.report.layers))]
        for name in ("parameters", "macs", "flops", "activations"):
            cells += [counts[name], f"{counts[name].low / base[name].low:.2f}" if base[name].low else ""]
        table.rows.append([*cells, *_top1(entry)])
    return table


def sources(entries: Iterable[ZooEntry]) -> list[str]:
    """Whose accuracies stand in a comparison: a line a source, with its networks."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        if (found := entry.accuracy) is not None and found.top1 is not None:
            names.setdefault(found.source, []).append(entry.name)
    lines = [
        f"top-1 of {', '.join(few[:4])}{f' and {len(few) - 4} more' if len(few) > 4 else ''}: {source}" for source, few in names.items()
    ]
    return ["", *lines] if lines else []


def summary(entry: ZooEntry) -> dict[str, object]:
    """One network for programs."""
    report, found, paper = entry.report, entry.accuracy, entry.paper
    figures: dict[str, object] = {"spec": entry.name, "year": paper.year or None, "paper": paper.title, "input": entry.inputs}
    figures |= {name: report.counts[name].low for name in ("parameters", "macs", "flops", "activations")}
    figures |= {
        "top1": found.top1 if found else None,
        "top5": found.top5 if found else None,
        "accuracy_by": found.source if found else None,
    }
    return {**figures, "doc": entry.doc}
