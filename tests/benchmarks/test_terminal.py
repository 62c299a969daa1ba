"""What the forms of `archc analyze vgg16` cost, as ratios of process time in one run. By hand:

pytest tests/benchmarks/test_terminal.py -o addopts= --benchmark-only -s
ARCHC_BEFORE=REVISION pytest …      compares with a revision of this repository, too
"""

from __future__ import annotations

import io
import os
import pty
import resource
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

ROOT = Path(__file__).parent.parent.parent
FORMS = {"json": 1.1, "csv": 1.1, "markdown": 1.1, "table": 1.5}  # the most that a form may cost, in process time before
ROUNDS = 15


def process_time(root: Path, form: str) -> float:
    """Seconds of CPU of one process; the table is drawn for a terminal, in color."""
    command = [sys.executable, "-m", "archc", "analyze", "vgg16", "--format", form]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with terminal(form == "table") as out:
        environment = {**os.environ, "PYTHONPATH": str(root), "TERM": "xterm-256color", "COLUMNS": "160"}
        subprocess.run(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=out, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class terminal:
    """A terminal that a process writes to, or a pipe that nothing reads."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted

    def __enter__(self) -> int:
        self.ends = pty.openpty() if self.wanted else (os.open(os.devnull, os.O_WRONLY),) * 2
        if self.wanted and (reader := os.fork()) == 0:
            os.close(self.ends[1])
            try:
                while os.read(self.ends[0], 65536):
                    pass
            finally:
                os._exit(0)
        self.reader = reader if self.wanted else 0
        return self.ends[1]

    def __exit__(self, *_: object) -> None:
        for end in set(self.ends):
            os.close(end)
        if self.reader:
            os.waitpid(self.reader, 0)


@pytest.fixture
def revision(tmp_path: Path) -> Iterator[Path | None]:
    """The repository as it was, if ARCHC_BEFORE names a revision."""
    named = os.environ.get("ARCHC_BEFORE")
    if named is None:
        yield None
        return
    packed = subprocess.run(["git", "archive", named], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        files.extractall(tmp_path, filter="data")
    yield tmp_path


def test_forms(benchmark: BenchmarkFixture, revision: Path | None) -> None:
    """Medians over alternating runs; the ratios to JSON, and to the revision before, are printed and kept with the benchmark."""
    roots = {"now": ROOT} | ({"before": revision} if revision is not None else {})
    for root in roots.values():
        subprocess.run([sys.executable, "-m", "compileall", "-q", root / "archc"], check=True)
    taken: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for form in FORMS:
            for name, root in roots.items():
                taken.setdefault((name, form), []).append(process_time(root, form))
    typical = {key: median(times) for key, times in taken.items()}
    ratios = {f"{form} to json": typical["now", form] / typical["now", "json"] for form in FORMS}
    if revision is not None:
        ratios |= {f"{form} to before": typical["now", form] / typical["before", form] for form in FORMS}
    benchmark.extra_info.update(ratios)
    print("\n" + "\n".join(f"{name:18} {ratio:.2f}" for name, ratio in ratios.items()))
    for form, most in FORMS.items():
        ratio = ratios.get(f"{form} to before", ratios[f"{form} to json"])
        assert ratio <= most, f"{form}: {ratio:.2f}"
    benchmark.pedantic(process_time, args=(ROOT, "json"), rounds=3)
