"""Every function of archc that takes a spec takes a PyTorch module, too."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

import archc
from archc.errors import UsageError
from archc.graph import Graph

SHAPE = (3, 8, 8)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


class Rolled(Net):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x.rot90(2, (2, 3)))


class Broken(Net):
    def forward(self, x: Tensor) -> Any:
        return self.fc(self.conv(x).no_such_thing)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "analyze": lambda net, **given: archc.analyze(net, **given).to_dict(),
    "memory": lambda net, **given: archc.memory(net, batch=2, optimizer="adam", **given).to_dict(),
    "checkpoint": lambda net, **given: archc.checkpoint(net, memory="1GiB", batch=2, **given).after.peak_bytes,
    "roofline": lambda net, **given: archc.roofline(net, device="a100-40gb", **given).to_dict(),
    "diff": lambda net, **given: len(archc.diff(net, "lenet5", **given).changes),
    "report": lambda net, **given: archc.report(net, "lenet5", **given),
    "render": lambda net, **given: archc.render(net, style="volumes", **given).svg,
    "check": lambda net, **given: archc.check(net, **given),
}
WITH_CODE: dict[str, Callable[..., Any]] = {
    "source": lambda net, **given: archc.source(net, **given),
    "build": lambda net, **given: list(archc.build(net, device="meta", **given).state_dict()),
}


@pytest.mark.parametrize("name", FUNCTIONS | WITH_CODE)
def test_a_module_is_as_its_graph(name: str) -> None:
    function = (FUNCTIONS | WITH_CODE)[name]
    module = Net()
    assert function(module, input=SHAPE) == function(archc.capture(module, SHAPE))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "checkpoint"])
def test_with_opaque_layers_all_but_code(name: str) -> None:
    assert FUNCTIONS[name](Rolled(), input=SHAPE) is not None


def test_no_plan_where_it_is_not_known_what_is_kept() -> None:
    with pytest.raises(archc.ArgumentError, match=r"rot90 \(opaque\) does not state what backward keeps"):
        FUNCTIONS["checkpoint"](Rolled(), input=SHAPE)


@pytest.mark.parametrize("name", WITH_CODE)
def test_code_is_refused_at_the_opaque_layer(name: str) -> None:
    with pytest.raises(archc.ArgumentError, match=r"rot90 is opaque, so Rolled cannot be built: rot90 at .*test_python\.py:\d+ \("):
        WITH_CODE[name](Rolled(), input=SHAPE)


def test_what_is_built_is_the_module() -> None:
    module = Net().eval()
    built = archc.build(module, input=SHAPE).eval()
    built.load_state_dict(module.state_dict())
    image = torch.randn(2, *SHAPE)
    assert torch.equal(built(image), module(image))


def test_the_input_of_a_comparison_is_the_modules() -> None:
    found = archc.diff(Net(), "lenet5", input=SHAPE)
    inputs = [value.shape for report in (found.old, found.new) for value in report.graph.inputs.values()]
    assert inputs == [SHAPE, (1, 28, 28)]
    both = archc.diff("vgg16", "resnet18", input=(3, 64, 64))
    assert {value.shape for report in (both.old, both.new) for value in report.graph.inputs.values()} == {(3, 64, 64)}


def test_the_dtype_is_the_modules_own() -> None:
    half = Net().bfloat16()
    assert archc.memory(half, input=SHAPE).options.dtype == "bfloat16"
    assert archc.memory(half, input=SHAPE, dtype="float32").options.dtype == "float32"
    assert archc.analyze(half, input=SHAPE).memory.parameters == 2 * archc.analyze(half, input=SHAPE).parameters


def test_names_and_leaves() -> None:
    graph = archc.capture(nn.Sequential(Net()), SHAPE, name="mine", leaves=[f"{__name__}.Net"])
    assert graph.name == "mine" and [node.kind for node in graph.nodes] == ["opaque"]
    assert archc.analyze(graph).parameters == sum(one.numel() for one in Net().parameters())


WRONG: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "no input": (lambda: archc.analyze(Net()), archc.ArgumentError, r"Net does not say what it takes: .* input=\(3, 224, 224\)"),
    "a class": (lambda: archc.analyze(Net, input=SHAPE), UsageError, r"the class Net, not a module: make one, Net\(…\)"),  # type: ignore[arg-type]
    "a number": (lambda: archc.memory(3), UsageError, "not int"),  # type: ignore[arg-type]
    "load": (lambda: archc.load(Net()), UsageError, r"archc\.capture\(module, input\)"),  # type: ignore[arg-type]
    "train": (lambda: archc.train(Net()), UsageError, "takes a spec or a graph"),  # type: ignore[arg-type]
    "capture": (lambda: archc.capture("lenet5", SHAPE), archc.ArgumentError, r"not str; a spec is read by archc\.load"),  # type: ignore[arg-type]
    "a graph's input": (lambda: archc.analyze(archc.load("lenet5"), input=SHAPE), UsageError, "captured has its input"),
    "two graphs' input": (lambda: archc.diff(archc.load("lenet5"), archc.load("lenet5"), input=SHAPE), UsageError, "have their input"),
    "parameters": (lambda: archc.build(Net(), input=SHAPE, classes=3), UsageError, "no parameters of a spec to change: classes"),
    "a shape": (lambda: archc.analyze(Net(), input=(3, 0, 8)), archc.ArgumentError, "is no shape"),
    "no inputs": (lambda: archc.analyze(Net(), input={}), archc.ArgumentError, "at least one"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_are_told(name: str) -> None:
    call, kind, text = WRONG[name]
    with pytest.raises(kind, match=text) as caught:
        call()
    assert isinstance(caught.value, archc.ArchcError)


def test_an_error_of_the_module_stays_its_own() -> None:
    with pytest.raises(AttributeError, match="no_such_thing") as caught:
        archc.analyze(Broken(), input=SHAPE)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].line == "return self.fc(self.conv(x).no_such_thing)"


def test_a_shape_with_a_batch_gets_a_note() -> None:
    with pytest.raises(RuntimeError) as caught:
        archc.analyze(Net(), input=(1, 3, 8, 8))
    assert any("input=(3, 8, 8)" in note for note in caught.value.__notes__)


def test_a_leaf_that_is_none() -> None:
    with pytest.raises(archc.ArgumentError, match='no module in Net is of a class called Conv2; did you mean "Conv2d"'):
        archc.capture(Net(), SHAPE, leaves=["Conv2"])


def test_a_text_is_a_spec_and_runs_no_code(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text("open('ran', 'w')")
    for named in ("model.py:Net", "model:Net", "torchvision:resnet18"):
        with pytest.raises(archc.SpecError):
            archc.analyze(named)
    assert not (tmp_path / "ran").exists()


def test_torch_is_not_imported_for_a_spec() -> None:
    calls = "archc.diff('lenet5', archc.load('alexnet')); archc.memory('lenet5'); archc.CaptureError"
    script = f"import archc, sys; {calls}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_graph_of_a_module_is_a_graph() -> None:
    assert isinstance(archc.capture(Net(), "3x8x8"), Graph) and archc.capture(Net(), "3x8x8").captured is not None
