"""A fuzzer: specs that are mutated in many ways, through all that needs no torch. By hand, `python -m tests.fuzz --count 100000 --seed 1`.

Each mutant is loaded and elaborated; what elaborates is analysed, resolved and read back, simulated, fitted and emitted as source. A
traceback, a step over its processor time and memory over its limit are findings: each is printed as it is found, with the mutant that
caused it, which is also kept in a file of a temporary folder. The exit status is 1 where there was one.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from archc.analysis.cost.report import analyze
from archc.analysis.memory.fit import Fitting
from archc.analysis.memory.timeline import Options, training
from archc.codegen.lowering import lower
from archc.elaborate.compiler import compile_text
from archc.graph.write_spec import resolve_text
from archc.text.diagnostics import draw_all
from tests.helpers.mutants import Mutator

SECONDS = 2.0  # of processor time, for a stage
MEBIBYTES = 300  # of the whole process, beyond what it begins with
STEPS = 2_000  # layers of a network that is simulated and emitted


class TooLong(BaseException):
    """No `except Exception` of a stage may hold it up."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Processor time for a stage."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


@dataclass(slots=True)
class Figures:
    """What a run of the fuzzer came to."""

    count: int = 0
    elaborated: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, tuple[float, str]] = field(default_factory=dict)
    findings: list[tuple[str, str, str]] = field(default_factory=list)  # stage, what, the mutant
    seconds: float = 0.0

    def lines(self) -> list[str]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        slow = ", ".join(f"{stage} {seconds:.2f} s" for stage, (seconds, _) in sorted(self.slowest.items()))
        return [
            f"{self.count:,} mutants, {self.elaborated:,} of them networks; {len(self.codes)} codes",
            f"{self.seconds:,.0f} s of processor time",
            f"slowest: {slow}; peak {peak} MiB of the process",
            f"{len(self.findings)} findings",
        ]


def survives(text: str, figures: Figures, most: float = SECONDS) -> None:
    """Puts a mutant through all stages, of which none may take longer than `most` seconds."""
    figures.count += 1
    stage = "elaborate"
    begin = start = time.process_time()
    try:
        with within(3 * most):
            for stage in _stages(text, figures):
                spent = time.process_time() - start
                if spent > figures.slowest.get(stage, (0.0, ""))[0]:
                    figures.slowest[stage] = spent, text
                if spent > most:
                    figures.findings.append((stage, f"{spent:.2f} s", text))
                start = time.process_time()
    except TooLong:
        figures.findings.append((f"after {stage}", f"more than {3 * most:g} s", text))
    except Exception:
        figures.findings.append((f"after {stage}", traceback.format_exc(limit=-4), text))
    figures.seconds += time.process_time() - begin


def _stages(text: str, figures: Figures) -> Iterator[str]:
    """The stages one after the other; each is named when it is over."""
    model = compile_text(text)
    yield "elaborate"
    figures.codes.update({one.code for one in model.diagnostics})
    for one in model.diagnostics:
        assert 0 <= one.span.start <= one.span.end <= len(one.span.source.text), one
    told = draw_all(model.diagnostics)
    assert "object at 0x" not in told and "<class" not in told and len(told) < 400_000, told[:2000]
    yield "draw"
    if model.graph is None or model.spec is None:
        assert model.diagnostics.failed
        return
    figures.elaborated += 1
    analyze(model.graph.deployed())
    yield "analyze"
    again = compile_text(resolve_text(model.graph, model.spec, {}))
    assert again.graph is not None, "reads back: " + draw_all(again.diagnostics)[:1500]
    mine, theirs = [[(node.name, node.kind) for node in graph.nodes] for graph in (model.graph, again.graph)]
    assert mine == theirs, f"reads back as another network: {mine[:5]} {theirs[:5]}"
    yield "resolve"
    if len(model.graph.nodes) > STEPS:
        return
    options = Options(batch=4)
    training(model.graph, options)
    yield "memory"
    Fitting(model.graph).largest(options, 2**26)
    yield "fit"
    compile(lower(model.graph).source.text, "<module>", "exec")
    yield "source"


def fuzz(count: int, seed: int, most: float = SECONDS, report: Callable[[Figures], None] | None = None) -> Figures:
    """So many mutants of one seed, each stage of each in `most` seconds; after each mutant a `report`, if there is one."""
    mutator, figures = Mutator(seed), Figures()
    for _ in range(count):
        survives(mutator.mutant(), figures, most)
        if report is not None:
            report(figures)
    return figures


class Report:
    """Findings as soon as they are found, each mutant in a file of `folder`, and from time to time how far it is."""

    def __init__(self, folder: Path, every: int = 1_000) -> None:
        self.folder, self.every, self.shown = folder, every, 0

    def __call__(self, figures: Figures) -> None:
        for stage, what, text in figures.findings[self.shown :]:
            self.shown += 1
            path = self.folder / f"finding{self.shown}.yaml"
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            shown = text.encode("utf-8", "backslashreplace").decode()
            print(f"\n=== {stage}: {what}\n{path}\n{shown}", flush=True)
        if figures.count % self.every == 0:
            print("\n".join(figures.lines()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + MEBIBYTES
    resource.setrlimit(resource.RLIMIT_DATA, (held * 2**20, held * 2**20))
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    figures = fuzz(args.count, args.seed, report=Report(folder))
    print("\n".join(figures.lines()))
    if not figures.findings:
        folder.rmdir()
    return 1 if figures.findings else 0


if __name__ == "__main__":
    sys.exit(main())
