"""Exported files: run by onnxruntime and by torch.export, here as well as in the check; and what happens where they cannot be made."""

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
from tests.helpers.onnx_operators import operators_read_once  # noqa: F401

SUFFIXES = [".onnx", ".pt2"]
formats = pytest.mark.parametrize("suffix", SUFFIXES)


@pytest.fixture(autouse=True)
def _needs_onnx(request: pytest.FixtureRequest) -> None:
    """Every test of ONNX needs the packages that write and run it."""
    if ".onnx" in str(getattr(request.node, "callspec", "")) or "onnx" in request.node.name:
        for name in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(name, reason="pip install '.[onnx]'")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


class Residual(nn.Module):
    """A convolution with a normalization, in place, and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        return self.relu(self.bn(self.conv(x)) + x)


class Attention(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 4, dropout=0.5, batch_first=True)

    def forward(self, x: Any) -> Any:
        y = self.norm(x)
        return x + self.attention(y, y, y, need_weights=False)[0]


class TwoInTwoOut(nn.Module):
    """`relu` is an inner value of the trace as well as the name of an input; the keys are not in the order of the alphabet."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, a: Any, relu: Any) -> Any:
        y = torch.relu(a) + relu
        return {"tanh": self.fc(torch.tanh(y)), "add": y}


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.drop = nn.Dropout(0.5)

    def forward(self, tokens: Any) -> Any:
        return self.drop(self.embedding(tokens)).mean(1)


class Calls(nn.Module):
    """A module that is a function."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run

    def forward(self, *inputs: Any) -> Any:
        return self.run(*inputs)


def convnet() -> nn.Module:
    """With statistics that are not those of a start, which would hide a wrong normalization."""
    net = nn.Sequential(
        nn.ReLU(inplace=True), nn.Conv2d(3, 8, 3, stride=2, padding=1), Residual(8), nn.MaxPool2d(2), nn.Dropout(0.5),
        Residual(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return net


NETS: dict[str, tuple[Any, dict[str, tuple[int, ...]], dict[str, Any]]] = {
    "convnet": (convnet, {"image": (3, 17, 20)}, {}),
    "unequal pool": (lambda: nn.AdaptiveAvgPool2d(4), {"image": (2, 8, 12)}, {}),
    "attention": (Attention, {"tokens": (7, 16)}, {}),
    "two": (TwoInTwoOut, {"a": (4,), "relu": (4,)}, {}),
    "words": (Words, {"tokens": (6,)}, {"dtypes": {"tokens": "int64"}, "limits": {"tokens": 50}}),
    "any number of inputs": (lambda: Calls(lambda x, y: (x + y, x)), {"x": (4,), "y": (4,)}, {}),
    "an input unused": (lambda: Calls(lambda x, y: x * 2), {"x": (4,), "y": (4,)}, {}),
    "the input itself": (lambda: Calls(lambda x: x), {"x": (4,)}, {}),
    "one value twice": (lambda: Calls(lambda x: (lambda y: (y, y))(x + 1)), {"x": (4,)}, {}),
    "masked": (lambda: Calls(lambda x: x.masked_fill(x < 0, -torch.inf)), {"x": (40,)}, {}),
    "the greatest": (lambda: Calls(lambda x: x.argmax(1)), {"x": (40,)}, {}),
    "no weights, one number": (lambda: Calls(lambda x: x.mean()), {"x": (4,)}, {}),
}


def run_again(path: Path, inputs: dict[str, Any]) -> list[Any]:
    """The file's outputs, by no code of ours."""
    if path.suffix == ".pt2":
        made = torch.export.load(path).module()(*inputs.values())
        return [made] if isinstance(made, torch.Tensor) else list(made.values() if isinstance(made, dict) else made)
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(inputs)
    return [torch.as_tensor(one) for one in session.run(None, {name: x.numpy() for name, x in inputs.items()})]


@formats
@pytest.mark.parametrize("name", NETS)
def test_the_file_does_what_the_module_does(name: str, suffix: str, tmp_path: Path) -> None:
    """With a batch that the check does not use."""
    make, shapes, options = NETS[name]
    module, path = make(), tmp_path / f"net{suffix}"
    made = export(module, shapes, path, **options)
    assert module.training
    assert made.difference is not None and made.difference.relative <= 1e-5 and made.difference.batches == (1, 3)
    assert (made.path, made.files, made.bytes) == (path, (path,), path.stat().st_size)
    limits = options.get("limits", {})
    inputs = {one: torch.randint(limits[one], (5, *size)) if one in limits else torch.randn(5, *size) for one, size in shapes.items()}
    with torch.no_grad():
        ours = module.eval()(*[x.clone() for x in inputs.values()])
    ours = [ours] if isinstance(ours, torch.Tensor) else list(ours.values() if isinstance(ours, dict) else ours)
    theirs = run_again(path, inputs)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("outputs", "names"),
    [((), ["tanh", "add"]), (("relu_1", "fc.weight"), ["relu_1", "fc.weight"]), (("x", "y"), ["x", "y"])],
)
def test_onnx_has_the_names(outputs: tuple[str, ...], names: list[str], tmp_path: Path) -> None:
    """Also those that the trace has for something else. The axis of the batch is called batch; weights keep their names."""
    import onnx

    path = tmp_path / "net.onnx"
    made = export(TwoInTwoOut(), {"a": (4,), "relu": (4,)}, path, outputs=outputs)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [one.name for one in model.graph.output] == names
    for one in (*model.graph.input, *model.graph.output):
        assert one.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert (made.opset, made.nodes) == (model.opset_import[0].version, len(model.graph.node))
    assert "fc.bias" in {one.name for one in model.graph.initializer}


