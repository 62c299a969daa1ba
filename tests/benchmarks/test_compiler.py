"""What archc builds against what a person writes: time to build, to run, to train; and what optimizing is worth.

By hand: `pytest tests/benchmarks -o addopts= --benchmark-only`, or all tables with `python -m tests.benchmarks.test_compiler`.
Figures of an idle machine alone say something: the load is printed with them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import archc
from archc.codegen.lowering import lower
from archc.graph import Graph
from archc.runtime.build.module import class_of
from archc.text.table import Column, Table, to_terminal

from .hand_written import NETS
from .measuring import Timing, compare, conditions, threads
from .merging import GOOGLENET, Apart, Merged, Size

SIDE, BATCH, ROUNDS = 64, 8, 7
RUN = ("resnet18", "resnet50", "mobilenet_v2", "densenet121", "vit_small")
BUILT = ("resnet50", "densenet121", "vgg16")
OPTIMIZED = ("resnet18", "resnet50", "mobilenet_v2")
IMAGES = ((1, 224), (8, 64))  # batch, side
NUMBERS: dict[str, dict[str, Any]] = {"float32": {}, "bf16 weights": dict(dtype="bfloat16"), "bf16 autocast": dict(autocast="bfloat16")}
Compared = Callable[..., dict[Any, Timing]]
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def graph_of(name: str, side: int = SIDE) -> Graph:
    return archc.load(NETS[name].spec, input=[3, side, side], **NETS[name].params)


def pair(name: str, side: int = SIDE) -> tuple[Any, Any]:
    """(by hand, ours) with the same weights; statistics are those of no start, and no bias is zero throughout."""
    torch.manual_seed(0)
    theirs, ours = NETS[name].make(side), archc.build(graph_of(name, side), device="meta")
    with torch.no_grad():
        for key, value in theirs.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif value.is_floating_point() and (value.dim() == 1 or key.endswith(("token", "embedding"))):
                value.add_(0.3 * torch.randn_like(value))
    ours.load_state_dict({key: value.clone() for key, value in theirs.state_dict().items()}, strict=True, assign=True)
    return theirs, ours


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    with threads(1):
        yield


@pytest.mark.parametrize("name", [name for name in NETS if name != "vit_b16"])
def test_the_networks_by_hand_are_those_of_the_specs(name: str) -> None:
    """The weights fit strictly, and the outputs are equal bit by bit."""
    theirs, ours = pair(name)
    x = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        expected, found = theirs.eval()(x.clone()), ours.eval()(x.clone())
    assert expected.std() > 1e-3
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", GOOGLENET)
def test_merged_siblings_compute_what_they_computed_apart(name: str) -> None:
    torch.manual_seed(0)
    apart = Apart(GOOGLENET[name]).double()
    x = torch.randn(2, GOOGLENET[name].inputs, 7, 7, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(Merged(GOOGLENET[name], apart).double()(x), apart(x))


def milliseconds(timing: Timing) -> str:
    return f"{timing.time.median * 1e3:,.1f}"


def table(title: str, columns: list[str], rows: list[list[str]], notes: list[str]) -> Table:
    head = f"{title}; {conditions()}"
    return Table([Column(one) for one in columns], rows, notes=[head, *notes])


def build_times(compared: Compared) -> Table:
    """From the name of a spec to a module, and each step on its way, beside the constructor of the module by hand."""
    rows = []
    for name in BUILT:
        for device in ("meta", "cpu"):
            fewer = partial(compared, rounds=3) if name == "vgg16" and device == "cpu" else compared  # seconds for one
            rows.append([name, device, *_built(name, device, fewer)])
    columns = ["network", "device", "by hand, ms", "archc, ms", "ratio", "load", "plan+emit", "exec", "construct", "all but that"]
    return table("a. build", columns, rows, ["archc.build(name), in a process that has built before; its source is forgotten each time"])


def _built(name: str, device: str, compared: Compared) -> list[str]:
    graph = archc.load(name)
    source = lower(graph).source
    kind = class_of(source.text, source.name)

    def fresh() -> Any:
        forget_sources()
        return class_of(source.text, source.name)

    def up_to_the_class() -> Any:
        forget_sources()
        made = lower(archc.load(name)).source
        return class_of(made.text, made.name)

    def build() -> Any:
        forget_sources()
        return archc.build(name, device=device)

    def on_device(make: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            with torch.device(device):
                return make()

        return run

    steps = {"load": lambda: archc.load(name), "plan": lambda: lower(graph), "exec": fresh, "construct": on_device(kind)}
    by_hand = on_device(lambda: NETS[name].make(224))
    timings = compared({"by hand": by_hand, "build": build, **steps, "all but": up_to_the_class}, warm=1)
    told = [milliseconds(timings[step]) for step in (*steps, "all but")]
    return [milliseconds(timings["by hand"]), milliseconds(timings["build"]), str(timings["build"].ratio), *told]


def forget_sources() -> None:
    """A source is compiled once in a process: the next build compiles it again."""
    for name in [one for one in sys.modules if one.startswith("archc_")]:
        del sys.modules[name]


def run_times(compared: Compared) -> Table:
    """Forward passes and training steps; a training step is forward, loss, backward and SGD with momentum."""
    rows = []
    for name in RUN:
        for kind, make in (("forward", forward), ("training step", training_step)):
            theirs, ours = pair(name)
            timings = compared({"theirs": make(theirs), "ours": make(ours)})
            times = [milliseconds(timings[one]) for one in ("theirs", "ours")]
            rows.append([name, kind, *times, str(timings["ours"].ratio)])
    columns = ["network", "what", "by hand, ms", "archc, ms", "ratio"]
    return table("b, c. eager runs", columns, rows, [f"batch {BATCH} at {SIDE}x{SIDE}, float32"])


def forward(module: Any, batch: int = BATCH, side: int = SIDE, dtype: Any = None, layout: Any = torch.contiguous_format) -> Any:
    module.eval()
    x = images(batch, side).to(dtype=dtype, memory_format=layout)

    def run() -> Any:
        with torch.no_grad():
            return module(x)

    return run


def training_step(module: Any) -> Callable[[], Any]:
    module.train()
    x, labels = images(BATCH, SIDE), torch.arange(BATCH)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9)

    def run() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return run


def images(batch: int, side: int) -> Any:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


def gains(compared: Compared) -> Table:
    """What `optimize="inference"`, a dtype and an order of memory are worth: times over those of plain float32."""
    rows = []
    for name in OPTIMIZED:
        for batch, side in IMAGES:
            timings = compared(_variants(name, batch, side))
            base = milliseconds(timings["float32", "contiguous", ""])
            for number in NUMBERS:
                for layout in LAYOUTS:
                    ratios = [str(timings[number, layout, passes].ratio) for passes in ("", "inference")]
                    rows.append([name, f"{batch} at {side}", base, number, layout, *ratios])
    columns = ["network", "batch", "plain, ms", "numbers", "layout", "as it is", "inference"]
    return table("d. optimize", columns, rows, ["ratios to the plain network in contiguous float32: less is faster"])


def _variants(name: str, batch: int, side: int) -> Any:
    """The plain one first."""
    graph, calls = graph_of(name, side), {}
    for number, options in NUMBERS.items():
        for layout, order in LAYOUTS.items():
            for passes in ("", "inference"):
                torch.manual_seed(0)
                module = archc.build(graph, optimize=passes, memory_format=layout, **options)
                dtype = torch.bfloat16 if "dtype" in options else torch.float32
                calls[number, layout, passes] = forward(module, batch, side, dtype, order)
    return calls


def merged_siblings(compared: Compared) -> Table:
    """Whether a pass that merges convolutions of one input would gain: time merged over time apart."""
    rows = []
    for name, size in GOOGLENET.items():
        for batch in (1, 8):
            for layout in LAYOUTS:
                cells = [
                    str(_merged(size, batch, layout, dtype, whole, compared))
                    for dtype in ("float32", "bfloat16")
                    for whole in (False, True)
                ]
                rows.append([name, str(batch), layout, *cells])
    columns = ["block", "batch", "layout", "f32 siblings", "f32 block", "bf16 siblings", "bf16 block"]
    return table("e. siblings merged", columns, rows, ["GoogLeNet's blocks, normalization folded; ratios to the convolutions apart"])


def _merged(size: Size, batch: int, layout: str, dtype: str, whole: bool, compared: Compared) -> Any:
    order, number = LAYOUTS[layout], getattr(torch, dtype)
    apart: Any = Apart(size, whole)
    merged: Any = Merged(size, apart)
    x = torch.randn(batch, size.inputs, size.side, size.side).to(number, memory_format=order)
    modules = {"apart": apart.to(number, memory_format=order), "merged": merged.to(number, memory_format=order)}

    def call(module: Any) -> Callable[[], Any]:
        def run() -> Any:
            with torch.no_grad():
                return module(x)

        return run

    return compared({name: call(module) for name, module in modules.items()}, at_least=0.01)["merged"].ratio


PARTS = {"build": build_times, "run": run_times, "optimize": gains, "merge": merged_siblings}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", PARTS)
def test_part(benchmark: Any, part: str) -> None:
    made = benchmark.pedantic(PARTS[part], args=(partial(compare, rounds=ROUNDS),), rounds=1)
    benchmark.extra_info["columns"] = [column.title for column in made.columns]
    benchmark.extra_info["rows"] = made.rows
    print(f"\n{to_terminal(made, None)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Tables of what archc builds against what a person writes.")
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS], help="all, unless named")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's time alone, for a machine that others use too")
    asked = parser.parse_args()
    compared = partial(compare, rounds=asked.rounds, clock=time.process_time if asked.cpu_time else time.perf_counter)
    print("Medians over rounds; in brackets where the median lies with a confidence of 95% and more from 6 rounds on.\n")
    with threads(asked.threads):
        for part in asked.parts:
            print(to_terminal(PARTS[part](compared), None), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
