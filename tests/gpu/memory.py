"""Predicted and measured memory of training: `python -m tests.gpu.memory` trains each network for three steps, in float32 and under
autocast to bfloat16, plain and with normalizations that run again, and prints a table in Markdown.

`python -m tests.gpu.memory --largest 8GiB` tries the largest batch that is predicted, and 5% more.
Without a GPU, `--device cpu --quick` shows that it works; there the profiler measures, and the limit is compared with.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

import torch

from archc.analysis.memory.fit import Fitting
from archc.cli.memory_command import positive
from archc.text.quantity import bytes_text, read_size
from archc.text.table import Column, Table, to_markdown

from .memory_cases import STEPS, Bytes, Case, Loop, clean, measured, predicted

NETS: dict[str, tuple[int, int, int]] = {  # images, side of an image, side with --quick
    "resnet50": (64, 224, 64),
    "resnet152": (32, 224, 32),
    "densenet121": (64, 224, 64),
    "vgg16": (64, 224, 32),
    "mobilenet_v2": (96, 224, 64),
    "efficientnet_b0": (64, 224, 64),
    "vit_b16": (64, 224, 32),
    "inception_v3": (64, 299, 107),
    "googlenet": (128, 224, 64),
    "unet": (4, 572, 188),
}
NUMBERS = {"f32": "", "bf16": "bfloat16"}
PLANS = ("", "norms")
MORE = 1.05  # of the largest batch: does not fit


@dataclass(frozen=True, slots=True)
class Row:
    case: Case
    predicted: Bytes
    measured: Bytes
    problem: str = ""

    def differences(self) -> dict[str, float]:
        """Of what was measured, where it was. Workspaces are in what the allocator gives: they are added as they were measured."""
        space = self.measured.workspace
        pairs = {
            "tensors": (self.predicted.tensors, self.measured.tensors),
            "allocated": (self.predicted.allocated + space, self.measured.allocated),
            "reserved": (self.predicted.reserved + space, self.measured.reserved),
        }
        return {name: predicted / found - 1 for name, (predicted, found) in pairs.items() if found}


def row(case: Case) -> Row:
    try:
        return Row(case, predicted(case), measured(case))
    except torch.OutOfMemoryError as error:
        return Row(case, predicted(case), Bytes(0), " ".join(str(error).split())[:60])


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest batch that is predicted for a limit, and a batch 5% larger; whether they ran."""

    case: Case
    limit: int
    more: int
    ran: bool
    more_ran: bool


def largest(case: Case, limit: int) -> Largest:
    graph = case.graph()
    batch = Fitting(graph, plan=case.regions(graph)).largest(case.options(), limit)
    if not batch:
        raise ValueError(f"not one image of {case.net} fits {bytes_text(limit)}")
    found = replace(case, batch=batch)
    more = max(batch + 1, math.ceil(MORE * batch))
    return Largest(found, limit, more, runs(found, limit), runs(replace(case, batch=more), limit))


def runs(case: Case, limit: int) -> bool:
    """Whether three steps run within so many bytes. On the CPU, which has no such limit, the peak is compared with it."""
    if case.device == "cpu":
        return measured(case).tensors <= limit
    with limited(limit):
        try:
            loop = Loop(case)
            for _ in range(STEPS):
                loop.step()
            torch.cuda.synchronize()
        except torch.OutOfMemoryError:
            return False
        return True


@contextmanager
def limited(limit: int) -> Iterator[None]:
    """Lets the allocator of this process have so many bytes."""
    clean()
    torch.cuda.set_per_process_memory_fraction(limit / torch.cuda.get_device_properties(0).total_memory)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        clean()


def table(rows: list[Row]) -> str:
    columns = ["network", "images", "numbers", "runs again", "optimizer", "workspaces"]
    for name in ("tensors", "allocated", "reserved"):
        columns += [name, "measured", "difference"]
    drawn = Table([Column(title) for title in columns])
    for one in rows:
        case = one.case
        cells = [case.net, str(case.batch), case.amp or "float32", case.plan or "nothing", case.optimizer]
        cells.append(bytes_text(one.measured.workspace))
        differences = one.differences()
        for name in ("tensors", "allocated", "reserved"):
            told = one.problem if name == "tensors" else ""
            pair = [bytes_text(getattr(one.measured, name)), f"{differences[name]:+.2%}"] if name in differences else [told, ""]
            cells += [bytes_text(getattr(one.predicted, name)) if getattr(one.predicted, name) else "", *pair]
        drawn.rows.append(cells)
    return to_markdown(drawn)


def largest_table(rows: list[Largest]) -> str:
    words = {True: "runs", False: "out of memory"}
    drawn = Table([Column(title) for title in ("network", "numbers", "limit", "largest batch", "it", "5% more", "that")])
    for one in rows:
        numbers = one.case.amp or "float32"
        drawn.rows.append(
            [one.case.net, numbers, bytes_text(one.limit), str(one.case.batch), words[one.ran], str(one.more), words[one.more_ran]]
        )
    return to_markdown(drawn)


def cases(asked: argparse.Namespace) -> Iterator[Case]:
    for net in asked.nets:
        batch, side, small = NETS[net]
        for numbers in asked.numbers:
            for plan in asked.plans:
                images = asked.batch or (2 if asked.quick else batch)
                yield Case(
                    net, images, small if asked.quick else side, NUMBERS[numbers], plan.replace("none", ""), asked.optimizer, asked.device
                )


def limit(text: str) -> int:
    size = read_size(text)
    if size is None:
        raise argparse.ArgumentTypeError(f"{text} is no size: write it as 8GiB")
    return size


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.memory", description="Predicted and measured memory of training.")
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS), metavar="NET")
    parser.add_argument("--numbers", nargs="+", choices=list(NUMBERS), default=list(NUMBERS), metavar="MODE", help=", ".join(NUMBERS))
    parser.add_argument("--plans", nargs="+", choices=("none", "norms", "blocks"), default=["none", "norms"], metavar="PLAN")
    parser.add_argument("--optimizer", choices=("momentum", "adamw"), default="adamw")
    parser.add_argument("--batch", type=positive, help="images, in the place of each network's own number")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="two small images: shows that it works")
    parser.add_argument("--largest", type=limit, metavar="8GiB", help="the largest batch for a limit, in the place of peaks")
    return parser


def main(words: list[str] | None = None) -> int:
    parser = arguments()
    asked = parser.parse_args(words)
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch sees no GPU; --device cpu --quick shows that the script works")
    if asked.device == "cpu":
        torch.set_num_threads(1)
    name = torch.cuda.get_device_name(0) if asked.device == "cuda" else "cpu"
    head = f"{name}, PyTorch {torch.__version__}, {date.today().isoformat()}"
    found = list(cases(asked))
    body = largest_table([largest(one, asked.largest) for one in found]) if asked.largest else table([row(one) for one in found])
    print(f"{head}\n\n{body}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
