"""How each number of a layer is derived: the formula, and the formula with the
numbers in it.

archc explain alexnet conv1
archc explain resnet50 layer1.0
archc explain vgg16            (the definitions, and where the totals come from)
archc explain vgg16 --paper    (beside what the paper and others print)
archc explain resnet50 --structure    (its paths from input to output)
archc explain resnet50 layer1.0 --input 3xHxW    (as formulas of H and W)
"""

from __future__ import annotations

import argparse
import json
from fnmatch import fnmatchcase
from typing import Any

from archc.analysis.cost.derive import DEFINITIONS, DerivationStep, derive
from archc.analysis.cost.paper_names import paper_names
from archc.analysis.cost.report import Layer, Report, analyze
from archc.cli.common import compile_model, spec_options, usable
from archc.cli.console import complain, prose, table_text
from archc.graph import Graph
from archc.ops.facts import literal
from archc.ops.opaque import describe, stated
from archc.text.diagnostics import printable
from archc.text.suggest import did_you_mean
from archc.text.table import Column, Table, cell_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser, several=False)
    parser.add_argument("layer", nargs="*", metavar="LAYER", help="a layer, a part of the network, or a pattern such as layer*.conv1")
    parser.add_argument("--paper", action="store_true", help="the published figures of the network beside archc's, with reasons")
    parser.add_argument(
        "--structure", action="store_true", help="the paths through the network, their lengths, and the layers on all of them"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="the form of the output")


def run(args: argparse.Namespace) -> int:
    if args.paper and (args.layer or args.set or args.input):
        complain("--paper needs the spec unchanged: leave out layers, --set and --input")
        return 2
    if args.structure and (args.paper or args.layer):
        complain("--structure is for the whole network: leave out layers and --paper")
        return 2
    model = compile_model(args, args.spec, may_be_open=not (args.paper or args.structure))
    graph = usable(model)
    if graph is None:
        return 2
    if model.open is not None:
        from archc.cli.formulas import explain_open

        return explain_open(args, model)
    if args.paper and model.spec is None:
        complain(f"--paper is about a spec that quotes one, and {args.spec} is a model")
        return 2
    if args.paper and model.spec is not None:
        from archc.cli.paper import explain_paper

        return explain_paper(args, model.spec)
    if args.structure:
        from archc.cli.structure import explain_structure

        return explain_structure(args, graph)
    report = analyze(graph)
    if not args.layer:
        print(json.dumps(_record(report), indent=2) if args.format == "json" else _totals(report))
        return 0
    return explain_layers(args, report)


def explain_layers(args: argparse.Namespace, report: Report) -> int:
    """The derivations of the layers that are named."""
    graph = report.graph
    chosen: list[Layer] = []
    papers = paper_names(graph)
    for pattern in args.layer:
        found = _matching(report, pattern) or _matching(report, papers.get(pattern, pattern))
        if not found:
            hint = did_you_mean(pattern, [*_names(report), *papers]) or "`archc analyze` lists them"
            complain(f"{graph.name} has no layer called {printable(pattern)!r}; {hint}")
            return 2
        chosen += [layer for layer in found if layer not in chosen]
    derived = [(layer, derive(layer, report.fields)) for layer in chosen]
    if args.format == "json":
        layers = [{"name": layer.name, "steps": [step._asdict() for step in steps]} for layer, steps in derived]
        print(json.dumps({"name": graph.name, "layers": layers}, indent=2))
    else:
        print(prose("\n\n".join(_text(graph, layer, steps, papers) for layer, steps in derived)))
    return 0


def _names(report: Report) -> list[str]:
    parts = [layer.name.split(".") for layer in report.layers]
    return list(dict.fromkeys(".".join(part[:i]) for part in parts for i in range(1, len(part) + 1)))


def _matching(report: Report, pattern: str) -> list[Layer]:
    exact = [layer for layer in report.layers if layer.name == pattern]
    below = [layer for layer in report.layers if layer.name.startswith(pattern + ".")]
    return exact or below or [layer for layer in report.layers if fnmatchcase(layer.name, pattern)]


