"""The public API as a type checker sees it: real types, nothing of type Any."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import archc

SCRIPT = """
from typing import assert_type

from torch import nn
from torch.optim import Optimizer

import archc

net = archc.load("vgg16", input=(3, 64, 64), classes=10)
assert_type(net, archc.Graph)
assert_type(archc.loads("input: [3, 8, 8]\\nlayers: [relu]\\n"), archc.Graph)
module = nn.Linear(4, 2)
graph = archc.capture(module, (4,), name="mine", leaves=["nn.GRU"])
assert_type(graph, archc.Graph)
assert_type(archc.analyze(module, input=4).parameters, int)
assert_type(archc.diff(module, "lenet5", input="4"), archc.Difference)
report = archc.analyze(net, batch=2, optimizer="adam")
assert_type(report, archc.Report)
assert_type(report.parameters, int)
assert_type(report["fc"].output_shape, archc.Shape)
timeline = archc.memory(net, batch=4)
assert_type(timeline, archc.Timeline)
assert_type(timeline.peak_bytes, int)
assert_type(timeline.by_kind(), dict[str, int])
planned = archc.checkpoint(net, memory="1GiB", batch=4)
assert_type(planned, archc.Planned)
assert_type(planned.plan, archc.CheckpointPlan)
bound = archc.roofline(net, device="a100")
assert_type(bound, archc.Roofline)
assert_type(archc.render(net), archc.Picture)
assert_type(archc.render(net).svg, str)
assert_type(archc.report(net), str)
assert_type(archc.source(net), str)
assert_type(archc.build(net, device="cpu"), nn.Module)
assert_type(archc.optimizer(nn.Linear(1, 1), "sgd", lr=0.1), Optimizer)
found = archc.diff("resnet18", net)
assert_type(found, archc.Difference)
assert_type(found.structural, bool)
for one in archc.check(net):
    assert_type(one.message, str)
outcome = archc.train("lenet5", epochs=1)
assert_type(outcome, archc.Outcome)
assert_type(outcome.metrics, dict[str, float])
assert_type(archc.__version__, str)
try:
    archc.load("nothing")
except archc.SpecError as error:
    assert_type(str(error), str)
except (archc.CaptureError, archc.DataError, archc.DeviceError, archc.DrawError) as wrong:
    caught: archc.ArchcError = wrong
except (archc.PlaceError, archc.TrainError, archc.WeightsError) as wrong:
    caught = wrong
except archc.ArgumentError as bad:
    value_error: ValueError = bad
"""


@pytest.mark.heavy
def test_the_api_has_real_types(tmp_path: Path) -> None:
    """`mypy --strict --disallow-any-expr` on a script that calls all of it; keyword overrides alone are Any."""
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(SCRIPT)
    words = [sys.executable, "-m", "mypy", "--strict", "--disallow-any-expr", "--follow-imports=silent", "script.py"]
    paths = {"MYPYPATH": str(Path(archc.__file__).parent.parent)}
    done = subprocess.run(words, cwd=tmp_path, env={**os.environ, **paths}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    used = {name for name in archc.__all__ if f"archc.{name}" in SCRIPT}
    assert used >= set(archc.__all__) - {"Device", "SpecWarning"}, "the script uses the whole API"


def test_what_is_listed_is_there_and_all() -> None:
    assert dir(archc) == sorted(archc.__all__)
    assert archc.__all__ == list(dict.fromkeys(archc.__all__))
    for name in archc.__all__:
        assert getattr(archc, name) is not None


def test_a_type_checker_reads_the_package() -> None:
    assert (Path(archc.__file__).parent / "py.typed").exists()
