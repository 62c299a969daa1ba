"""Exported files: run by onnxruntime and by torch.export, here as well as in the check; and what happens where they cannot be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn

from archc.runtime.export import write as export_write
from archc.runtime.export.export import ExportError, export
from tests.helpers.exports import Calls, TwoInTwoOut, Words, convnet, formats, run_again
from tests.helpers.onnx_operators import operators_read_once  # noqa: F401


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


class Attention(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 4, dropout=0.5, batch_first=True)

    def forward(self, x: Any) -> Any:
        y = self.norm(x)
        return x + self.attention(y, y, y, need_weights=False)[0]


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