def _text(graph: Graph, layer: Layer, steps: list[DerivationStep], papers: dict[str, str]) -> str:
    node = layer.node
    sources = ", ".join(f"{value.node.name if value.node else value.name} {_sizes(value.shape)}" for value in node.inputs)
    given = stated(node.args) if node.kind == "opaque" else node.args
    arguments = ", ".join(f"{name}: {_written(value)}" for name, value in given.items())
    users = [user.name for user in dict.fromkeys(user for value in node.outputs for user in graph.uses[value])]
    lines = [
        f"{layer.name}: {layer.kind}",
        f"  takes   {sources}",
        f"  gives   {_sizes(layer.output_shape)}" + (f", used by {', '.join(users[:6])}{', …' if len(users) > 6 else ''}" if users else ""),
    ]
    names = [name for name, ours in papers.items() if ours == layer.name]
    if names:
        lines.append(f"  also    {', '.join(names)}, as the paper counts")
    if arguments:
        lines.append(f"  with    {arguments}")
    if node.shared is not None:
        lines.append(f"  shares  the weights of {node.shared.name}: they count there")
    for name, tie in node.ties.items():
        said = f"the {name} is that of {tie.node.name}{', transposed' * tie.transposed}: it counts there"
        lines.append(f"  tied    {said}")
    lines.append(f"  doc     {node.op.summary}")
    if node.kind == "opaque":
        lines.append(f"  from    {describe(node.args)}")
    if node.written is not None:
        ways = [f"{use.label} at {use.span}" for use in node.written.uses]
        lines.append(f"  written {node.written.kind}" + "".join(f", in {way}" for way in ways))
    return "\n".join(printable(line) for line in [*lines, "", *(f"  {step}" for step in steps)])


def _sizes(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(f'{size}' for size in shape)}]"


def _written(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    try:
        return literal(value).lower() if isinstance(value, bool) else f"{value}"
    except TypeError:
        return str(value)


def _kinds(report: Report) -> list[dict[str, Any]]:
    """Each kind of layer and its part of the totals, the one with most FLOPs first."""
    kinds: dict[str, list[Layer]] = {}
    for layer in report.layers:
        kinds.setdefault(layer.kind, []).append(layer)
    rows: list[dict[str, Any]] = []
    for kind, layers in sorted(kinds.items(), key=lambda pair: -sum(layer.flops.low for layer in pair[1])):
        sums = {key: sum(getattr(layer, key).low for layer in layers) for key in ("parameters", "macs", "flops")}
        rows.append({"kind": kind, "layers": len(layers), **sums, "activations": sum(layer.activations for layer in layers)})
    return rows


def _record(report: Report) -> dict[str, Any]:
    """What is told of a network where no layer is named."""
    totals = {key: report.counts[key].low for key in ("parameters", "macs", "flops", "activations")}
    return {"name": report.name, "totals": totals, "kinds": _kinds(report), "definitions": dict(DEFINITIONS)}


def _totals(report: Report) -> str:
    """Each kind's part of the totals, and what the figures mean."""
    from archc.analysis.cost.accounts import account_lines

    columns = [
        Column("kind"),
        Column("layers", "count", 3),
        Column("parameters", "count"),
        Column("MACs", "count", 4),
        Column("FLOPs", "count", 2),
        Column("activations", "count", 1),
    ]
    table = Table(columns)
    table.rows = [list(row.values()) for row in _kinds(report)]
    counts = report.counts
    table.totals.append(["total", len(report.layers), counts["parameters"], counts["macs"], counts["flops"], counts["activations"]])
    meanings = [prose(f"{name}: {text}", 100) for name, text in DEFINITIONS.items()]
    accounts = [prose(line, 100) for line in account_lines(report)]
    head = f"{report.name}: {cell_text(counts['parameters'], 'count')} parameters, {cell_text(counts['macs'], 'count')} MACs"
    return "\n".join([printable(head), "", table_text(table), "", *accounts, "", *meanings])
