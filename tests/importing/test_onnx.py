"""ONNX files as specs: of old and new opsets, by names and without; held against onnxruntime; what is refused, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import archc
from archc.cli.main import main
from archc.codegen.lowering import lower
from archc.importing import ImportedError
from tests.importing.onnx_files import Maker, classifier

pytest.importorskip("onnx", reason="pip install '.[onnx]'")
pytest.importorskip("onnxruntime", reason="pip install '.[onnx]'")


def alike(path: Path) -> archc.Graph:
    """The network of a file, whose outputs are those that onnxruntime computes."""
    made = archc.import_model(path)
    found = made.report()
    assert found.good and found.likeness is not None, found.text()
    return made.graph


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21])
@pytest.mark.parametrize("batch", ["n", 1])
def test_a_classifier_of_every_time(opset: int, batch: Any, tmp_path: Path) -> None:
    make, out = classifier(opset, batch)
    graph = alike(make.save(tmp_path / "net.onnx", out))
    names = [(node.name, node.kind) for node in graph.nodes if node.facts.owned]
    assert names == [("stem.0", "conv"), ("stem.1", "batchnorm"), ("layer1.conv", "conv"), ("fc", "linear")]
    assert "silu" in {node.kind for node in graph.nodes}
    assert graph["stem.1"].args["eps"] == 0.001


@pytest.mark.parametrize(
    ("op", "args", "kind"),
    [
        ("LeakyRelu", {"alpha": 0.2}, "leaky_relu"),
        ("HardSwish", {}, "hardswish"),
        ("Elu", {}, "elu"),
        ("Softplus", {}, "softplus"),
        ("GlobalAveragePool", {}, "global_avgpool"),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}, "avgpool"),
        ("AveragePool", {"kernel_shape": [2, 2], "auto_pad": "VALID"}, "avgpool"),
        ("MaxPool", {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "strides": [2, 2]}, "pad"),
        ("LRN", {"size": 3, "alpha": 0.1}, "lrn"),
        ("ReduceMean", {"axes": [2, 3], "keepdims": 0}, "global_avgpool"),
        ("ReduceMean", {"axes": [1], "keepdims": 1}, "mean"),
        ("ReduceMax", {"axes": [-1], "keepdims": 0}, "max"),
        ("Transpose", {"perm": [0, 2, 3, 1]}, "permute"),
        ("Flatten", {}, "flatten"),
        ("LogSoftmax", {"axis": 1}, "log_softmax"),
        ("Gather", {"axis": 2, "const": np.asarray(1)}, "select"),
        ("Gather", {"axis": 1, "const": np.asarray([2, 0])}, "index"),
        ("Pow", {"const": np.float32(3)}, "pow"),
        ("Mul", {"const": np.float32(0.5)}, "scale"),
        ("Add", {"const": np.linspace(0, 1, 8, dtype="f").reshape(8, 1, 1)}, "add"),
        ("Sub", {"first": True, "const": np.float32(1)}, "sub"),
        ("PRelu", {"const": np.linspace(0, 1, 8, dtype="f").reshape(8, 1, 1)}, "prelu"),
        ("Clip", {"const": np.float32(0), "more": np.float32(6)}, "relu6"),
        ("Pad", {"const": np.asarray([0, 0, 1, 2, 0, 0, 3, 0])}, "pad"),
        ("Slice", {"const": np.asarray([1]), "more": np.asarray([3]), "last": np.asarray([1])}, "slice"),
        ("Resize", {"const": np.asarray([], dtype="f"), "more": np.asarray([1, 1, 2, 2], dtype="f"), "mode": "linear"}, "upsample"),
        ("Resize", {"const": np.asarray([], dtype="f"), "more": np.asarray([1, 1, 3, 3], dtype="f"), "mode": "nearest",
                    "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, "upsample"),
    ],
)  # fmt: skip
def test_a_node_is_what_onnxruntime_computes(op: str, args: dict[str, Any], kind: str, tmp_path: Path) -> None:
    make = Maker(("n", 3, 6, 6))
    make.tensor("conv.weight", 8, 3, 3, 3)
    x = make.node("Conv", ["image", "conv.weight"], "c", "/conv/Conv", kernel_shape=[3, 3], pads=[1] * 4)
    consts = [make.const(name, args.pop(name)) for name in ("const", "more", "last") if name in args]
    inputs = [*consts, x] if args.pop("first", False) else [x, *consts]
    graph = alike(make.save(tmp_path / "net.onnx", make.node(op, inputs, "y", f"/{op.lower()}/{op}", **args)))
    assert kind in [node.kind for node in graph.nodes]


def test_gelu_and_layernorm_of_a_sequence(tmp_path: Path) -> None:
    make = Maker(("n", 5), 17)
    make.tensor("tokens.weight", 11, 8)
    x = make.node("Gather", ["tokens.weight", "image"], "e")
    make.tensor("norm.weight", 8)
    make.tensor("norm.bias", 8)
    x = make.node("LayerNormalization", [x, "norm.weight", "norm.bias"], "n", axis=-1)
    make.tensor("onnx::MatMul_1", 8, 6)
    make.tensor("mlp.bias", 6)
    x = make.node("MatMul", [x, "onnx::MatMul_1"], "m", "/mlp/MatMul")
    x = make.node("Add", ["mlp.bias", x], "a", "/mlp/Add")
    for name, value in (("root", np.sqrt(2)), ("one", 1), ("half", 0.5)):
        make.const(name, np.float32(value))
    y = make.node("Div", [x, "root"], "d", "/act/Div")
    y = make.node("Erf", [y], "erf", "/act/Erf")
    y = make.node("Add", [y, "one"], "plus", "/act/Add")
    y = make.node("Mul", [x, y], "times", "/act/Mul")
    graph = alike(make.save(tmp_path / "net.onnx", make.node("Mul", [y, "half"], "y", "/act/Mul_1"), dtype=7))
    assert [(node.name, node.kind) for node in graph.nodes] == [
        ("tokens", "embedding"),
        ("norm", "layernorm"),
        ("mlp", "linear"),
        ("act", "gelu"),
    ]


def trained(spec: str) -> torch.nn.Module:
    """A network with statistics and biases that are not those of the start."""
    torch.manual_seed(0)
    module = archc.build(spec).eval()
    for name, one in [*module.named_parameters(), *module.named_buffers()]:
        if one.dim() == 1 and one.is_floating_point():
            one.data.uniform_(0.5, 1.5) if name.endswith(("weight", "var")) else one.data.uniform_(-0.1, 0.1)
    return module


ROUND = ["lenet5", "resnet18", "mobilenet_v2", "se_resnet50", "googlenet", "densenet_bc_100_12", "unet", "inception_v3", "efficientnet_b0",
         "xception", "alexnet", "shufflenet", "pyramidnet110_a84", "squeezenet"]  # fmt: skip


@pytest.mark.parametrize(
    "spec", ["lenet5", *(pytest.param(name, marks=pytest.mark.heavy) for name in ROUND[1:] if (Path("specs") / f"{name}.yaml").exists())]
)
def test_an_export_of_a_spec_comes_back(spec: str, tmp_path: Path) -> None:
    """As the spec is for inference: torch's exporter merges batch normalization into convolutions."""
    pytest.importorskip("onnxscript")
    weights = tmp_path / "w.pth"
    torch.save(trained(spec).state_dict(), weights)
    assert main(["build", spec, "--weights", str(weights), "-o", str(tmp_path / "net.onnx"), "--no-check"]) == 0
    graph = alike(tmp_path / "net.onnx")
    merged = archc.analyze(lower(archc.load(spec).deployed(), "inference").graph)
    found = archc.analyze(graph)
    assert (found.parameters, found.macs) == (merged.parameters, merged.macs)


