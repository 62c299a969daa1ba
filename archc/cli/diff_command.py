"""What changed between two specs, layer by layer, and what it costs.

archc diff resnet50 resnext50_32x4d
archc diff vgg16 --set batchnorm=true     (a spec and itself, changed)
archc diff old.yaml new.yaml --format markdown
archc diff old.yaml new.yaml --exact     (whether both are the same network)

Layers are paired by what they are and where they are, so that one more layer in
a numbered list is one change, and the new numbers of later layers take one
line.
"""

from __future__ import annotations

import argparse
import json

from archc.analysis.compare.diff import ADDED, CHANGED, COSTS, MOVED, REMOVED, RENAMED, Change, Difference, compare
from archc.analysis.compare.exact import differences
from archc.cli.common import SPECS, compile_model, is_model, load_plugins, spec_options, usable
from archc.cli.console import complain, table_text
from archc.elaborate.compiler import Model, compile_spec
from archc.graph import Graph, Node, Scope
from archc.text.diagnostics import printable
from archc.text.names import fold_names
from archc.text.quantity import counted
from archc.text.table import Column, Table, escape_markdown, to_markdown

STYLES = {ADDED: "added", REMOVED: "removed", CHANGED: "changed", MOVED: "moved", RENAMED: "moved"}
SIGNS = {ADDED: "+", REMOVED: "-", CHANGED: "~", MOVED: ">", RENAMED: "="}
TITLES = {"parameters": "parameters", "macs": "MACs", "flops": "FLOPs", "activations": "activations"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", metavar="OLD", help=f"{SPECS}; or a model")
    spec_options(parser, several=False, metavar="NEW", optional=True)
    parser.add_argument("--format", choices=("table", "markdown", "json"), default="table", help="the form of the output")
    parser.add_argument(
        "--exact", action="store_true", help="say whether they are the same network, graph for graph; exit with status 1 if not"
    )
    parser.add_argument("--exit-code", action="store_true", help="exit with status 1 if more than names changed")


def run(args: argparse.Namespace) -> int:
    if args.spec is None and not (args.set or args.input):
        complain("what should it be compared with? name a second spec, or change this one with --set")
        return 2
    if args.spec is None and is_model(args.old) and not args.set:
        complain(f"what should {args.old} be compared with? name another network: archc diff {args.old} NEW --input {' '.join(args.input)}")
        return 2
    load_plugins(args.plugin)
    old, new = (usable(model) for model in _models(args))
    if old is None or new is None:
        return 2
    if args.exact:
        return _exact(old, new, args.format)
    found = compare(old, new)
    settings = ", ".join([*args.set, *args.input])
    if args.format == "json":
        print(json.dumps(_record(found), indent=2))
    elif args.format == "markdown":
        print("\n".join(_markdown(found, settings)))
    else:
        print("\n".join(_text(found, settings)))
    return int(args.exit_code and found.structural)


def _exact(old: Graph, new: Graph, form: str) -> int:
    """Graph equality: what figures and outputs cannot show."""
    found = differences(old, new)
    if form == "json":
        print(json.dumps({"old": old.name, "new": new.name, "same": not found, "differences": found}, indent=2))
    elif found:
        print("\n".join(["not the same network:", *(f"  {printable(line)}" for line in found)]))
    else:
        print(f"the same network: {counted(len(old.nodes), 'layer')}, all that they are and read")
    return int(bool(found))


def _models(args: argparse.Namespace) -> tuple[Model, Model]:
    """The old network as it is, and the new one with the options. Where one is a model, --input is about that."""
    named = args.spec or args.old
    if not is_model(args.old):
        return compile_spec(args.old), compile_model(args, named)
    old = compile_model(argparse.Namespace(**(vars(args) | {"set": []})), args.old)
    return old, compile_model(argparse.Namespace(**(vars(args) | ({} if is_model(named) else {"input": []}))), named)


def _text(found: Difference, settings: str) -> list[str]:
    lines = [printable(_title(found, settings)), ""]
    if found.changes:
        lines += [table_text(_changes(found), broken=True), ""]
    return [*lines, _rest(found), "", table_text(_totals(found))]


def _markdown(found: Difference, settings: str) -> list[str]:
    lines = [f"**{escape_markdown(_title(found, settings))}**", "", to_markdown(_totals(found)), ""]
    if found.changes:
        lines += ["<details><summary>Changes, layer by layer</summary>", "", to_markdown(_changes(found)), "", "</details>", ""]
    return [*lines, _rest(found)]


def _title(found: Difference, settings: str) -> str:
    return f"{found.old.name} → {found.new.name}" + (f" with {settings}" if settings else "")


def _rest(found: Difference) -> str:
    if not found.structural:
        names = "other names, nothing else" if found.changes else "the same network"
        return f"{names}: {'' if found.same == 1 else 'all '}{_as_they_were(found)}"
    return _as_they_were(found)


def _as_they_were(found: Difference) -> str:
    return found.unchanged + (f", {found.reshaped:,} of them with other shapes" if found.reshaped else "")


def _changes(found: Difference) -> Table:
    """A row for each kind of change, with all the layers that it befell."""
    table = Table([Column(""), Column("layer"), Column("kind", "text", 3), Column("change"), Column("parameters", "number"),
                   Column("MACs", "number", 4)])  # fmt: skip
    for group in _group(found.changes):
        first = group[0]
        names = _where(group)
        costs = [sum(change.costs[name] for change in group) for name in ("parameters", "macs")]
        table.styles[len(table.rows)] = STYLES[first.what]
        table.rows.append([SIGNS[first.what], names, _kind(first), _details(group), *map(_signed_text, costs)])
    if any(found.more.values()):
        others = counted(found.reshaped, "other")
        table.rows.append(
            ["", others, "", "as written, with other shapes", *(_signed_text(found.more[name]) for name in ("parameters", "macs"))]
        )
    return table


def _where(group: list[Change]) -> str:
    """The layers that a change befell; of new numbers, the part that holds them."""
    if not _is_renumbered(group[0]):
        return ", ".join(fold_names(change.part.name for change in group))
    return group[0].part.name.rpartition(".")[0] or "the top"


def _is_renumbered(change: Change) -> bool:
    return change.what == RENAMED and change.old is not None and change.old.label.isdigit() and change.part.label.isdigit()


def _group(changes: list[Change]) -> list[list[Change]]:
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        parent = change.part.scope if isinstance(change.part, Node) else change.part.parent
        where = parent.name if change.what == RENAMED and parent is not None else ""
        groups.setdefault((change.what, _kind(change), tuple(change.details), where, _from(change)), []).append(change)
    return list(groups.values())


def _from(change: Change) -> str:
    """Moves are told one by one; so are names, unless they are numbers."""
    if change.what == MOVED or (change.what == RENAMED and not _is_renumbered(change)):
        return change.part.name
    return ""


def _kind(change: Change) -> str:
    part = change.part
    if change.what == RENAMED:
        return ""
    return part.kind if isinstance(part, Node) else part.block or "layers"


def _details(group: list[Change]) -> str:
    change = group[0]
    if _is_renumbered(change):
        return f"{len(group)} renumbered, as {change.old.name if change.old else ''} → {change.part.name}"
    if change.what in (RENAMED, MOVED):
        return f"was {', '.join(fold_names(other.old.name for other in group if other.old is not None))}"
    if change.what == CHANGED:
        return ", ".join(change.details)
    layers = sum(other.layers for other in group)
    words = [change.what] + ([f"{len(group)} times"] if len(group) > 1 else [])
    if isinstance(change.part, Scope):
        words.append(f"({counted(layers, 'layer')})")
    else:
        arguments = ", ".join(
            f"{name} {value}" for name, value in change.part.args.items() if isinstance(value, int) and value not in (0, 1)
        )
        words.append(f"({arguments})" if arguments else "")
    return " ".join(word for word in words if word)


def _signed_text(value: int) -> str:
    return f"{value:+,}" if value else ""


def _totals(found: Difference) -> Table:
    table = Table([Column(""), Column(found.old.name, "count"), Column(found.new.name, "count"), Column("change", "number", 3),
                   Column("%", "number")])  # fmt: skip
    for name, title in TITLES.items():
        old, new = found.old.counts[name], found.new.counts[name]
        percent = f"{new.low / old.low - 1:+.1%}" if old.low and new.low != old.low else ""
        table.rows.append([title, old, new, _signed_text(new.low - old.low) or "same", percent])
    old_layers, new_layers = len(found.old.layers), len(found.new.layers)
    table.rows.append(["layers", old_layers, new_layers, _signed_text(new_layers - old_layers) or "same", ""])
    return table


def _record(found: Difference) -> dict[str, object]:
    def change_to_dict(change: Change) -> dict[str, object]:
        names = {"old": change.old.name if change.old else None, "new": change.new.name if change.new else None}
        return {
            "what": change.what,
            **names,
            "kind": _kind(change),
            "layers": change.layers,
            "details": change.details,
            "costs": change.costs,
        }

    totals = {name: {"old": found.old.counts[name].low, "new": found.new.counts[name].low} for name in COSTS}
    head = {"old": found.old.name, "new": found.new.name, "structural": found.structural, "same": found.same, "reshaped": found.reshaped}
    return {**head, "totals": totals, "changes": [change_to_dict(change) for change in found.changes]}
