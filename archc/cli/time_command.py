"""The least time that a device could take, layer by layer: a bound, not a
forecast. Needs no torch.

archc time resnet50 --device a100-40gb --batch 64 --dtype bf16
archc time resnet50 --device a100-40gb --batch 64 --dtype bf16 --training
archc time my.yaml --devices mine.yaml --device my-gpu --full

With a device file from `archc calibrate`, it also forecasts: --device FILE.yaml
"""

from __future__ import annotations

import argparse
import json
import sys

from archc.analysis.time.roofline import BANDWIDTH, COMPUTE, LayerTime, Roofline, roofline
from archc.catalog.devices.catalogue import find, load_files, shipped
from archc.catalog.devices.device import Device
from archc.catalog.dtypes import ARITHMETIC
from archc.cli.common import compile_model, devices_option, spec_options, usable
from archc.cli.console import DEFAULT_WIDTH, complain, prose, table_text
from archc.text.diagnostics import printable
from archc.text.quantity import bytes_text, counted, rate_text, short, time_text
from archc.text.table import Column, Table, to_csv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser, several=False)
    parser.add_argument("--device", metavar="NAME", help="see `archc devices`; or a file with one device, FILE.yaml")
    devices_option(parser)
    parser.add_argument("--batch", type=_positive, default=1, metavar="N", help="images in a batch (default: 1)")
    parser.add_argument("--dtype", help=f"{', '.join(ARITHMETIC)} (default: float32, or a model's own)")
    parser.add_argument("--training", action="store_true", help="forward and backward of the whole network, without the optimizer")
    parser.add_argument("--top", type=_positive, default=10, metavar="N", help="show the N layers that take the most (default: 10)")
    parser.add_argument("--full", action="store_true", help="show all layers, in their order")
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text", help="the form of the output")


def run(args: argparse.Namespace) -> int:
    more = load_files(args.devices)
    if args.device is None:
        complain("which device? write --device NAME, with one of these:")
        print(prose(f"  {', '.join({**shipped(), **more})}", DEFAULT_WIDTH, sys.stderr), file=sys.stderr)
        return 2
    device = find(args.device, more)
    graph = usable(compile_model(args, args.spec))
    if graph is None:
        return 2
    result = roofline(graph, device, args.batch, args.dtype or graph.dtype, args.training)
    if args.format == "json":
        print(json.dumps(result.to_dict(), indent=2))
    elif args.format == "csv":
        print(to_csv(_numbers(result)))
    else:
        table = _table(result, result.layers if args.full else result.dominating(args.top))
        print("\n".join([*map(prose, _header(result)), "", table_text(table), *map(prose, _summary(result))]))
    return 0


def _header(result: Roofline) -> list[str]:
    device = result.device
    lines = [
        result.title,
        f"{rate_text(device.peak(result.dtype), 'FLOP')}, {rate_text(device.bandwidth, 'B')}",
    ]
    return [printable(line) for line in lines]


def _table(result: Roofline, layers: list[LayerTime]) -> Table:
    columns = [
        Column("layer"),
        Column("kind", "text", 7),
        Column("FLOPs", "count", 5),
        Column("bytes", "bytes", 4),
        Column("FLOP/byte", "count", 3),
        Column("bound by", "text", 6),
        Column("least", "count"),
        Column("part", "count"),
    ]
    measured = result.forecast is not None
    table = Table([*columns, *([Column("forecast", "count")] if measured else [])])
    for layer in layers:
        table.rows.append(_row(layer.name, layer.kind, layer, result, measured))
    rest = [layer for layer in result.layers if layer not in layers]
    if rest:
        least = sum(layer.seconds for layer in rest)
        cells = [
            f"{counted(len(rest), 'other')}",
            "",
            short(sum(layer.flops for layer in rest)),
            sum(layer.bytes for layer in rest),
            "",
            "",
        ]
        forecast = sum(layer.forecast or 0.0 for layer in rest)
        table.rows.append([*cells, time_text(least), _part(least, result), *([time_text(forecast)] if measured else [])])
    totals = ["total", counted(len(result.layers), "layer"), short(result.flops), result.bytes, _intensity(result.flops, result.bytes), ""]
    table.totals.append([*totals, time_text(result.seconds), "", *([time_text(result.forecast or 0.0)] if measured else [])])
    return table


