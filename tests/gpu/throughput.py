"""Images a second, and how much of the device that is: `python -m tests.gpu.throughput --nets resnet50 --batch 256 --out figures.json`.

What archc builds beside the same network by torchvision, or by hand where that is not installed, in turns within one run.
Without a GPU, `--device cpu --quick` shows that it works.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

import archc
from archc.graph import Graph
from archc.text.table import Column, Table, to_terminal
from tests.benchmarks.hand_written import NETS
from tests.benchmarks.measuring import Timing, compare

from .peaks import Peak, peaks, use_tf32


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to run a network. `peak` names the numbers that the device multiplies."""

    peak: str
    dtype: str = "float32"
    autocast: str = ""
    channels_last: bool = False
    compiled: bool = False
    optimize: str = ""  # of archc's module alone: the other runs as it is

    @property
    def tasks(self) -> tuple[str, ...]:
        return ("inference",) if self.optimize or self.dtype != "float32" else ("inference", "training")

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


MODES = {
    "f32": Mode("float32"),
    "tf32": Mode("tf32"),
    "autocast": Mode("bfloat16", autocast="bfloat16", channels_last=True),
    "compiled": Mode("bfloat16", autocast="bfloat16", channels_last=True, compiled=True),
    "bf16": Mode("bfloat16", "bfloat16", channels_last=True),
    "optimized-tf32": Mode("tf32", channels_last=True, optimize="inference"),
    "optimized-bf16": Mode("bfloat16", "bfloat16", channels_last=True, optimize="inference"),
    "optimized-compiled": Mode("bfloat16", "bfloat16", channels_last=True, compiled=True, optimize="inference"),
}


