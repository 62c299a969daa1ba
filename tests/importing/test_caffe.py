"""Networks of Caffe: published figures, Caffe's pooling loop by loop, weights, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import archc
from archc.importing.caffe import read_caffe
from archc.importing.draft import Refused
from archc.importing.imported import Imported, ImportedError
from archc.text.source import Source
from tests.importing import prototxts as nets


def read(text: str, weights: Path | None = None) -> Imported:
    return read_caffe(Source("net.prototxt", text), "net", weights)


# AlexNet has 60.97M parameters and 0.724 G multiplications in two groups; those of VGG-16 are torchvision's, those of GoogLeNet Caffe's
# model zoo's, and ResNet-50 is that of the authors, with its strides on the first 1x1: 3.8 G.
PUBLISHED = {
    "alexnet": (nets.alexnet(False), 60_965_224, 724_406_816),
    "caffenet": (nets.alexnet(True), 60_965_224, 724_406_816),
    "vgg16": (nets.vgg16(), 138_357_544, 15_470_264_320),
    "googlenet": (nets.googlenet(), 6_998_552, 1_582_671_872),
    "resnet50": (nets.resnet50(), 25_557_032, 3_857_973_248),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name: str) -> None:
    text, parameters, macs = PUBLISHED[name]
    report = archc.analyze(archc.loads(read(text).text))
    assert (report.parameters, report.macs) == (parameters, macs)


def test_names_follow_the_source() -> None:
    graph = archc.loads(read(nets.googlenet()).text)
    assert graph["inception_3a.5x5_reduce"].args["channels"] == 16
    assert list(graph.outputs) == ["prob"]


def pooled(x: np.ndarray, kind: str, kernel: int, stride: int, pad: int) -> np.ndarray:
    """Caffe's pooling, as its loops have it."""
    channels, height, width = x.shape
    sizes = []
    for size in (height, width):
        out = int(np.ceil((size + 2 * pad - kernel) / stride)) + 1
        sizes.append(out - 1 if pad and (out - 1) * stride >= size + pad else out)
    made = np.zeros((channels, *sizes))
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            top, left = i * stride - pad, j * stride - pad
            bottom, right = min(top + kernel, height + pad), min(left + kernel, width + pad)
            count = (bottom - top) * (right - left)
            part = x[:, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
            made[:, i, j] = part.max((1, 2)) if kind == "MAX" else part.sum((1, 2)) / count
    return made


@pytest.mark.parametrize("kind", ["MAX", "AVE"])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad"), [(6, 3, 2, 0), (7, 3, 2, 1), (8, 3, 2, 1), (6, 2, 2, 1), (5, 3, 3, 1), (9, 4, 3, 2)]
)
def test_pools_are_those_of_caffe(kind: str, size: int, kernel: int, stride: int, pad: int) -> None:
    net = nets.Net("net", 2, size, size + 1)
    net.pool("pool", kernel, stride, f"pool: {kind} pad: {pad}")
    x = np.random.default_rng(0).normal(size=(2, size, size + 1)).astype(np.float32)
    found = archc.build(archc.loads(read(net.text).text)).eval()(torch.tensor(x)[None])[0].detach().numpy()
    np.testing.assert_allclose(found, pooled(x, kind, kernel, stride, pad), rtol=1e-5, atol=1e-6)


def small() -> str:
    net = nets.Net("small", 4, 9, 9)
    net.conv("conv/one", 6, 3, "pad: 1 group: 2 bias_term: false")
    net.layer("conv/bn", "BatchNorm", "batch_norm_param { eps: 0.001 }", top=net.top)
    net.layer("conv/scale", "Scale", "scale_param { bias_term: true }", top=net.top)
    net.layer("relu", "PReLU", top=net.top)
    out = net.top
    net.layer("lrn", "LRN", "lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }")
    net.layer("up", "Deconvolution", "convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 group: 2 }")
    net.pool("down", 2, 2, "pool: AVE")
    net.layer("cut", "Slice", "slice_param { slice_point: 1 }", top='cut0" top: "cut1')
    net.layer("joined", "Concat", bottoms=["cut1", "cut0", out])
    net.conv("mix", 6, 1)
    net.layer("bn", "BatchNorm")
    net.layer("free", "Scale")
    net.layer("power", "Power", "power_param { power: 2 scale: 0.5 shift: 1 }")
    net.pool("pooled", 3, 2, "pool: MAX", bottoms=[out])
    net.layer("shrunk", "Pooling", "pooling_param { pool: AVE global_pooling: true }", bottoms=["power"])
    net.layer("gate", "Axpy", bottoms=["shrunk", "pooled", "pooled"])
    net.layer("sum", "Eltwise", "eltwise_param { coeff: 0.5 coeff: -2 }", bottoms=["gate", "pooled"])
    net.layer("fc", "InnerProduct", "inner_product_param { num_output: 5 transpose: true }")
    net.layer("prob", "Softmax")
    return net.text


