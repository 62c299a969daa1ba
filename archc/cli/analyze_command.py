"""Every layer's output shape, parameters, MACs, FLOPs and memory, and the totals.
Needs no torch.

archc analyze vgg16
archc analyze my.yaml --set classes=10 --input 3x299x299 --batch 32
archc analyze resnet50 --depth 1 --format markdown
archc analyze resnet50 --as thop
archc analyze resnet50 --input 3xHxW    (every figure as a formula of H and W)
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archc.analysis.cost.count import Count
from archc.analysis.cost.report import Layer, Report, analyze
from archc.analysis.cost.rows import FIGURES, SORT_KEYS, TableRow, amount, fold_rows, layer_rows, scope_rows, sort_rows
from archc.catalog.dtypes import NETWORK, dtype_name
from archc.cli.common import compile_model, optimizer_option, spec_options, usable
from archc.cli.console import complain, prose, table_text
from archc.elaborate.compiler import Model
from archc.graph import Graph
from archc.text.diagnostics import printable
from archc.text.quantity import bytes_text, counted
from archc.text.table import STAYS, Column, Table, cell_text, escape_markdown, stack_tables, to_csv, to_markdown

if TYPE_CHECKING:
    from archc.analysis.time.traffic import StepWork

FOLD_FROM = 60  # layers; shorter networks are shown whole
COSTLY = 0.1  # of the parameters or MACs of the network: shown in colour
MOST_OPAQUE = 4  # that are named
_TOOLS = "torchinfo, fvcore, ptflops, ptflops-aten, thop, calflops, calflops-flops, torchvision, keras, papers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser)
    parser.add_argument("--batch", type=_positive, default=1, metavar="N", help="images in a batch, for the memory (default: 1)")
    parser.add_argument("--dtype", type=_dtype, help=f"{', '.join(NETWORK)} (default: float32, or a model's own)")
    optimizer_option(parser, "add the memory of its state, and of the gradients")
    parser.add_argument("--depth", type=_positive, metavar="N", help="show N levels of names, and sums for deeper ones")
    parser.add_argument("--full", action="store_true", help="show every copy of a repeated block, whose row has the figures of one copy")
    parser.add_argument("--tree", action="store_true", help="the network as a tree of its blocks, each with its sums")
    parser.add_argument("--sort", choices=SORT_KEYS, default="order", metavar="BY", help="the order of the rows: %(choices)s")
    parser.add_argument("--top", type=_positive, metavar="N", help="only the N most expensive rows, by --sort (default: by MACs)")
    parser.add_argument("--view", choices=("table", "lecture"), default="table", help="lecture: the classic table of volumes and weights")
    parser.add_argument("--biases", action="store_true", help="in the lecture's table: count biases with the weights")
    parser.add_argument("--as", dest="tool", metavar="TOOL", help=f"what that tool would print, and why it differs: {_TOOLS}")
    parser.add_argument("--exact", action="store_true", help="of open sizes: formulas for every size, with floor and ceil")
    parser.add_argument("--training", action="store_true", help="include what exists only in training, and the FLOPs of a step")
    parser.add_argument("--format", choices=("table", "json", "csv", "markdown"), default="table", help="the form of the output")


def run(args: argparse.Namespace) -> int:
    status = 0
    networks: list[dict[str, Any]] = []
    tables: dict[str, Table] = {}
    if (unfit := _unfit(args)) is not None:
        complain(unfit)
        return 2
    for named in args.specs:
        model = compile_model(args, named, may_be_open=True)
        graph = usable(model)
        if graph is None:
            status = 2
            continue
        if model.open is not None:
            from archc.cli.formulas import analyze_open

            status = max(status, analyze_open(args, named, model, networks, tables))
            continue
        graph = graph if args.training else graph.deployed()
        if args.format == "json":
            networks.append({"spec": named, **_record(args, graph)})
        elif args.format == "csv":
            tables[named] = _table(args, model, _report(args, graph))
        else:
            _print(args, model, graph)
    if args.format == "json":
        print(json.dumps({"networks": networks}, indent=2))
    elif tables:
        print(to_csv(stack_tables("spec", tables)))
    return status


def _unfit(args: argparse.Namespace) -> str | None:
    """Why options do not go together."""
    if args.format in ("csv", "markdown") and (args.tool or args.view == "lecture"):
        return f"{'--as' if args.tool else '--view lecture'} cannot be written as {args.format}; leave --format out, or write --format json"
    if args.tree and (args.top or args.sort != "order"):
        return "--tree keeps the order of the network; leave out --sort and --top"
    if (args.tree or args.top) and (args.format == "json" or args.tool or args.view == "lecture"):
        return f"{'--tree' if args.tree else '--top'} applies to the table of layers; leave out --format json, --as and --view"
    if args.tree and args.format != "table":
        return f"--tree cannot be written as {args.format}; leave out --format"
    if args.top and args.sort in ("name", "kind"):
        return f"--top needs a figure to sort by: write --sort {', '.join(FIGURES)}"
    if args.tool:
        from archc.cli.convention import unknown

        return unknown(args.tool)
    return None


def _report(args: argparse.Namespace, graph: Graph) -> Report:
    return analyze(graph, args.batch, args.dtype or graph.dtype, args.optimizer)


def _record(args: argparse.Namespace, graph: Graph) -> dict[str, Any]:
    """One network of `--format json`."""
    if args.tool:
        from archc.cli.convention import convention_to_dict

        return convention_to_dict(graph, args.tool)
    return _report(args, graph).to_dict() | ({"training_step": _step(graph).to_dict()} if args.training else {})


def _print(args: argparse.Namespace, model: Model, graph: Graph) -> None:
    if args.tool:
        from archc.cli.convention import convention_text

        print(convention_text(graph, args.tool))
        return
    report = _report(args, graph)
    if args.view == "lecture":
        from archc.analysis.cost.accounts import account_lines
        from archc.analysis.cost.lecture import lecture_lines

        print("\n".join([*_header(model, graph), *map(printable, lecture_lines(report, args.biases)), ""]))
        print("\n".join(prose(line, 100) for line in account_lines(report)))
    else:
        _print_table(args, model, report)


def _table(args: argparse.Namespace, model: Model, report: Report) -> Table:
    rows = rows_of(args, report)
    left_out = len(model.graph.nodes) - len(report.layers) if model.graph else 0
    table = build_table(rows[: args.top], report, left_out, shares=args.format != "csv")
    if args.top:
        table.notes[:0] = ["", _top_line(rows, args.top, _sort_by(args), report)]
    return table


def _print_table(args: argparse.Namespace, model: Model, report: Report) -> None:
    table = _table(args, model, report)
    if args.training:
        table.notes.append(_step_line(report))
    if args.format == "markdown":
        print("\n".join([f"## {escape_markdown(report.name)}", "", to_markdown(table)]))
    else:
        print("\n".join([*_header(model, report.graph), "", table_text(table), ""]))


def rows_of(args: argparse.Namespace, report: Report) -> list[TableRow]:
    """The rows that the options ask for, in their order."""
    if args.tree:
        from archc.analysis.cost.rows import tree_rows

        return tree_rows(report, args.depth, args.full)
    if args.depth:
        rows = scope_rows(report, args.depth)
    elif args.full or _sort_by(args) != "order" or args.format == "csv" or len(report.layers) <= FOLD_FROM:
        rows = layer_rows(report)
    else:
        rows = fold_rows(report)
    return sort_rows(rows, _sort_by(args))


def _sort_by(args: argparse.Namespace) -> str:
    return "macs" if args.top and args.sort == "order" else str(args.sort)


def build_table(rows: list[TableRow], report: Report, left_out: int = 0, shares: bool = True) -> Table:
    """The table of a report: a row a layer or scope, the totals, and what they mean.

    `shares`: with the parts of the whole network's parameters and MACs; of copies in one row, those of all of them.
    """
    size, counts = NETWORK[report.memory.dtype], report.counts
    table = Table([])
    cells: list[list[object]] = []

    def column(title: str, kind: str, rank: int, values: Sequence[object], total: object = "") -> None:
        table.columns.append(Column(title, kind, rank))
        cells.append([*values, total])

    def count(title: str, key: str, rank: int = STAYS) -> None:
        column(title, "count", rank, [row.counts[key] for row in rows], counts[key])

    column("layer", "text", STAYS, [row.name for row in rows], "total")
    if any(row.times > 1 for row in rows):
        column("×", "count", STAYS, [row.times if row.times > 1 else "" for row in rows])
    column("kind", "text", 6, [row.kind for row in rows], counted(len(report.layers), "layer"))
    column("output", "text", 7, [str(row.shape) for row in rows])
    count("weights", "weights", 3)
    count("biases", "biases", 2)
    count("parameters", "parameters")
    if shares:
        column("params %", "number", 0, [_share(row, "parameters", report) for row in rows])
    count("MACs", "macs", 8)
    if shares:
        column("MACs %", "number", 0, [_share(row, "macs", report) for row in rows])
    count("FLOPs", "flops", 4)
    memory = [row.bytes(size) if row.storage == "new" else row.storage for row in rows]
    column("memory", "bytes", 5, memory, report.memory.activations_per_image)
    column("field", "text", 1, [row.field for row in rows])
    *table.rows, total = map(list, zip(*cells, strict=True))
    table.totals.append(total)
    table.styles = {at: style for at, row in enumerate(rows) if (style := _style(row, report))}
    table.notes += ["", *_summary(report, left_out)]
    return table


def _part(row: TableRow, key: str, report: Report) -> float | None:
    """What part of the network's figure a row is, with all its copies; None where one of them is not known."""
    own, total = row.counts[key], report.counts[key]
    return row.times * own.low / total.low if own.exact and total.exact and total.low else None


