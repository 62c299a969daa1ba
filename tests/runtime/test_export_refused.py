"""Exports that cannot be made, or do something else than their module: nothing is written, and the reason is told."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn

from archc.runtime.export import check as export_check
from archc.runtime.export import export as room
from archc.runtime.export import write as export_write
from archc.runtime.export.export import ExportError, export
from tests.helpers.exports import Calls, TwoInTwoOut, Words, convnet, formats, run_again
from tests.helpers.onnx_operators import operators_read_once  # noqa: F401


@formats
def test_a_file_that_does_something_else_is_not_written(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace is given weights that are not the module's: by 1 in 100, then by 1 in 10,000,000."""
    program, off = room._program, [1.01]

    def other(task: Any) -> Any:
        made = program(task)
        made.state_dict["weight"].data.mul_(off[0])
        return made

    class Apart(nn.Linear):
        """A linear layer whose trace can be changed while it stays as it is."""

        def forward(self, x: Any) -> Any:
            return nn.functional.linear(x, self.weight)

    net = Apart(40, 10)
    monkeypatch.setattr(room, "_program", lambda task: other(task._replace(module=_copy(task.module))))
    path = tmp_path / f"net{suffix}"
    with pytest.raises(ExportError, match=r"output output of the file, run by .*, differs from the module's by \d"):
        export(net, {"x": (40,)}, path)
    assert list(tmp_path.iterdir()) == []
    assert export(net, {"x": (40,)}, path, check=False).text().endswith("not checked: check=False")
    off[0] = 1 + 1e-6
    made = export(net, {"x": (40,)}, path)
    assert made.difference is not None and 0 < made.difference.relative < 1e-5


def _copy(module: nn.Module) -> nn.Module:
    import copy

    return copy.deepcopy(module)


@pytest.mark.parametrize(
    ("ours", "theirs", "relative"),
    [
        ([1.0, 3.0], [1.0, 3.5], 0.25),
        ([100.0, 100.0], [100.0, 100.5], 0.5),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.0, 0.0], [0.0, 1e-9], float("inf")),
        ([1.0, float("nan")], [1.0, float("nan")], 0.0),
        ([1.0, float("nan")], [1.0, 2.0], float("inf")),
        ([1.0, 2.0], [1.0, float("nan")], float("inf")),
        ([1.0, float("inf")], [1.0, -float("inf")], float("inf")),
        ([1.0, 2.0, float("inf")], [1.0, 2.5, float("inf")], 0.5),
    ],
)
def test_differences(ours: list[float], theirs: list[float], relative: float) -> None:
    assert export_check._difference("y", [(torch.tensor(ours), torch.tensor(theirs))])[1] == relative