def _row(name: str, kind: str, layer: LayerTime, result: Roofline, measured: bool) -> list[object]:
    cells = [name, kind, short(layer.flops), layer.bytes, _intensity(layer.flops, layer.bytes), layer.bound]
    more = [time_text(layer.forecast or 0.0)] if measured else []
    return [*cells, time_text(layer.seconds), _part(layer.seconds, result), *more]


def _intensity(flops: int, moved: int) -> str:
    return f"{flops / moved:.3g}" if moved and flops < 1e6 * moved else ""


def _part(seconds: float, result: Roofline) -> str:
    return f"{100 * seconds / result.seconds:.1f}%" if result.seconds else ""


def _summary(result: Roofline) -> list[str]:
    """The totals in words."""
    ways = f": forward {time_text(result.forward)}, backward {time_text(result.backward)}" if result.training else ""
    lines = ["", f"least time   {time_text(result.seconds)} a step{ways}"]
    lines += [f"             at most {_rate(result.images_per_second)}"] if result.seconds else []
    lines += [f"bound by     {', '.join(_bounds(result))}", f"by kind      {_kinds(result)}"] if result.seconds else []
    lines.append("             a bound, layer by layer at full peak and bandwidth: no forecast")
    lines += _forecast(result)
    if result.forecast is None:
        lines.append("             (a forecast needs a device file from `archc calibrate` in this dtype)")
    lines += _fit(result.device, result)
    if result.incomplete:
        lines.append(f"incomplete   {counted(len(result.incomplete), 'layer')} without stated work, counted as none")
    return [printable(line) for line in lines]


def _bounds(result: Roofline) -> list[str]:
    """How much of the time is bound by what."""
    texts = []
    for bound in (COMPUTE, BANDWIDTH):
        layers = [layer for layer in result.layers if layer.bound == bound]
        part = sum(layer.seconds for layer in layers) / result.seconds
        texts.append(f"{bound} {part:.0%} ({counted(len(layers), 'layer')})")
    return texts


def _rate(images: float) -> str:
    return f"{images:,.0f} images/s" if images >= 100 else f"{images:.3g} images/s"


def _kinds(result: Roofline) -> str:
    """The kinds of layers that take the most."""
    sums: dict[str, float] = {}
    for layer in result.layers:
        sums[layer.kind] = sums.get(layer.kind, 0.0) + layer.seconds
    most = sorted(sums.items(), key=lambda pair: -pair[1])[:4]
    return ", ".join(f"{kind} {seconds / result.seconds:.0%}" for kind, seconds in most)


def _forecast(result: Roofline) -> list[str]:
    if result.forecast is None or result.device.calibration is None:
        return []
    line = f"forecast     {time_text(result.forecast)} a step, {_rate(result.batch / result.forecast)}"
    trials = [trial for trial in result.device.calibration.trials if trial.training == result.training]
    if not trials:
        return [line, "             its error is unknown: no network was measured"]
    errors = [abs(trial.error) for trial in trials]
    error_text = f"{sum(errors) / len(errors):.0%} on average, at most {max(errors):.0%}"
    names = ", ".join(f"{trial.network} {trial.error:+.0%}" for trial in trials)
    return [line, f"             off by {error_text}, on networks not fitted to:", f"             {names}"]


def _fit(device: Device, result: Roofline) -> list[str]:
    """A word where the weights alone do not fit."""
    owned = (
        sum(weight.values for node in result.graph.nodes if node.shared is None for weight in node.facts.owned) * ARITHMETIC[result.dtype]
    )
    if device.memory is None or owned <= device.memory:
        return []
    return [f"memory       the weights take {bytes_text(owned)}, the device has {bytes_text(device.memory)}"]


def _numbers(result: Roofline) -> Table:
    """A row a layer, as plain numbers; times in seconds."""
    keys = ("name", "kind", "flops", "bytes", "intensity", "bound", "least", "part", "forecast")
    rows = [[layer[key] for key in keys] for layer in result.to_dict()["layers"]]
    return Table([Column(key) for key in keys], rows)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:12]) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)