def _share(row: TableRow, key: str, report: Report) -> str:
    part = _part(row, key, report)
    return "" if not part else f"{part:.1%}" if part >= 0.0005 else "<0.1%"


def _style(row: TableRow, report: Report) -> str:
    """Scopes of a tree stand out, and so do layers with much of the network's parameters or MACs."""
    if row.is_scope:
        return "scope"
    return "costly" if any((_part(row, key, report) or 0) >= COSTLY for key in ("parameters", "macs")) else ""


def _top_line(rows: list[TableRow], top: int, key: str, report: Report) -> str:
    """How much of the network the rows of --top are."""
    name = {"macs": "MACs", "flops": "FLOPs"}.get(key, key)
    shown, total = sum(amount(row, key) for row in rows[:top]), report.counts[key].low
    part = f", {shown / total:.1%} of the network's" if total and report.counts[key].exact else ""
    return f"the {min(top, len(rows))} of {counted(len(rows), 'row')} with the most {name}{part}"


def _header(model: Model, graph: Graph) -> list[str]:
    inputs = ", ".join(f"{name} {value.shape}" if len(graph.inputs) > 1 else str(value.shape) for name, value in graph.inputs.items())
    changed = ", ".join(f"{name}={value}" for name, value in model.changes.items())
    lines = [f"{graph.name}  input {inputs}" + (f"  (with {changed})" if changed else "")]
    return [prose(line) for line in ([*lines, graph.doc] if graph.doc else lines)]