@pytest.mark.parametrize(
    ("outputs", "constant"),
    [
        ([[[1.0, 2.0]], [[1.0, 2.0], [1.0, 2.0]]], True),
        ([[[1.0, 2.0]], [[1.0, 2.0], [1.0, 2.1]]], False),
        ([[[0.0]], [[0.0], [0.0]]], True),
        ([[[1.0, 2.0]]], False),
        ([[[1.0, 2.0], [1.0, 2.0]]], True),
        ([1.0, 1.0], True),
        ([1.0, 2.0], False),
        ([1.0], False),
        ([[1.0, 2.0], [1.0, 2.0, 3.0]], False),
        ([[[]], [[], []]], False),
        ([[[1.0]], [[1.0, 2.0]]], False),
    ],
)
def test_outputs_that_do_not_change(outputs: list[Any], constant: bool) -> None:
    """The first batch, then the second; without a batch axis, one value for each."""
    assert export_check._constant([torch.tensor(one) for one in outputs]) is constant


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(3, 2), r"output y is \[2, 3\] torch.float32, and \[3, 2\]"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int64), "torch.int64 in the file"),
        (torch.full((2,), torch.nan), torch.full((2,), torch.nan), "no value of output y is finite"),
    ],
)
def test_outputs_that_cannot_be_compared(ours: Any, theirs: Any, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        export_check._difference("y", [(ours, theirs)])


def _branch(x: Any) -> Any:
    return x + 1 if x.sum() > 0 else x - 1


def _by_batch(x: Any) -> Any:
    return x.reshape(2, -1, 4)


BAD: list[tuple[Any, dict[str, tuple[int, ...]], dict[str, Any], str]] = [
    (Calls(_branch), {"x": (4,)}, {}, "cannot trace the module: its forward takes different paths"),
    (Calls(lambda x: x * len(x)), {"x": (4,)}, {}, "only for some batch sizes"),
    (Calls(lambda x: x @ x), {"x": (3, 4)}, {}, r"the module does not run: Expected size"),
    (nn.Linear(4, 2).bfloat16(), {"x": (4,)}, {}, r"weight is bfloat16, and float32 is exported: call module.float\(\)"),
    (nn.Linear(4, 2).double(), {"x": (4,)}, {}, "weight is float64"),
    (nn.Linear(4, 2), {"x": (4,)}, {"outputs": ("a", "b")}, "the module has 1 output, and 2 names given: a, b"),
    (nn.Linear(4, 2), {"x": (4,)}, {"outputs": ("x",)}, "two inputs or outputs are called x"),
    (Calls(lambda x: (x, x)), {"x": (4,)}, {"outputs": ("a", "a")}, "two inputs or outputs are called a"),
    (Calls(lambda x: 3), {"x": (4,)}, {}, "must return a tensor"),
    (nn.Linear(4, 2), {"x": (4,)}, {"batch": 0}, "batch is 0"),
    (nn.Linear(4, 2), {"x": (4,)}, {"batch": "any"}, "write 'dynamic', or a number"),
    (nn.Linear(4, 2), {}, {}, "no inputs"),
    (nn.Linear(4, 2), {"x": (0,)}, {}, "input x has shape"),
    (Words(), {"tokens": (6,)}, {"dtypes": {"tokens": "int64"}}, "the check must know which values are valid"),
    (Words(), {"tokens": (6,)}, {"dtypes": {"tokens": "float8"}}, "cannot be float8: one of float32, int64"),
    (Words(), {"tokens": (6,)}, {"dtypes": {"token": "int64"}}, "dtypes names token, and the inputs are tokens"),
    (Words(), {"tokens": (6,)}, {"limits": {"token": 3}}, "limits names token"),
    (Words(), {"tokens": (6,)}, {"dtypes": {"tokens": "int64"}, "limits": {"tokens": 0}}, "limit of input tokens is 0"),
]


@formats
@pytest.mark.parametrize(("module", "shapes", "options", "message"), BAD, ids=[case[3] for case in BAD])
def test_what_cannot_be_exported(
    module: nn.Module, shapes: dict[str, tuple[int, ...]], options: dict[str, Any], message: str, suffix: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=message) as caught:
        export(module, shapes, tmp_path / f"net{suffix}", **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert list(tmp_path.iterdir()) == []


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "folder.pt2").mkdir()
    for name, message in (
        ("net.pth", "has no ending that tells the format: write a name that ends in .onnx or .pt2"),
        ("none/net.pt2", "there is no folder"),
        ("folder.pt2", "is a folder"),
    ):
        with pytest.raises(ExportError, match=message):
            export(nn.Linear(4, 2), {"x": (4,)}, tmp_path / name)
    with pytest.raises(ExportError, match="an opset is ONNX's"):
        export(nn.Linear(4, 2), {"x": (4,)}, tmp_path / "net.pt2", opset=18)


def test_onnx_without_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without onnxruntime it is written, and says that it was not checked; without onnxscript it says what to install."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    made = export(nn.Linear(4, 2), {"x": (4,)}, tmp_path / "net.onnx")
    assert made.difference is None and made.text().endswith("onnxruntime is not installed; pip install onnxruntime (extra archc-nn[onnx])")
    assert made.path.exists()
    for name in ("onnxscript", "onnx"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(ExportError, match=rf"{name} is not installed.*pip install {name} \(extra archc-nn\[onnx\]\)"):
                export(nn.Linear(4, 2), {"x": (4,)}, tmp_path / "other.onnx")
    assert list(tmp_path.iterdir()) == [made.path]


def test_an_operator_that_onnx_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="ONNX cannot express"):
        export(Calls(lambda x: torch.special.bessel_j0(x)), {"x": (4,)}, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


@formats
def test_nothing_is_printed(suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export(convnet(), {"image": (3, 16, 16)}, tmp_path / f"net{suffix}")
    assert capfd.readouterr() == ("", "") and caplog.records == []
    assert {name: logging.getLogger(name).level for name in levels} == levels


@formats
def test_text(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_write, "_ONE_FILE", 10)
    for name in ("net", "n" * 120):
        lines = export(TwoInTwoOut(), {"a": (4,), "b": (4,)}, tmp_path / f"{name}{suffix}").text().splitlines()
        assert 2 <= len(lines) <= 3
        assert lines[0].startswith(f"{tmp_path / name}{suffix}  ") and lines[0].endswith("any batch")
        assert lines[-1].startswith("checked with ") and lines[-1].endswith("of their spread (limit 1e-04)")


@formats
def test_an_output_that_shows_little(suffix: str, tmp_path: Path) -> None:
    """Where a layer lets next to nothing through, any weights before it agree."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    nn.init.constant_(net[1].weight, 1e-6)
    made = export(net, {"x": (4,)}, tmp_path / f"net{suffix}", outputs=("a_name_of_thirty_letters_in_all",))
    assert made.difference is not None and made.difference.constant == ("a_name_of_thirty_letters_in_all",)
    assert made.text().endswith("; but a_name_of_thirty_letters_in_all hardly depends on the input: this shows little")


@formats
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_module_on_a_device_stays_there(suffix: str, tmp_path: Path) -> None:
    """It is exported as a copy on the CPU, so that the file names no device and the check is free of TF32."""
    net = convnet().cuda()
    made = export(net, {"image": (3, 16, 16)}, tmp_path / f"net{suffix}")
    assert made.difference is not None and {value.device.type for value in net.state_dict().values()} == {"cuda"}
    run_again(made.path, {"image": torch.zeros(2, 3, 16, 16)})


def test_the_copy_keeps_what_is_shared() -> None:
    net = nn.ModuleDict({"a": nn.Linear(4, 4), "bn": nn.BatchNorm1d(4)})
    net["b"] = nn.Linear(4, 4)
    net["b"].weight = net["a"].weight
    made = room._copy_to_cpu(net)
    assert made["b"].weight is made["a"].weight and made["a"].weight is not net["a"].weight
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in made.state_dict().items())
    assert made["bn"].running_mean.data_ptr() != net["bn"].running_mean.data_ptr()


@pytest.mark.parametrize(
    ("pool", "shape"),
    [
        (nn.AdaptiveMaxPool1d(5), (3, 12)),
        (nn.AdaptiveMaxPool2d((5, None)), (3, 12, 7)),
        (nn.AdaptiveMaxPool2d(7), (2, 5, 7)),
        (nn.AdaptiveMaxPool3d((2, 1, 7)), (3, 5, 6, 4)),
    ],
)
def test_adaptive_max_pooling_is_said_in_slices(pool: nn.Module, shape: tuple[int, ...], tmp_path: Path) -> None:
    """ONNX has no operator for it. The file is compared with PyTorch's own layer, which is in its place again afterwards."""
    pytest.importorskip("onnxruntime")
    module = nn.Sequential(nn.Identity(), pool)
    for net in (module, pool) if len(shape) == 2 else (module,):
        made = export(net, {"x": shape}, tmp_path / "a.onnx")
        assert made.difference is not None and made.difference.absolute == 0
    assert module[1] is pool


def test_the_layer_that_onnx_cannot_say_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(nn.FractionalMaxPool2d(2, output_size=4)))
    with pytest.raises(ExportError, match=r"^1\.0 \(FractionalMaxPool2d\) is aten\.fractional_max_pool2d, which ONNX cannot express"):
        export(net, {"x": (3, 12, 12)}, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


@formats
def test_equal_files_that_tell_nothing_of_this_machine(suffix: str, tmp_path: Path) -> None:
    """Tracing notes the line of source of every node, with its path."""
    torch.manual_seed(0)
    net, found = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        export(net, {"x": (4,)}, tmp_path / name / f"net{suffix}")
        found.append((tmp_path / name / f"net{suffix}").read_bytes())
    assert found[0] == found[1]
    for part in (str(tmp_path), str(Path(torch.__file__).parent.parent), str(Path(__file__).parent)):
        assert part.encode() not in found[0]