BLOBS = {
    "conv/one": [(6, 2, 3, 3)], "conv/bn": [(6,), (6,), (1,)], "conv/scale": [(6,), (6,)], "relu": [(6,)], "up": [(6, 2, 3, 3), (4,)],
    "mix": [(6, 10, 1, 1), (6,)], "bn": [(6,), (6,), (1,)], "free": [(6,)], "fc": [(96, 5), (5,)],
}  # fmt: skip


def forward(x: torch.Tensor, blobs: dict[str, list[torch.Tensor]]) -> torch.Tensor:
    """The layers of `small`, by torch's functions and Caffe's formulas."""

    def norm(x: torch.Tensor, name: str, eps: float) -> torch.Tensor:
        mean, variance, by = blobs[name]
        return (x - (mean / by)[:, None, None]) / torch.sqrt((variance / by)[:, None, None] + eps)

    x = norm(F.conv2d(x, blobs["conv/one"][0], padding=1, groups=2), "conv/bn", 1e-3)
    x = x * blobs["conv/scale"][0][:, None, None] + blobs["conv/scale"][1][:, None, None]
    out = torch.where(x > 0, x, x * blobs["relu"][0][:, None, None])
    x = out / (1 + 0.5 * F.avg_pool2d(out * out, 3, 1, 1)) ** 0.75
    x = F.conv_transpose2d(x, *blobs["up"], stride=2, padding=1, groups=2)
    x = torch.tensor(pooled(x[0].numpy(), "AVE", 2, 2, 0), dtype=torch.float32)[None]
    x = torch.cat([x[:, 1:], x[:, :1], out], 1)
    x = norm(F.conv2d(x, *blobs["mix"]), "bn", 1e-5) * blobs["free"][0][:, None, None]
    gate = ((1 + 0.5 * x) ** 2).mean((2, 3), keepdim=True)
    most = torch.tensor(pooled(out[0].numpy(), "MAX", 3, 2, 0), dtype=torch.float32)[None]
    x = 0.5 * (gate * most + most) - 2 * most
    return torch.softmax(x.flatten(1) @ blobs["fc"][0] + blobs["fc"][1], 1)


