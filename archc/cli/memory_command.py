"""The peak memory of a training step or of inference: what it consists of, where
it is, and whether it fits. Needs no torch.

archc memory resnet50 --batch 64 --optimizer adam
archc memory resnet50 --batch 64 --optimizer momentum --amp bf16 --memory 24GiB
archc memory resnet50 --batch 64 --checkpoint blocks
archc memory resnet50 --batch 256 --accumulate 4
archc memory my.yaml --inference --format json
archc memory llama3_8b --generate 8192 --dtype bf16 --memory 24GiB
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from archc.analysis.memory.timeline import IMPLEMENTATIONS, LOSSES, Options, Timeline, inference, training
from archc.analysis.memory.timeline.bounds import AT_LEAST, Bound
from archc.analysis.memory.timeline.tape import Mark
from archc.analysis.recompute import plan_of
from archc.catalog.dtypes import FLOATS, NETWORK, dtype_name
from archc.catalog.optimizers import OPTIMIZERS
from archc.cli.common import compile_model, heading_line, spec_options, usable
from archc.cli.console import DEFAULT_WIDTH, columns_of, complain, prose, table_text, width
from archc.errors import ArgumentError
from archc.text.diagnostics import printable
from archc.text.lines import wrap
from archc.text.quantity import bytes_text, counted, read_size
from archc.text.table import Column, Table, to_csv

if TYPE_CHECKING:
    from archc.catalog.devices.capacity import Capacity

BARS = " ▁▂▃▄▅▆▇█"
MOST_LAYERS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser, several=False)
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="images of a step (default: 1)")
    parser.add_argument("--inference", action="store_true", help="a forward pass in eval mode, without gradients")
    parser.add_argument(
        "--checkpoint", metavar="PLAN", help="what backward recomputes: norms, blocks, or a file with a plan, as in `archc build`"
    )
    parser.add_argument(
        "--generate", type=positive, metavar="TOKENS", help="a language model that writes: keys and values it caches for a context"
    )
    training_options(parser)
    parser.add_argument("--top", type=positive, default=MOST_LAYERS, metavar="N", help=f"show the N layers that keep most ({MOST_LAYERS})")
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text", help="the form of the output; csv is the timeline")


def training_options(parser: argparse.ArgumentParser) -> None:
    """--accumulate, --optimizer, --how, --loss, --dtype, --amp, --device, --memory."""
    parser.add_argument("--accumulate", type=positive, default=1, metavar="N", help="passes among which the batch is divided (default: 1)")
    names = ", ".join(OPTIMIZERS)
    parser.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default="sgd", metavar="NAME", help=f"{names} (default: sgd)")
    parser.add_argument("--how", choices=IMPLEMENTATIONS, default="", help="the optimizer's implementation (default: torch.optim's choice)")
    parser.add_argument("--loss", choices=LOSSES, default="auto", help="auto: cross_entropy for a vector of classes, else mse")
    parser.add_argument("--dtype", type=float_type, help=f"of parameters: {', '.join(FLOATS)} (default: float32, or a model's own)")
    parser.add_argument("--amp", type=half_type, metavar="DTYPE", help="under torch.autocast: bf16 or fp16")
    parser.add_argument("--device", default="", metavar="NAME", help="cpu, cuda, or a device by name (default: cuda)")
    parser.add_argument("--memory", type=memory_size, metavar="24GiB", help="what there is; GB and G are 10^9 bytes, a bare number GiB")
    parser.add_argument(
        "--reserve", type=reserve_size, metavar="1GiB", help="what of it is not for tensors (default: as stated for a device)"
    )


def run(args: argparse.Namespace) -> int:
    budget = budget_of(args)
    options_of(args, args.batch)  # whose mistakes come first
    if args.inference and args.checkpoint is not None:
        raise ArgumentError("--checkpoint is for training; leave out either it or --inference")
    if args.generate is not None:
        from archc.cli.generating import run_generation

        return run_generation(args, budget)
    graph = usable(compile_model(args, args.spec))
    if graph is None:
        return 2
    options = options_of(args, args.batch, graph.dtype)
    plan = None if args.checkpoint is None else plan_of(graph, args.checkpoint)
    found = inference(graph, options) if args.inference else training(graph, options, plan)
    if not args.inference and (alone := next((node for node in graph.nodes if node.facts.min_batch > args.batch), None)) is not None:
        least = alone.facts.min_batch
        complain(f"PyTorch refuses this step: {alone.name} ({alone.kind}) has only one value to normalize over; write --batch {least}")
    if args.format == "json":
        print(
            json.dumps(
                found.to_dict() | ({"capacity": capacity_to_dict(budget), "fits": found.fits(budget.usable)} if budget else {}), indent=2
            )
        )
    elif args.format == "csv":
        print(to_csv(timeline_table(found)))
    else:
        print("\n".join(report_lines(found, budget, args.top)))
    return 0


def options_of(args: argparse.Namespace, batch: int, own: str = "float32") -> Options:
    """`own` is the dtype of the network where none is asked for. Raises ValueError where options exclude each other."""
    dtype = args.dtype or own
    if args.amp and dtype != "float32":
        raise ArgumentError(f"--amp needs parameters in float32, not {dtype}; leave out --amp or --dtype")
    if args.inference and args.accumulate > 1:
        raise ArgumentError("--accumulate is for training; leave out either it or --inference")
    device = "cpu" if args.device == "cpu" else "cuda"
    return Options(
        batch,
        dtype=dtype,
        optimizer=args.optimizer,
        how=args.how,
        loss=args.loss,
        device=device,
        amp=args.amp or "",
        accumulate=args.accumulate,
    )


def budget_of(args: argparse.Namespace) -> Capacity | None:
    """What there is, if a device or a size was named. Raises ValueError for a device that is not known."""
    if args.memory is None and args.device in ("", "cpu", "cuda"):
        if args.reserve is not None:
            raise ArgumentError("--reserve is subtracted from a memory size; write --memory 24GiB or --device NAME")
        return None
    from archc.catalog.devices.capacity import of_device, of_size

    if args.memory is not None:
        found = of_size(args.memory, args.reserve)
    else:
        from archc.catalog.devices.catalogue import find

        device = find(args.device)
        if device.memory is None:
            raise ArgumentError(f"{device.name} does not say how much memory it has; write --memory 24GiB")
        found = of_device(device, args.reserve)
    if not found.usable:
        raise ArgumentError(f"--reserve leaves nothing of {bytes_text(found.total)}")
    return found


def capacity_to_dict(found: Capacity) -> dict[str, object]:
    """The stable keys of JSON, in bytes."""
    reserves = [reserve._asdict() for reserve in found.reserves]
    return {"name": found.name, "total": found.total, "usable": found.usable, "reserves": reserves}


def capacity_lines(found: Capacity, room: int) -> list[str]:
    """What there is, what of it is reserved and how that is known: a line, or more where it is long."""
    summary = f"{found.name}: {bytes_text(found.total)}"
    for reserve in found.reserves:
        summary += f", less {bytes_text(reserve.bytes)} {reserve.what} ({reserve.how})"
    if found.reserves:
        summary += f" = {bytes_text(found.usable)}"
    return wrap(printable(f"memory     {summary}"), room, " " * 11, columns_of)


def report_lines(found: Timeline, budget: Capacity | None, top: int = MOST_LAYERS) -> list[str]:
    """What the command prints."""
    room = width() or DEFAULT_WIDTH
    lines = [*_header(found, room), "", table_text(_kinds(found), DEFAULT_WIDTH), ""]
    lines += [f"peak at    {printable(found.peak_at)}", *bound_lines(found.bound, room), *map(prose, _totals(found))]
    if budget is not None:
        lines += [*capacity_lines(budget, room), *map(prose, _fits(found, budget.usable))]
    layers = _layers(found, top)
    if layers.rows:
        lines += ["", table_text(layers, DEFAULT_WIDTH)]
    return [*lines, "", *_curve(found, room - 2), ""]


def _header(found: Timeline, room: int) -> list[str]:
    options, graph = found.options, found.graph
    inputs = ", ".join("x".join(map(str, value.shape)) for value in graph.inputs.values())
    words = f"training with {options.optimizer} ({found.how})" if found.how else "inference"
    numbers = f"{options.dtype} under autocast to {options.amp}" if options.amp else options.dtype
    passes = f" in {options.accumulate} passes of {options.images}" if options.accumulate > 1 else ""
    heading = heading_line(graph.name, printable(f"  input {inputs}  batch {options.batch}{passes}"), room)
    lines = [heading, f"{words}, {numbers}, on {options.device}"]
    if found.plan is not None:
        count = len(found.plan.regions)
        lines.append(f"{counted(count, 'region')}, recomputed in backward" if count else "no region in the plan: nothing is recomputed")
    return lines


def _kinds(found: Timeline) -> Table:
    table = Table([Column("at the peak"), Column("memory", "bytes"), Column("bytes", "count", 2), Column("part")])
    for kind, size in found.by_kind().items():
        table.rows.append([kind, size, size, f"{size / found.peak_bytes:.1%}".rjust(6)])
    table.totals.append(["peak", found.amount_text(found.peak_bytes), f"{found.bound.sign}{found.peak_bytes:,}", ""])
    return table


def bound_lines(bound: Bound, room: int) -> list[str]:
    """That a peak is a bound or an estimate, and why; nothing where it is exact."""
    if not bound.reasons:
        return []
    first = "at least" if bound.status == AT_LEAST else "about"
    return wrap(printable(f"{first.ljust(11)}{bound.text}"), room, " " * 11, columns_of)


def _totals(found: Timeline) -> list[str]:
    if found.options.device == "cpu":
        return []
    lines = [
        f"allocated  {found.amount_text(found.allocated_bytes)}, as torch.cuda.max_memory_allocated counts it",
        f"reserved   {found.amount_text(found.reserved_bytes)}, in segments of the caching allocator",
    ]
    if found.workspace:
        lines.append(f"allowance  up to {bytes_text(found.workspace)} for cuBLAS; workspaces of cuDNN are not known")
    return lines


def _fits(found: Timeline, budget: int) -> list[str]:
    if found.fits(budget) and found.bound.status == AT_LEAST:
        return [f"may fit    {bytes_text(budget)}: it needs at least {bytes_text(found.needed_bytes)}, and how much more is not known"]
    if found.fits(budget):
        return [f"fits       {bytes_text(budget)}, with {found.bound.sign}{bytes_text(budget - found.needed_bytes)} to spare"]
    return [f"too much   by {found.amount_text(found.needed_bytes - budget)} for {bytes_text(budget)}; see `archc fit`"]


def _layers(found: Timeline, top: int) -> Table:
    """The layers that keep most for backward; at the peak itself for inference, where nothing is kept."""
    kept = found.kept_by_layer()
    table = Table([Column("layer"), Column("kind", "text", 2), Column("output", "text", 3), Column("keeps", "bytes"), Column("part")])
    total = sum(kept.values())
    unknown = dict.fromkeys(node for node in found.graph.nodes if found.how and (node.facts.keeps is None or node.facts.keeps_more))
    for node in [*unknown, *(node for node in kept if node not in unknown)][:top]:
        size: int | str = kept.get(node, 0)
        if node in unknown:
            size = f"≥{bytes_text(kept[node])}" if node in kept else "?"
        part = f"{kept[node] / total:.1%}".rjust(6) if node in kept else ""
        table.rows.append([node.name, node.kind, str(node.output.shape), size, part])
    if (more := len(kept.keys() | unknown.keys()) - top) > 0:
        total_text = f"{'≥' if unknown else ''}{bytes_text(total)}"
        table.notes.append(f"and {counted(more, 'more layer')}; {total_text} are made and kept for backward in all")
    return table


def _curve(found: Timeline, columns: int) -> list[str]:
    """Bytes over time as bars from 0 to the peak, each bar the most of some layers."""
    marks = found.events
    columns = max(10, min(columns, len(marks)))
    groups: list[list[Mark]] = [marks[i * len(marks) // columns : (i + 1) * len(marks) // columns] for i in range(columns)]
    bars = "".join(BARS[round(8 * max(mark.live for mark in group) / found.peak_bytes)] for group in groups if group)
    named = [next((mark.phase for mark in group), "") for group in groups if group]
    starts = {phase: named.index(phase) for phase in ("forward", "backward") if phase in named}
    words = [" "] * len(bars)
    for phase, at in starts.items():
        text = f"└ {phase}"[: len(bars) - at]
        words[at : at + len(text)] = text
    return [bars.rstrip(), "".join(words).rstrip()]


def timeline_table(found: Timeline) -> Table:
    """A row a layer, forward, backward and where it runs again, with what is alive after it; a bound has its sign."""
    table = Table([Column("phase"), Column("layer"), Column("kind", "text", 2), Column("bytes", "count")])
    sign = found.bound.sign
    for mark in found.events:
        size = f"{sign}{mark.live}" if sign else mark.live
        table.rows.append([mark.phase, mark.layer.name if mark.layer else "", mark.layer.kind if mark.layer else "", size])
    return table


def positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:12]) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def float_type(text: str) -> str:
    name = dtype_name(text)
    if name not in FLOATS:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(FLOATS)}")
    return name


def half_type(text: str) -> str:
    name = dtype_name(text)
    if name is None or NETWORK[name] != 2:
        raise argparse.ArgumentTypeError(f"{text!r} is neither bf16 nor fp16")
    return name


def memory_size(text: str) -> str:
    """A size as it was written, if it is one."""
    if read_size(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 24GiB, or 24GB for powers of ten")
    return text


def reserve_size(text: str) -> int:
    if text.strip() in ("0", "none"):
        return 0
    found = read_size(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 1GiB, or 0 for nothing")
    return found