@formats
def test_a_fixed_batch(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    made = export(convnet(), {"image": (3, 16, 16)}, path, batch=2)
    assert made.difference is not None and made.difference.batches == (2,)
    assert "batch 2" in made.text()
    run_again(path, {"image": torch.zeros(2, 3, 16, 16)})
    with pytest.raises(Exception, match=r"batch|dimension|size|shape|Guard"):
        run_again(path, {"image": torch.zeros(3, 3, 16, 16)})


@formats
def test_each_part_comes_back_in_its_own_mode(suffix: str, tmp_path: Path) -> None:
    net = convnet().train()
    net[2].eval()
    modes = [part.training for part in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    export(net, {"image": (3, 16, 16)}, tmp_path / f"net{suffix}")
    assert [part.training for part in net.modules()] == modes and len(set(modes)) == 2
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    broken = Calls(lambda x: x @ x)
    with pytest.raises(ExportError, match="the module does not run"):
        export(broken, {"x": (3, 4)}, tmp_path / f"broken{suffix}")
    assert broken.training


def test_onnx_opsets(tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "net.onnx"
    assert export(nn.Linear(4, 2), {"x": (4,)}, path, opset=18).opset == onnx.load(path).opset_import[0].version == 18
    path.unlink()
    with pytest.raises(ExportError, match="cannot write opset 99"):
        export(nn.Linear(4, 2), {"x": (4,)}, path, opset=99)
    assert list(tmp_path.iterdir()) == []


def test_onnx_weights_in_a_second_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for those above 1.5 GiB. What stood there is replaced, both or neither."""
    monkeypatch.setattr(export_write, "_ONE_FILE", 1000)
    path, beside = tmp_path / "net.onnx", tmp_path / "net.onnx.data"
    for width in (64, 32):
        net = nn.Sequential(nn.Linear(64, width), nn.Linear(width, 64))
        made = export(net, {"x": (64,)}, path)
        assert made.files == (beside, path) and sorted(tmp_path.iterdir()) == [path, beside]
        assert made.bytes == path.stat().st_size + beside.stat().st_size and beside.stat().st_size >= 4 * 64 * width * 2
        assert "net.onnx.data" in made.text()
        x = torch.randn(2, 64)
        torch.testing.assert_close(run_again(path, {"x": x})[0], net(x))
    written = path.read_bytes(), beside.read_bytes()
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target == path:
            raise OSError("no room for it")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ExportError, match="cannot write: no room for it"):
        export(nn.Linear(64, 64), {"x": (64,)}, path)
    assert (path.read_bytes(), beside.read_bytes()) == written and sorted(tmp_path.iterdir()) == [path, beside]


@formats
def test_a_disk_that_is_full(suffix: str, tmp_path: Path) -> None:
    """The system refuses what goes beyond 20 kB; the file that stood there still stands."""
    resource = pytest.importorskip("resource")
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"older")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    net = nn.Linear(100, 100)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(ExportError, match="cannot write"):
            export(net, {"x": (100,)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"older" and list(tmp_path.iterdir()) == [path]
    export(net, {"x": (100,)}, path)
    assert path.stat().st_size > 20_000


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
    (Calls(_branch), {"x": (4,)}, {}, "cannot trace the module: its forward takes different ways"),
    (Calls(lambda x: x * len(x)), {"x": (4,)}, {}, "one batch size alone"),
    (Calls(lambda x: x @ x), {"x": (3, 4)}, {}, r"the module does not run: Expected size"),
    (nn.Linear(4, 2).bfloat16(), {"x": (4,)}, {}, r"weight is bfloat16, and float32 is exported: call module.float\(\)"),
    (nn.Linear(4, 2).double(), {"x": (4,)}, {}, "weight is float64"),
    (nn.Linear(4, 2), {"x": (4,)}, {"outputs": ("a", "b")}, "1 outputs, and 2 names were given: a, b"),
    (nn.Linear(4, 2), {"x": (4,)}, {"outputs": ("x",)}, "two inputs or outputs are called x"),
    (Calls(lambda x: (x, x)), {"x": (4,)}, {"outputs": ("a", "a")}, "two inputs or outputs are called a"),
    (Calls(lambda x: 3), {"x": (4,)}, {}, "must return a tensor"),
    (nn.Linear(4, 2), {"x": (4,)}, {"batch": 0}, "batch is 0"),
    (nn.Linear(4, 2), {"x": (4,)}, {"batch": "any"}, "write 'dynamic', or a number"),
    (nn.Linear(4, 2), {}, {}, "no inputs"),
    (nn.Linear(4, 2), {"x": (0,)}, {}, "input x has shape"),
    (Words(), {"tokens": (6,)}, {"dtypes": {"tokens": "int64"}}, "the check must know which values are valid"),
    (Words(), {"tokens": (6,)}, {"dtypes": {"tokens": "uint8"}}, "cannot be uint8: one of float32, int64"),
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
