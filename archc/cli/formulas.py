"""What `analyze` and `explain` show of a network whose input has open sizes: formulas."""

from __future__ import annotations

import argparse
import json
from typing import Any

from archc.analysis.cost.rows import TableRow
from archc.analysis.formulas import Formulas, formulas
from archc.analysis.formulas.export import totals_to_dict
from archc.analysis.formulas.formulas import Formula
from archc.cli.common import show
from archc.cli.console import complain, prose, table_text
from archc.elaborate.compiler import Model
from archc.graph import Graph
from archc.text.diagnostics import SpecError, printable
from archc.text.quantity import bytes_text, short
from archc.text.table import STAYS, Column, Table, escape_markdown, to_markdown

NOT_GIVEN = "receptive fields and the peak of memory over time: give numbers for these"


def formulas_of(model: Model, args: argparse.Namespace, graph: Graph) -> Formulas | None:
    """The formulas of a spec; None where a layer fixes a size, which is shown."""
    assert model.open is not None
    try:
        return formulas(
            model.open, getattr(args, "batch", 1), getattr(args, "dtype", None) or graph.dtype, getattr(args, "optimizer", None)
        )
    except SpecError as error:
        show(error.diagnostics)
        return None


def analyze_open(args: argparse.Namespace, named: str, model: Model, networks: list[dict[str, Any]], tables: dict[str, Table]) -> int:
    """One network of `archc analyze` as formulas: printed, or added to what is written as JSON or CSV."""
    assert model.open is not None and model.graph is not None
    numbers = "x".join(map(str, next(iter(model.graph.inputs.values())).shape))
    for name, given in (("--as", args.tool), ("--view lecture", args.view == "lecture"), ("--training", args.training)):
        if given:
            complain(f"{name} needs numbers: give them, as in --input {numbers}")
            return 2
    found = formulas_of(model, args, model.graph)
    if found is None:
        return 2
    if args.format == "json":
        networks.append({"spec": named, **found.to_dict()})
        return 0
    with found.speaking(args.exact):
        table = build_table(args, found)
        heading = _heading(model, found)
    if args.format == "csv":
        tables[named] = table
    elif args.format == "markdown":
        print("\n".join([f"## {escape_markdown(found.name)}", "", to_markdown(table)]))
    else:
        print("\n".join([*heading, "", table_text(table), ""]))
    return 0


def _heading(model: Model, found: Formulas) -> list[str]:
    inputs = found.recording.graph.inputs
    shapes = [f"{name} {_sizes(value.shape)}" if len(inputs) > 1 else _sizes(value.shape) for name, value in inputs.items()]
    lines = [f"{found.name}  input {', '.join(shapes)}", found.recording.graph.doc]
    return [prose(line) for line in lines if line]


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(f"{size}" for size in shape)


def build_table(args: argparse.Namespace, found: Formulas) -> Table:
    """A row a layer or scope, with formulas where a figure depends on a size. To be made while `found` is speaking."""
    from archc.cli.analyze_command import rows_of

    rows = rows_of(args, found.report)[: args.top]
    table = Table([Column("layer")])
    cells: list[list[object]] = [[row.name for row in rows]]

    def column(title: str, kind: str, rank: int, values: list[object]) -> None:
        table.columns.append(Column(title, kind, rank))
        cells.append(values)

    if any(row.times > 1 for row in rows):
        column("×", "count", STAYS, [row.times if row.times > 1 else "" for row in rows])
    column("kind", "text", 2, [row.kind for row in rows])
    column("output", "text", 5, [_sizes(row.shape) for row in rows])
    column("parameters", "text", 6, [_count(row, "parameters") for row in rows])
    column("MACs", "text", STAYS, [_count(row, "macs") for row in rows])
    column("FLOPs", "text", 1, [_count(row, "flops") for row in rows])
    column("values", "text", 3, [_number(row.activations) if row.storage == "new" else row.storage for row in rows])
    table.rows = list(map(list, zip(*cells, strict=True)))
    table.notes += ["", *summary(found, args.exact)]
    return table


def _count(row: TableRow, key: str) -> str:
    """A figure of a row; one that is not exact is what it is at least."""
    count = row.counts[key]
    if count.high is None:
        return "?" if type(count.low) is int and count.low == 0 else f">={_number(count.low)}"
    return _number(count.low) if count.high is count.low or count.exact else f"{_number(count.low)} to {_number(count.high)}"


def _number(value: int) -> str:
    return f"{value:,}" if type(value) is int else f"{value}"


def summary(found: Formulas, exact: bool) -> list[str]:
    """The totals in words, for which sizes they are, and what they are at one of these."""
    said = {"MACs": found.macs, "FLOPs": found.flops, "activations": found.activations}
    memory = found.memory
    batch, dtype, optimizer = found.options
    parameters = found.parameters
    lines = [f"parameters   {parameters}" + (f", {bytes_text(memory['parameters'].number or 0)} in {dtype}" if parameters.number else "")]
    lines += [f"{name:<12} {_one(formula, exact)}{' values' * (name == 'activations')} an image" for name, formula in said.items()]
    lines.append(
        f"memory       {_one(memory['activations'], exact)} bytes of activations" + (f" for {batch}" if batch > 1 else " an image")
    )
    if optimizer is not None:
        lines.append(f"training     {_one(memory['training'], exact)} bytes with {optimizer}, if all activations are kept")
    if found.assumption and not exact:
        lines.append(f"assuming     {found.assumption}; at every size (--exact for each layer):")
        lines += [f"{name:<12} {formula.exact_text}" for name, formula in said.items()]
    if found.conditions:
        lines.append(f"holding      for {'; '.join(found.conditions)}; at other sizes give numbers")
    lines.append(_at(found))
    lines.append(f"not given    {NOT_GIVEN}")
    open_ended = [key for key, bounds in found.figures.counts.items() if not bounds.exact]
    if open_ended:
        lines.append(f"incomplete   {', '.join(open_ended)}: some layers state no figure (shown as ?), so the totals are lower bounds")
    return lines


def _one(formula: Formula, exact: bool) -> str:
    return formula.exact_text if exact else formula.text


def _at(found: Formulas) -> str:
    """The totals at the sizes with which the network was analyzed."""
    sizes = found.recording.witness
    numbers = found.at(**sizes)
    where = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    return (
        f"for example  {where}: {short(numbers.macs)} MACs, {short(numbers.flops)} FLOPs, {short(numbers.activations)} values,"
        f" {bytes_text(numbers.memory['training'] if found.options[2] else numbers.memory['activations'])}"
    )


def explain_open(args: argparse.Namespace, model: Model) -> int:
    """`archc explain` as formulas: of layers, or of the totals."""
    from archc.cli.explain_command import explain_layers

    assert model.graph is not None
    found = formulas_of(model, args, model.graph)
    if found is None:
        return 2
    if args.layer:
        with found.speaking():
            return explain_layers(args, found.report)
    if args.format == "json":
        print(json.dumps(totals_to_dict(found), indent=2))
    else:
        print("\n".join([printable(found.name), "", *(prose(line) for line in summary(found, False))]))
    return 0