def encoded(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    made = b""
    while value > 0x7F:
        made, value = made + bytes([value & 0x7F | 0x80]), value >> 7
    return made + bytes([value])


def caffemodel(blobs: dict[str, list[torch.Tensor]]) -> bytes:
    """A network as protobuf writes it, with layers that have no weights, and a field that no one knows."""
    made = encoded(1, b"small") + encoded(100, encoded(1, b"relu2") + encoded(2, b"ReLU"))
    for name, tensors in blobs.items():
        layer = encoded(1, name.encode()) + varint(10 << 3) + varint(1)
        for tensor in tensors:
            sizes = b"".join(varint(size) for size in tensor.shape)
            layer += encoded(7, encoded(7, encoded(1, sizes)) + encoded(5, tensor.numpy().tobytes()))
        made += encoded(100, layer)
    return made


@pytest.fixture(scope="module")
def blobs() -> dict[str, list[torch.Tensor]]:
    draw = np.random.default_rng(0)
    held = {name: [torch.tensor(draw.normal(0, 0.5, shape).astype(np.float32)) for shape in shapes] for name, shapes in BLOBS.items()}
    for name in ("conv/bn", "bn"):
        held[name][1] = held[name][1].abs() + 0.5
        held[name][2] = torch.tensor([3.0])
    return held


def test_weights_and_layers_are_those_of_caffe(blobs: dict[str, list[torch.Tensor]], tmp_path: Path) -> None:
    file = tmp_path / "net.caffemodel"
    file.write_bytes(caffemodel(blobs))
    imported = read(small(), file)
    graph = archc.loads(imported.text)
    module = archc.build(graph).eval()
    keys = module.load_state_dict({name: torch.tensor(np.array(one)) for name, one in imported.tensors.items()}, strict=False)
    assert not keys.unexpected_keys and all(name.endswith("num_batches_tracked") for name in keys.missing_keys)
    x = torch.randn(1, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(module(x), forward(x, blobs), rtol=1e-4, atol=1e-5)


def test_weights_of_another_network_are_refused(blobs: dict[str, list[torch.Tensor]], tmp_path: Path) -> None:
    file = tmp_path / "net.caffemodel"
    whole = caffemodel(blobs)
    for held, said in (
        (caffemodel({name: one for name, one in blobs.items() if name != "mix"}), 'no weights of the layer "mix"'),
        (caffemodel(blobs | {"mix": blobs["mix"][:1]}), "1 tensors there, and 2"),
        (caffemodel(blobs | {"mix": [blobs["fc"][0], blobs["mix"][1]]}), r"\[96, 5\] there"),
        (whole[:-3], "cut short"),
        (b"\xff" * 100, "not a caffemodel"),
        (b"", "it is empty"),
    ):
        file.write_bytes(held)
        with pytest.raises(ImportedError, match=said):
            read(small(), file)


INPUT = 'input: "data"\ninput_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n'


def layer(kind: str, params: str = "", bottom: str = "data") -> str:
    return INPUT + f'layer {{ name: "x" type: "{kind}"\n bottom: "{bottom}" top: "x"\n {params} }}'


WRONG = {
    "": (1, "no layer"),
    "layer {": (1, "not closed"),
    "layer }": (1, "has no value"),
    'layer { name: "x': (1, "cannot stand here"),
    "layer { " * 50: (1, "levels"),
    "a: [1, 2": (1, "the end"),
    layer("Python"): (3, "code is not run"),
    layer("Convolutoin"): (3, "Convolution"),
    layer("Convolution", bottom="y"): (4, "top of no layer"),
    layer("Convolution", "convolution_param { num_output: 8 }"): (5, "kernel_size"),
    layer("Convolution", "convolution_param { kernel_size: 3 num_output: 99999999999 }"): (5, "whole number"),
    layer("Convolution", "convolution_param { kernel_size: 3 num_output: 0 }"): (5, "from 1"),
    layer("Convolution", "convolution_param { kernel_size: 3 num_output: 8 group: 2 }"): (5, "does not divide"),
    layer("Convolution", "convolution_param { kernel_size: 30 num_output: 8 }"): (5, "does not fit"),
    layer("Convolution", "convolution_param { kernel_size { a: 1 } num_output: 8 }"): (5, "value is expected"),
    layer("Convolution", "convolution_param: 3"): (5, "fields are expected"),
    layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"): (5, "MAX and AVE"),
    layer("LRN", "lrn_param { local_size: 4 }"): (5, "odd"),
    layer("Reshape", "reshape_param { shape { dim: -1 dim: 4 } }"): (5, "batch"),
    layer("Eltwise", "eltwise_param { coeff: 1e999 }"): (5, "not a number"),
    INPUT + 'layers { layer { name: "x" type: "conv" } }': (3, "first format"),
    INPUT + 'layer { type: "Data" top: "d" }': (3, "deploy.prototxt"),
    'input: "data" input_dim: 3 layer { type: "ReLU" bottom: "data" top: "x" }': (1, "four for each"),
    INPUT + 'layer { type: "Accuracy" bottom: "data" top: "x" }': (3, "no layer of this network"),
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_refused_is_named_with_its_line(text: str) -> None:
    line, said = WRONG[text]
    with pytest.raises(Refused) as refused:
        read(text)
    found = refused.value.found
    assert found.span.line == line and said in f"{found.message} {found.hint}", found


def test_phases_losses_and_the_old_format() -> None:
    text = (
        INPUT
        + """
    layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } blobs_lr: 1 }
    layers { name: "drop" type: DROPOUT bottom: "conv" top: "conv" include { phase: TRAIN } }
    layers { name: "loss" type: SOFTMAX_LOSS bottom: "conv" bottom: "data" top: "loss" }
    """
    )
    imported = read(text)
    assert [node.kind for node in archc.loads(imported.text).nodes] == ["conv"]
    assert imported.notes == ("SoftmaxWithLoss on line 6 is no layer here",)


def test_a_normalization_that_others_read_stays_apart() -> None:
    net = nets.Net("net", 4, 5, 5)
    net.layer("bn", "BatchNorm")
    net.layer("scale", "Scale", "scale_param { bias_term: true }")
    net.layer("both", "Eltwise", bottoms=["bn", "scale"])
    graph = archc.loads(read(net.text).text)
    assert [node.kind for node in graph.nodes] == ["batchnorm", "layer_scale", "parameter", "add", "add"]
