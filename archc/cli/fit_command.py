"""The largest batch that fits a memory, the least memory that a batch needs,
and what would make it fit. Needs no torch.

archc fit resnet50 --memory 24GiB --optimizer adam
archc fit vit_b16 --device a100 --amp bf16
archc fit densenet121 --batch 64 --memory 16GiB
archc fit resnet50 --batch 512 --memory 24GiB -o plan.yaml

For a batch that does not fit, archc plans activation checkpointing: which
layers to recompute in backward, at the least extra work. `archc build
--checkpoint plan.yaml` builds the network with the plan.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING

from archc.analysis.memory.fit import MOST, MOST_PLANNED, Alternative, Fitting, ways
from archc.analysis.memory.timeline import Options
from archc.analysis.memory.timeline.bounds import Bound, unstated
from archc.cli.common import compile_model, heading_line, spec_options, usable
from archc.cli.console import DEFAULT_WIDTH, complain, progress, table_text, width
from archc.cli.files import refuse_place, write_whole
from archc.cli.memory_command import (
    bound_lines,
    budget_of,
    capacity_lines,
    capacity_to_dict,
    options_of,
    positive,
    training_options,
)
from archc.errors import ArgumentError
from archc.text.diagnostics import printable
from archc.text.quantity import bytes_text
from archc.text.table import Column, Table

if TYPE_CHECKING:
    from archc.analysis.recompute.planner import Planned
    from archc.catalog.devices.capacity import Capacity


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser, several=False)
    parser.add_argument("--batch", type=positive, metavar="N", help="images in a step: do they fit, or what do they need")
    parser.add_argument("--inference", action="store_true", help="a forward pass in eval mode, without gradients")
    training_options(parser)
    parser.add_argument("--no-plan", action="store_true", help="do not plan checkpointing for a batch that does not fit")
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write the plan to, such as plan.yaml")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="the form of the output")


def run(args: argparse.Namespace) -> int:
    capacity = budget_of(args)
    budget = capacity.usable if capacity is not None else None
    options_of(args, args.batch or args.accumulate)  # whose mistakes come first
    _usable(args, budget)
    graph = usable(compile_model(args, args.spec))
    if graph is None:
        return 2
    options = options_of(args, args.batch or args.accumulate, graph.dtype)
    fitting = Fitting(graph, args.inference)
    with progress("planning", 4 + len(list(ways(options, args.inference)))) as step:
        step("what backward recomputes")
        planned = _make_plan(fitting, options, budget, args)
        found = []
        step("as asked")
        for alternative in fitting.alternatives(options, budget, args.batch, planned.least if planned is not None else None):
            found.append(alternative)
            step(f"after: {alternative.name}")
    if args.format == "json":
        capacity_part = {"capacity": capacity_to_dict(capacity)} if capacity is not None else {}
        print(json.dumps(_to_dict(graph.name, budget, args.batch, found, planned) | capacity_part, indent=2))
    else:
        print("\n".join(_lines(fitting, options, capacity, args.batch, found, planned)))
    return _write(args, planned) if args.output else 0


def _usable(args: argparse.Namespace, budget: int | None) -> None:
    """Raises ValueError where options leave nothing to do, or exclude each other."""
    if budget is None and args.batch is None:
        raise ArgumentError("fit needs a memory size or a batch;\nwrite --memory 24GiB, --device NAME or --batch 64")
    if args.output and (budget is None or args.batch is None):
        raise ArgumentError("a plan needs a batch and a memory size; write --batch 512 --memory 24GiB")
    if args.output and (args.no_plan or args.inference):
        raise ArgumentError(f"-o writes a plan for training; leave {'--no-plan' if args.no_plan else '--inference'} or -o out")
    if args.output and (refusal := refuse_place(args.output, args)) is not None:
        raise ArgumentError(refusal)


def _make_plan(fitting: Fitting, options: Options, budget: int | None, args: argparse.Namespace) -> Planned | None:
    """The plan of a batch that was asked for; an empty one where the batch fits."""
    if budget is None or args.batch is None or args.inference or args.no_plan:
        return None
    if fitting.length > MOST_PLANNED and not args.output:
        return None
    if unstated(fitting.graph) and not args.output:
        return None
    from archc.analysis.recompute.planner import plan

    return plan(fitting.graph, options, budget)


def _write(args: argparse.Namespace, planned: Planned | None) -> int:
    if planned is None or not planned.fits:
        complain(f"no plan makes it fit, so {args.output} is not written")
        return 1
    with redirect_stdout(sys.stderr if args.format == "json" else sys.stdout):
        return write_whole(args.output, planned.plan.text(), args)


def _lines(
    fitting: Fitting,
    options: Options,
    capacity: Capacity | None,
    batch: int | None,
    found: list[Alternative],
    planned: Planned | None,
) -> list[str]:
    asked, room = found[0], width() or DEFAULT_WIDTH
    budget = capacity.usable if capacity is not None else None
    lines = [heading_line(fitting.graph.name, f": {_way(options, fitting.inference)}, on {options.device}", room)]
    lines += [*capacity_lines(capacity, room), ""] if capacity is not None else [""]
    if batch is not None and asked.needed is not None:
        lines.append(f"a batch of {batch} needs {asked.bound.sign}{bytes_text(asked.needed)}" + _verdict(asked, budget))
    if budget is not None and asked.largest is not None:
        lines.append(_largest(asked.largest, budget, asked.bound))
        if asked.largest:
            peak = fitting.timeline(replace(options, batch=asked.largest))
            lines.append(f"peak at {printable(peak.peak_at)}, {peak.amount_text(peak.peak_bytes)} of tensors")
    lines += bound_lines(asked.bound, room)
    table = _table(found, batch, budget)
    if fitting.short:
        table.notes.append(f"of {len(fitting.graph.nodes):,} layers: the search ended early, and somewhat larger batches may fit")
    if fitting.effort.skipped:
        table.notes.append(f"not searched, because of {len(fitting.graph.nodes):,} layers: {', '.join(fitting.effort.skipped)}")
    if budget is not None and options.device == "cuda":
        table.notes.append("fragmentation of the caching allocator is included: a few images either way")
    learning = not fitting.inference and fitting.length > MOST_PLANNED
    if learning and budget is not None and asked.needed is not None and asked.needed > budget:
        table.notes.append("no checkpointing is planned for so long a network")
    drawn = [*lines, "", table_text(table, DEFAULT_WIDTH), ""]
    if planned is None or not planned.plan.regions:
        return drawn
    from archc.cli.plan_table import plan_lines

    return [*drawn, *plan_lines(planned)]


def _way(options: Options, forward: bool) -> str:
    numbers = f"{options.dtype} under autocast to {options.amp}" if options.amp else options.dtype
    passes = f", {options.accumulate} passes a step" if options.accumulate > 1 else ""
    return f"inference in {numbers}" if forward else f"training with {options.optimizer} in {numbers}{passes}"


def _verdict(asked: Alternative, budget: int | None) -> str:
    needed, sign = asked.needed or 0, asked.bound.sign
    if budget is None:
        return ""
    if needed > budget:
        return f": {sign}{bytes_text(needed - budget)} more than {bytes_text(budget)}"
    return f": may fit {bytes_text(budget)}" if sign else f": fits {bytes_text(budget)}"


def _largest(count: int, budget: int, bound: Bound) -> str:
    if not count:
        return f"not even one image fits {bytes_text(budget)}"
    if 2 * count > MOST:
        return f"a batch of {count:,} and more {'may fit' if bound.sign else 'fits'} {bytes_text(budget)}"
    return f"the largest batch for {bytes_text(budget)} is {bound.count_sign}{count:,}"


def _table(found: list[Alternative], batch: int | None, budget: int | None) -> Table:
    table = Table([Column("alternatives")])
    if batch is not None:
        table.columns.append(Column(f"batch {batch} needs", "bytes"))
    if budget is not None:
        table.columns.append(Column("largest batch", "count"))
    for alternative in found:
        needed = (
            alternative.needed
            if not alternative.bound.sign or alternative.needed is None
            else f"{alternative.bound.sign}{bytes_text(alternative.needed)}"
        )
        largest = (
            alternative.largest
            if not alternative.bound.sign or alternative.largest is None
            else f"{alternative.bound.count_sign}{alternative.largest:,}"
        )
        table.rows.append([alternative.name, *([needed] if batch is not None else []), *([largest] if budget is not None else [])])
    return table


def _to_dict(name: str, budget: int | None, batch: int | None, found: list[Alternative], planned: Planned | None) -> dict[str, object]:
    rows = [
        {
            "name": alternative.name,
            "optimizer": alternative.options.optimizer,
            "implementation": alternative.options.how or None,
            "dtype": alternative.options.dtype,
            "amp": alternative.options.amp or None,
            "needed": alternative.needed,
            "largest_batch": alternative.largest,
            "bound": alternative.bound.status,
            "reasons": list(alternative.bound.reasons),
            "checkpoint": alternative.plan is not None,
        }
        for alternative in found
    ]
    plan_part = {"plan": planned.to_dict()} if planned is not None else {}
    return {"name": name, "memory": budget, "batch": batch, "alternatives": rows, **plan_part}