def test_weights_beside_the_file(tmp_path: Path) -> None:
    import onnx

    make, out = classifier(17)
    onnx.save(make.model(out), tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=200)
    graph = alike(tmp_path / "net.onnx")
    assert main(["import", str(tmp_path / "net.onnx"), "-o", str(tmp_path / "net.safetensors")]) == 0
    archc.build(graph, weights=tmp_path / "net.safetensors")
    (tmp_path / "net.data").write_bytes((tmp_path / "net.data").read_bytes()[:100])
    with pytest.raises(ImportedError, match=r"net\.data is shorter"):
        archc.import_model(tmp_path / "net.onnx")
    (tmp_path / "net.data").rename(tmp_path / "other")
    with pytest.raises(ImportedError, match="which is not beside it"):
        archc.import_model(tmp_path / "net.onnx")


def refused(make: Maker, output: str, path: Path, dtype: int = 1) -> str:
    with pytest.raises(ImportedError) as error:
        archc.import_model(make.save(path / "net.onnx", output, dtype))
    return str(error.value)


def test_what_is_refused_is_named(tmp_path: Path) -> None:
    make = Maker((1, 3, 6, 6))
    assert "node det (Det): no operator of archc says it" in refused(make, make.node("Det", ["image"], "y", "det"), tmp_path)
    make = Maker((1, 3, 6, 6))
    assert "node t (Transpose): it moves the axis of the batch" in refused(
        make, make.node("Transpose", ["image"], "y", "t", perm=[1, 0, 2, 3]), tmp_path
    )
    make = Maker(("n", 3, "h", "w"))
    assert "free sizes beside the batch" in refused(make, make.node("Relu", ["image"], "y"), tmp_path)
    make = Maker((1, 3, 6, 6))
    assert "node f (Fancy) is of the domain mine" in refused(make, make.node("Fancy", ["image"], "y", "f", domain="mine"), tmp_path)
    make = Maker((1, 3, 6, 6))
    make.tensor("w", 8, 4, 3, 3)
    assert "node c (Conv): " in refused(make, make.node("Conv", ["image", "w"], "y", "c", kernel_shape=[3, 3]), tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x07" * 50, b"\xff" * 1000])
def test_what_is_no_onnx_file(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    assert main(["import", str(tmp_path / "net.onnx")]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "is no ONNX file" in err and "Traceback" not in err


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "net.onnx").open("wb") as file:
        file.truncate(2 * 2**30 + 1)
    with pytest.raises(ImportedError, match="at most 2"):
        archc.import_model(tmp_path / "net.onnx")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    (tmp_path / "net.onnx").write_bytes(b"x")
    with pytest.raises(ImportedError, match="onnx is not installed: pip install onnx"):
        archc.import_model(tmp_path / "net.onnx")
