"""`archc build` writes ONNX and torch.export files that hold the weights written beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.build.common import Refused, Run, made
from tests.helpers.onnx_operators import operators_read_once  # noqa: F401


def outputs(name: str, *inputs: Any) -> list[Any]:
    """What an exported file makes of inputs."""
    import torch as pytorch

    if name.endswith(".pt2"):
        return [pytorch.export.load(name).module()(*inputs)]
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(name, providers=["CPUExecutionProvider"])
    given = {one.name: x.numpy() for one, x in zip(session.get_inputs(), inputs, strict=True)}
    return [pytorch.as_tensor(one) for one in session.run(None, given)]


@pytest.fixture(params=["onnx", "pt2"])
def suffix(request: pytest.FixtureRequest) -> str:
    if request.param == "onnx":
        for name in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(name, reason="pip install '.[onnx]'")
    return str(request.param)


def test_an_export_holds_the_weights_written_beside_it(run: Run, torch: Any, suffix: str) -> None:
    status, out, err = run("tiny.yaml", "-o", "net.py", "-o", "net.pth", "-o", f"net.{suffix}")
    assert (status, err) == (0, "") and out.startswith(f"net.{suffix}  ") and "outputs differ by at most" in out and "any batch" in out
    x = torch.randn(5, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(outputs(f"net.{suffix}", x)[0], made("net.py", "net.pth")(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [(), ("--deployed",), ("--optimize", "inference"), ("--optimize", "train")])
def test_exports_have_no_heads(run: Run, torch: Any, options: tuple[str, ...]) -> None:
    assert run("heads.yaml", *options, "-o", "net.py", "-o", "net.pth", "-o", "net.pt2", "--no-check")[0] == 0
    assert list(torch.export.load("net.pt2").state_dict) == ["conv.weight", "conv.bias", "fc.weight", "fc.bias"]
    heads = [name for name in torch.load("net.pth") if name.startswith("aux")]
    assert heads == ([] if options in (("--deployed",), ("--optimize", "inference")) else ["aux.fc.weight", "aux.fc.bias"])
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(outputs("net.pt2", x)[0], made("net.py", "net.pth")(x), rtol=1e-5, atol=1e-6)


def test_weights_without_heads_are_enough_for_an_export(run: Run, torch: Any) -> None:
    run("heads.yaml", "--deployed", "-o", "small.pth")
    assert run("heads.yaml", "--weights", "small.pth", "-o", "net.pt2", "--no-check")[0] == 0


def test_an_input_of_indices(run: Run, torch: Any, suffix: str) -> None:
    assert run("words.yaml", "-o", "net.py", "-o", "net.pth", "-o", f"net.{suffix}")[0] == 0
    x = torch.randint(11, (5, 6))
    with torch.no_grad():
        assert torch.allclose(outputs(f"net.{suffix}", x)[0], made("net.py", "net.pth")(x), rtol=1e-5, atol=1e-6)


def test_one_batch_and_no_check(run: Run, torch: Any) -> None:
    status, out, _ = run("tiny.yaml", "-o", "net.pt2", "--batch", "2", "--no-check")
    assert status == 0 and "torch.export, batch 2\nnot checked" in out
    assert outputs("net.pt2", torch.randn(2, 3, 8, 8))[0].shape == (2, 4)
    with pytest.raises(Exception, match="Guard failed"):
        outputs("net.pt2", torch.randn(3, 3, 8, 8))


def test_an_opset_is_for_onnx_alone(run: Run, torch: Any) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    assert run("tiny.yaml", "-o", "net.pt2", "-o", "net.onnx", "--opset", "19", "--batch", "dynamic", "--no-check")[0] == 0
    assert onnx.load("net.onnx").opset_import[0].version == 19 and Path("net.pt2").exists()


def test_an_export_that_fails_leaves_no_other_file(refused: Refused, torch: Any) -> None:
    pytest.importorskip("onnxscript")
    told = refused("tiny.yaml", "--opset", "300", "-o", "a.py", "-o", "a.pth", "-o", "a.pt2", "-o", "a.onnx")
    assert told.startswith("archc: the exporter cannot write opset 300 of this module")