def _summary(report: Report, left_out: int) -> list[str]:
    """The totals in words."""
    counts, memory = report.counts, report.memory
    lines = [
        f"parameters   {cell_text(counts['parameters'], 'count')}, {bytes_text(memory.parameters)} in {memory.dtype}"
        + (f" (and {counted(counts['buffers'].low, 'value')} of buffers)" if counts["buffers"].low else ""),
        f"MACs         {cell_text(counts['macs'], 'count')} ({cell_text(counts['macs'], 'count', True)}) an image;"
        f" FLOPs {cell_text(counts['flops'], 'count', True)}",
        f"activations  {counted(report.activations, 'value')}, {bytes_text(memory.activations_per_image)} an image"
        + (f", {bytes_text(memory.activations)} for {memory.batch}" if memory.batch > 1 else ""),
    ]
    if memory.optimizer:
        lines.append(
            f"training     {bytes_text(memory.training)} with {memory.optimizer}: activations {bytes_text(memory.activations)}, parameters"
            f" {bytes_text(memory.parameters)}, gradients {bytes_text(memory.gradients)}, optimizer {bytes_text(memory.optimizer_state)}"
        )
    if left_out:
        lines.append(f"left out     {counted(left_out, 'layer')} for training only (--training)")
    open_ended = [key for key, count in counts.items() if not count.exact and key != "activations"]
    if open_ended:
        lines.append(f"incomplete   {', '.join(open_ended)}: some layers state no figure (shown as ?), so the totals are bounds")
    if opaque := [layer for layer in report.layers if layer.kind == "opaque"]:
        lines.append(f"opaque       {_opaque_text(opaque)}")
    return lines


def _opaque_text(layers: list[Layer]) -> str:
    """The layers that no operator describes, the first few by what the model's code calls them and where."""
    calls = [(layer.node.args.get("name") or layer.name, layer.node.args.get("place")) for layer in layers]
    told = list(dict.fromkeys(f"{name} at {place}" if place else str(name) for name, place in calls))
    more = f", and {len(told) - MOST_OPAQUE} more" if len(told) > MOST_OPAQUE else ""
    layer = "1 layer that no operator describes" if len(layers) == 1 else f"{len(layers)} layers that no operator describes"
    return f"{layer}: {', '.join(told[:MOST_OPAQUE])}{more}"


def _step(graph: Graph) -> StepWork:
    from archc.analysis.time.traffic import step_work

    return step_work(graph)


def _step_line(report: Report) -> str:
    """What a training step computes."""
    work, batch = _step(report.graph), report.memory.batch
    counts = [Count(2 * term.low, None if term.high is None else 2 * term.high) for term in (work.forward, work.backward, work.step)]
    forward, backward, step = (cell_text(count, "count", True) for count in counts)
    in_all = f", {cell_text(Count(batch * counts[2].low, counts[2].high and batch * counts[2].high), 'count', True)} for {batch}"
    return f"step         FLOPs an image at 2 a MAC: forward {forward}, backward {backward}, both {step}{in_all if batch > 1 else ''}"


def _positive(text: str) -> int:
    if not text.isdigit() or not 0 < int(text[:12]) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def _dtype(text: str) -> str:
    name = dtype_name(text)
    if name is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(NETWORK)}")
    return name
