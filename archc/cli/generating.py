"""`archc memory --generate TOKENS`: a language model that writes a context, and what it caches."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from archc.analysis.memory.generation import Generation, check_writes, generation
from archc.cli.common import compile_model, heading_line, is_model, usable
from archc.cli.console import DEFAULT_WIDTH, prose, table_text, width
from archc.cli.memory_command import bound_lines, capacity_lines, capacity_to_dict, options_of
from archc.errors import Argument, ArgumentError
from archc.graph import Graph
from archc.text.diagnostics import printable
from archc.text.quantity import bytes_text, counted
from archc.text.table import Column, Table, to_csv

if TYPE_CHECKING:
    from archc.catalog.devices.capacity import Capacity


def run_generation(args: argparse.Namespace, budget: Capacity | None) -> int:
    """Prints the memory of a context. Raises ArgumentError where options exclude each other, or the network writes nothing."""
    for name, given in (("inference", args.inference), ("checkpoint", args.checkpoint), ("input", args.input)):
        if given:
            raise ArgumentError(Argument("generate"), " stands for an inference with a context of that length; leave out ", Argument(name))
    if is_model(args.spec):
        raise ArgumentError(f"{args.spec} is a model that is captured with one length; import it as a spec: archc import {args.spec}")
    args.inference = True
    options_of(args, args.batch)  # whose mistakes come first
    own = usable(compile_model(args, args.spec))
    if own is None:
        return 2
    check_writes(own)
    graph = _with_tokens(args, args.generate)
    if graph is None:
        return 2
    options = options_of(args, args.batch, graph.dtype)
    found = generation(graph, options, _with_tokens(args, 1, silent=True))
    if args.format == "json":
        extra = {} if budget is None else {"capacity": capacity_to_dict(budget), "fits": _largest(found) <= budget.usable}
        print(json.dumps(found.to_dict() | extra, indent=2))
    elif args.format == "csv":
        print(to_csv(_layers(found)))
    else:
        print("\n".join(_report(found, budget)))
    return 0


def _with_tokens(args: argparse.Namespace, tokens: int, silent: bool = False) -> Graph | None:
    """The network with an input of so many tokens; None where it is refused, of which nothing is said if `silent`."""
    args.input = [str(tokens)]
    model = compile_model(args, args.spec)
    args.input = []
    return model.graph if silent else usable(model)


def _largest(found: Generation) -> int:
    return max(found.prefill.peak_bytes, found.decode_bytes or 0)


def _report(found: Generation, budget: Capacity | None) -> list[str]:
    room = width() or DEFAULT_WIDTH
    options, prefill = found.options, found.prefill
    numbers = f"{options.dtype} under autocast to {options.amp}" if options.amp else options.dtype
    lines = [
        heading_line(found.graph.name, f"  context {counted(found.tokens, 'token')}  batch {options.batch}", room),
        f"generation, {numbers}, on {options.device}",
        "",
        table_text(_parts(found), DEFAULT_WIDTH),
        "",
        prose(f"a token    {bytes_text(found.bytes_a_token)} of keys and values: {_made_of(found)}", DEFAULT_WIDTH),
        prose(f"prefill    its peak is at {printable(prefill.peak_at)}", DEFAULT_WIDTH),
        *bound_lines(prefill.bound, room),
    ]
    if found.step is None:
        lines.append("decode     not known: the network does not take an input of one token")
    if budget is not None:
        lines += [*capacity_lines(budget, room), prose(_fits(found, budget.usable), DEFAULT_WIDTH)]
    return lines


def _parts(found: Generation) -> Table:
    table = Table([Column("what"), Column("memory", "bytes"), Column("bytes", "count", 2)])
    parameters = found.prefill.by_kind().get("parameters", 0)
    table.rows += [["parameters", parameters, parameters], ["keys and values", found.cache_bytes, found.cache_bytes]]
    sign = found.prefill.bound.sign
    table.totals.append(["peak of prefill", found.prefill.amount_text(found.prefill.peak_bytes), f"{sign}{found.prefill.peak_bytes:,}"])
    if found.decode_bytes is not None:
        table.totals.append(["peak of decode", f"~{bytes_text(found.decode_bytes)}", f"~{found.decode_bytes:,}"])
    return table


def _made_of(found: Generation) -> str:
    """`32 layers, 2 x 8 heads x 128 features each`, where all layers are alike."""
    kinds = {(layer.keys.shape, layer.values.shape) for layer in found.layers}
    keys, values = next(iter(kinds))
    if len(kinds) > 1 or keys != values or len(keys) != 3:
        return counted(len(found.layers), "layer")
    return f"{counted(len(found.layers), 'layer')}, each 2 x {counted(keys[0], 'head')} x {counted(keys[2], 'feature')}"


def _layers(found: Generation) -> Table:
    table = Table([Column("layer"), Column("keys"), Column("values"), Column("bytes", "count")])
    table.rows = [[one.node.name, str(one.keys.shape), str(one.values.shape), found.bytes_of(one)] for one in found.layers]
    return table


def _fits(found: Generation, usable_bytes: int) -> str:
    spare = usable_bytes - _largest(found)
    if spare < 0:
        return f"too much   by {bytes_text(-spare)} for {bytes_text(usable_bytes)}"
    more = spare // (found.bytes_a_token * found.options.batch)
    return f"fits       {bytes_text(usable_bytes)}, with {bytes_text(spare)} to spare: keys and values of {more:,} more tokens"