@dataclass(slots=True)
class Row:
    """One network in one way. `fraction` of the peak; `ratio` of the time to that of the other one; `difference` of their outputs,
    relative to the largest; `problem` in place of figures."""

    net: str
    task: str
    mode: str
    who: str
    images_per_second: float | None = None
    low: float | None = None
    high: float | None = None
    tflops: float | None = None
    fraction: float | None = None
    ratio: float | None = None
    difference: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    device: torch.device
    batch: int
    side: int
    rounds: int
    warm: int
    at_least: float
    backend: str

    def sync(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def other_of(net: str) -> str:
    return "torchvision" if find_spec("torchvision") and net != "vit_small" else "by hand"


def by_others(net: str, side: int) -> nn.Module:
    """The network by torchvision, or by hand. Their weights come later."""
    if other_of(net) == "torchvision":
        options = {"image_size": side} if net == "vit_b16" else {}
        name = {"vit_b16": "vit_b_16"}.get(net, net)
        made: nn.Module = getattr(import_module("torchvision.models"), name)(**options)
        return made
    return NETS[net].make(side)


def modules(net: str, graph: Graph, mode: Mode, setting: Setting) -> dict[str, nn.Module]:
    """Both, with the same weights; ours after its passes, where the mode has any."""
    torch.manual_seed(0)
    plain = archc.build(graph)
    theirs = by_others(net, setting.side)
    theirs.load_state_dict(plain.state_dict(), strict=True)
    if mode.optimize:
        torch.manual_seed(0)
        plain = archc.build(graph, optimize=mode.optimize)
    dtype = getattr(torch, mode.dtype)
    return {name: _placed(module, dtype, mode, setting) for name, module in ((other_of(net), theirs), ("archc", plain))}


def _placed(module: Any, dtype: torch.dtype, mode: Mode, setting: Setting) -> nn.Module:
    placed: nn.Module = module.to(setting.device, dtype).to(memory_format=mode.layout)
    return placed


def images(mode: Mode, setting: Setting) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(setting.batch, 3, setting.side, setting.side, generator=generator)
    return x.to(setting.device, getattr(torch, mode.dtype)).to(memory_format=mode.layout)


def step_of(module: nn.Module, task: str, mode: Mode, setting: Setting, x: torch.Tensor) -> Callable[[], Any]:
    """One forward pass, or one step of training: forward, loss, backward, SGD with momentum."""
    run = torch.compile(module, backend=setting.backend) if mode.compiled else module
    number = getattr(torch, mode.autocast) if mode.autocast else None

    def context() -> Any:
        return torch.autocast(setting.device.type, dtype=number) if number else nullcontext()

    def inference() -> Any:
        with torch.no_grad(), context():
            return run(x)

    if task == "inference":
        module.eval()
        return inference
    module.train()
    labels = torch.arange(setting.batch, device=setting.device)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9)

    def training() -> Any:
        optimizer.zero_grad()
        with context():
            loss = nn.functional.cross_entropy(run(x), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return training


def difference(both: dict[str, nn.Module], x: torch.Tensor) -> float:
    """The greatest difference of the outputs in eval mode, before any is compiled, over the greatest output."""
    with torch.no_grad():
        theirs, ours = (module.eval()(x).double() for module in both.values())
    return float((ours - theirs).abs().max() / theirs.abs().max())


def measured(net: str, task: str, name: str, setting: Setting, peak: dict[str, Peak]) -> list[Row]:
    """The rows of one network in one mode. A mode that the device cannot run is a problem of its rows, not the end."""
    mode = MODES[name]
    rows = {who: Row(net, task, name, who) for who in (other_of(net), "archc")}
    graph = archc.load(NETS[net].spec, input=[3, setting.side, setting.side], **NETS[net].params)
    use_tf32(mode.peak == "tf32")
    try:
        both = modules(net, graph, mode, setting)
        x = images(mode, setting)
        apart = difference(both, x)
        calls = {who: step_of(module, task, mode, setting, x) for who, module in both.items()}
        timings = compare(calls, setting.rounds, warm=setting.warm, at_least=setting.at_least, sync=setting.sync)
    except RuntimeError as error:  # out of memory, or no compiler
        for row in rows.values():
            row.problem = " ".join(str(error).split())[:200]
        return list(rows.values())
    macs = archc.analyze(graph).macs
    for who, row in rows.items():
        _fill(row, timings[who], macs, setting.batch, peak[mode.peak].tflops)
    rows["archc"].difference = apart
    return list(rows.values())


def _fill(row: Row, timing: Timing, macs: Any, batch: int, peak: float) -> None:
    """Operations are two for each multiply-accumulate, and thrice that in training: forward, gradients of values and of weights."""
    time = timing.time
    row.images_per_second, row.low, row.high = batch / time.median, batch / time.high, batch / time.low
    row.tflops = row.images_per_second * 2 * int(macs) * (3 if row.task == "training" else 1) / 1e12
    row.fraction = row.tflops / peak
    row.ratio = timing.ratio.median


def all_rows(nets: list[str], modes: list[str], setting: Setting, peak: dict[str, Peak]) -> Iterator[Row]:
    for net in nets:
        for name in modes:
            for task in MODES[name].tasks:
                yield from measured(net, task, name, setting, peak)
                if setting.device.type == "cuda":
                    torch.cuda.empty_cache()
                if MODES[name].compiled:
                    torch.compiler.reset()


def drawn(rows: list[Row], notes: list[str]) -> str:
    titles = ["network", "task", "mode", "by", "images/s", "of rounds", "TFLOP/s", "of peak", "time to other's", "difference"]
    cells = []
    for row in rows:
        if row.images_per_second is None:
            cells.append([row.net, row.task, row.mode, row.who, row.problem[:60], *[""] * 5])
            continue
        figures = [f"{row.images_per_second:,.1f}", f"{row.low:,.1f}-{row.high:,.1f}", f"{row.tflops:.3g}", f"{row.fraction:.1%}"]
        compared = [f"{row.ratio:.3f}", f"{row.difference:.1e}"] if row.who == "archc" else ["", ""]
        cells.append([row.net, row.task, row.mode, row.who, *figures, *compared])
    return to_terminal(Table([Column(title) for title in titles], cells, notes=notes), None)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu.throughput", description="Images a second, and how much of the device that is."
    )
    parser.add_argument(
        "--nets", nargs="+", choices=list(NETS), default=["resnet50", "densenet121", "mobilenet_v2", "vit_b16"], metavar="NET"
    )
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES), metavar="MODE", help=", ".join(MODES))
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--side", type=int, default=224, help="height and width of an image")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--peak", nargs="+", default=[], metavar="TFLOPS", help="989, or bfloat16=989 tf32=494 float32=67")
    parser.add_argument("--quick", action="store_true", help="two images of 64x64, two rounds, no code generated: shows that it works")
    parser.add_argument("--out", type=Path, help="a file for the figures as JSON")
    return parser


def main(words: list[str] | None = None) -> int:
    parser = arguments()
    asked = parser.parse_args(words)
    device = torch.device(asked.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch sees no GPU; --device cpu --quick shows that the script works")
    quick = Setting(device, 2, 64, 2, 1, 0.0, "eager")
    setting = quick if asked.quick else Setting(device, asked.batch, asked.side, asked.rounds, 3, 0.3, "inductor")
    torch.backends.cudnn.benchmark = True
    try:
        peak = peaks(device, asked.peak, setting.sync, 256 if asked.quick else 8192)
    except ValueError as error:
        parser.error(str(error))
    rows = list(all_rows(asked.nets, asked.modes, setting, peak))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    head = f"{name}, PyTorch {torch.__version__}, batch {setting.batch} at {setting.side}x{setting.side}, {setting.rounds} rounds"
    print(drawn(rows, [head, *(f"peak in {number}: {one.tflops:.3g} TFLOP/s ({one.by})" for number, one in peak.items())]))
    if asked.out:
        figures = {"device": name, "torch": torch.__version__, "batch": setting.batch, "side": setting.side}
        found = {**figures, "peaks": {k: asdict(v) for k, v in peak.items()}, "rows": [asdict(row) for row in rows]}
        asked.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
