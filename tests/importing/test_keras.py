"""Models of Keras: published figures, layers with their weights as Keras computes them with channels last, and what is refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import archc
from archc.importing.draft import Refused
from archc.importing.imported import Imported, ImportedError
from archc.importing.keras import read_keras
from archc.importing.keras.weights import snake
from tests.importing import keras_models as models
from tests.importing.keras_models import Model

# As keras.applications' summaries print them: all weights, and those that are trained.
PUBLISHED = {
    "vgg16": (138_357_544, 138_357_544), "resnet50": (25_636_712, 25_583_592), "mobilenet": (4_253_864, 4_231_976),
    "xception": (22_910_480, 22_855_952),
}  # fmt: skip


def read(folder: Path, text: str, weights: Path | None = None) -> Imported:
    file = folder / "net.json"
    file.write_text(text)
    return read_keras(file, "net", weights)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters(name: str, tmp_path: Path) -> None:
    graph = archc.loads(read(tmp_path, getattr(models, name)()).text)
    learned = archc.analyze(graph).parameters
    statistics = sum(weight.shape[0] for node in graph.nodes for weight in node.facts.owned if weight.name.startswith("running_"))
    assert (learned + statistics, learned) == PUBLISHED[name]


# Keras' layers over arrays [H, W, C]


def sides(size: int, k: int, s: int, same: bool) -> tuple[int, int, int]:
    """What is padded before and after, and the size that comes out."""
    out = -(-size // s) if same else (size - k) // s + 1
    total = max((out - 1) * s + k - size, 0) if same else 0
    return total // 2, total - total // 2, out


def windows(x: np.ndarray, k: int, s: int, same: bool, fill: float = 0.0) -> np.ndarray:
    """[H', W', k, k, C]."""
    (top, bottom, height), (left, right, width) = (sides(size, k, s, same) for size in x.shape[:2])
    x = np.pad(x, ((top, bottom), (left, right), (0, 0)), constant_values=fill)
    return np.array([[x[i * s : i * s + k, j * s : j * s + k] for j in range(width)] for i in range(height)])


def conv(x: np.ndarray, w: np.ndarray, s: int = 1, same: bool = True, groups: int = 1) -> np.ndarray:
    parts = []
    for at, kernel in enumerate(np.split(w, groups, axis=3)):
        wide = w.shape[2]
        parts.append(np.einsum("hwklc,klco->hwo", windows(x, w.shape[0], s, same)[..., at * wide : (at + 1) * wide], kernel))
    return np.concatenate(parts, 2)


def depthwise(x: np.ndarray, w: np.ndarray, s: int = 1, same: bool = True) -> np.ndarray:
    out = np.einsum("hwklc,klcm->hwcm", windows(x, w.shape[0], s, same), w)
    return out.reshape(*out.shape[:2], -1)


def transposed(x: np.ndarray, w: np.ndarray, s: int, same: bool) -> np.ndarray:
    k, out = w.shape[0], w.shape[2]
    full = np.zeros((*((size - 1) * s + max(k, s) for size in x.shape[:2]), out))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            full[i * s : i * s + k, j * s : j * s + k] += np.einsum("kloc,c->klo", w, x[i, j])
    if not same:
        return full
    before = max(k - s, 0) // 2
    return full[before : before + x.shape[0] * s, before : before + x.shape[1] * s]


def pooled(x: np.ndarray, k: int, s: int, same: bool, most: bool) -> np.ndarray:
    if most:
        return windows(x, k, s, same, -np.inf).max((2, 3))
    return windows(x, k, s, same).sum((2, 3)) / windows(np.ones_like(x), k, s, same).sum((2, 3))


class Drawn:
    """Weights of layers, drawn as they are asked for, in the order in which Keras keeps them."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(0)
        self.held: dict[str, list[np.ndarray]] = {}

    def __call__(self, name: str, *shapes: tuple[int, ...]) -> list[np.ndarray]:
        self.held[name] = [np.abs(self.draw.normal(0, 0.4, shape)).astype("float32") + 0.05 if len(shape) == 1 else
                           self.draw.normal(0, 0.4, shape).astype("float32") for shape in shapes]  # fmt: skip
        return self.held[name]


def every_layer() -> str:
    net = Model("net", 9, 8, 3)
    a = net.conv("conv/same", 6, 3, 2, activation="relu")
    net.layer("BatchNormalization", "bn", axis=[3], scale=False)
    net.layer("LeakyReLU", "leaky", negative_slope=0.2)
    net.layer("DepthwiseConv2D", "depth", kernel_size=3, strides=2, padding="same", depth_multiplier=2)
    net.layer("SeparableConv2D", "separable", filters=5, kernel_size=2, padding="same", activation="tanh")
    net.layer("Conv2DTranspose", "up_odd", filters=4, kernel_size=3, strides=2, padding="same", use_bias=True)
    net.layer("Conv2DTranspose", "up_small", filters=4, kernel_size=2, strides=3, padding="valid")
    net.layer("AveragePooling2D", "mean", pool_size=3, strides=2, padding="same")
    net.layer("MaxPooling2D", "most", pool_size=[3, 3], strides=[1, 1], padding="same")
    b = net.layer("PReLU", "prelu", shared_axes=[1, 2])
    net.layer("GlobalAveragePooling2D", "squeeze")
    net.layer("Dense", "gate", units=4, activation="sigmoid")
    net.layer("Reshape", "expand", target_shape=[1, 1, 4])
    c = net.layer("Multiply", "scaled", [b, net.top])
    net.layer("Flatten", "flat_a", [a])
    d = net.layer("Dense", "dense_a", units=7)
    net.layer("Flatten", "flat_b", [c])
    net.layer("BatchNormalization", "bn_flat", center=False)
    e = net.layer("Dense", "dense_b", units=7, use_bias=False)
    net.layer("Concatenate", "both", [d, e])
    net.layer("LayerNormalization", "layernorm", axis=-1)
    net.layer("Activation", "softmax", activation="softmax")
    return net.text


def forward(x: np.ndarray, w: Drawn) -> np.ndarray:
    k, b = w("conv/same", (3, 3, 3, 6), (6,))
    a = x = np.maximum(conv(x, k, 2) + b, 0)
    beta, mean, var = w("bn", (6,), (6,), (6,))
    x = (x - mean) / np.sqrt(var + 1e-3) + beta
    x = np.where(x > 0, x, 0.2 * x)
    k, b = w("depth", (3, 3, 6, 2), (12,))
    x = depthwise(x, k, 2) + b
    k, p, b = w("separable", (2, 2, 12, 1), (1, 1, 12, 5), (5,))
    x = np.tanh(conv(depthwise(x, k), p) + b)
    k, b = w("up_odd", (3, 3, 4, 5), (4,))
    x = transposed(x, k, 2, True) + b
    k, b = w("up_small", (2, 2, 4, 4), (4,))
    x = transposed(x, k, 3, False) + b
    x = pooled(pooled(x, 3, 2, True, False), 3, 1, True, True)
    (alpha,) = w("prelu", (1, 1, 4))
    x = np.where(x > 0, x, alpha * x)
    k, b = w("gate", (4, 4), (4,))
    x = x * (1 / (1 + np.exp(-(x.mean((0, 1)) @ k + b))))
    k, b = w("dense_a", (a.size, 7), (7,))
    d = a.ravel() @ k + b
    gamma, mean, var = w("bn_flat", *[(x.size,)] * 3)
    (k,) = w("dense_b", (x.size, 7))
    x = np.concatenate([d, ((x.ravel() - mean) / np.sqrt(var + 1e-3) * gamma) @ k])
    gamma, beta = w("layernorm", (14,), (14,))
    x = (x - x.mean()) / np.sqrt(x.var() + 1e-3) * gamma + beta
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def write_newer(file: Any, config: dict[str, Any], held: dict[str, list[np.ndarray]]) -> None:
    """As Keras 3: layers by their class, counted."""
    h5py = pytest.importorskip("h5py")
    seen: Counter[str] = Counter()
    with h5py.File(file, "w") as made:
        for layer in config["config"]["layers"]:
            word = snake(layer["class_name"])
            group = made.create_group(f"layers/{word}_{seen[word]}/vars" if seen[word] else f"layers/{word}/vars")
            seen[word] += 1
            for at, array in enumerate(held.get(layer["name"], [])):
                group[str(at)] = array


def write_older(file: Any, held: dict[str, list[np.ndarray]]) -> None:
    """As Keras 2: layers by their names, with a list of the weights of each."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(file, "w") as made:
        made.attrs["layer_names"] = [name.encode() for name in held]
        for name, arrays in held.items():
            group = made.create_group(name)
            names = [f"{name}/w{at}:0" for at in range(len(arrays))]
            group.attrs["weight_names"] = [one.encode() for one in names]
            for one, array in zip(names, arrays, strict=True):
                group[one] = array


@pytest.fixture(scope="module")
def known() -> tuple[np.ndarray, np.ndarray, Drawn]:
    x, drawn = np.random.default_rng(1).normal(size=(9, 8, 3)).astype("float32"), Drawn()
    return x, forward(x, drawn), drawn


def outputs(imported: Imported, x: np.ndarray) -> np.ndarray:
    module = archc.build(archc.loads(imported.text)).eval()
    keys = module.load_state_dict({name: torch.tensor(np.array(one)) for name, one in imported.tensors.items()}, strict=False)
    assert not keys.unexpected_keys and all(name.endswith("num_batches_tracked") for name in keys.missing_keys)
    turned = torch.tensor(x).permute(2, 0, 1)[None] if x.ndim == 3 else torch.tensor(x)[None]
    with torch.no_grad():
        return np.asarray(module(turned)[0].numpy())


@pytest.mark.parametrize("form", ["newer", "older", "archive", "whole"])
def test_weights_and_layers_are_those_of_keras(form: str, known: tuple[np.ndarray, np.ndarray, Drawn], tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    x, wanted, drawn = known
    text, file = every_layer(), tmp_path / "net.weights.h5"
    (write_older if form in ("older", "whole") else lambda file, held: write_newer(file, json.loads(text), held))(file, drawn.held)
    if form == "archive":
        with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
            archive.writestr("config.json", text)
            archive.write(file, "model.weights.h5")
        imported = read_keras(tmp_path / "net.keras", "net")
    elif form == "whole":
        with h5py.File(file, "r") as one, h5py.File(tmp_path / "net.h5", "w") as made:
            made.attrs["model_config"] = text
            one.copy("/", made, "model_weights")
            made["model_weights"].attrs["layer_names"] = one.attrs["layer_names"]
        imported = read_keras(tmp_path / "net.h5", "net")
    else:
        imported = read(tmp_path, text, file)
    np.testing.assert_allclose(outputs(imported, x), wanted, rtol=2e-4, atol=1e-5)


def test_models_within_and_layers_that_are_shared(tmp_path: Path) -> None:
    inner = Model("inner", 6, 6, 4)
    inner.conv("c", 4, 3)
    net = Model("net", 6, 6, 4)
    start = net.top
    entry = {**inner.config(), "name": "inner"}
    nodes = [
        {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": [start if at == 0 else "inner", 0, 0]}}], "kwargs": {}}
        for at in (0, 1)
    ]
    net.layers.append({**entry, "inbound_nodes": nodes})
    net.layer("Add", "sum", ["inner", start])
    net.layers[-1]["inbound_nodes"][0]["args"][0][0]["config"]["keras_history"][1] = 1
    graph = archc.loads(read(tmp_path, net.text).text)
    first, second, total = graph.nodes
    assert (first.name, second.shared, total.kind) == ("inner.c", first, "add")
    assert archc.analyze(graph).parameters == 4 * 4 * 9 + 4


def test_sequences_keep_their_axes(tmp_path: Path) -> None:
    """An embedding, a causal convolution, a dense layer for each token; the channels come back behind the tokens."""
    pytest.importorskip("h5py")
    layers = [
        {"class_name": "Embedding", "config": {"name": "e", "input_dim": 11, "output_dim": 4, "batch_input_shape": [None, 6]}},
        {"class_name": "Conv1D", "config": {"name": "c", "filters": 5, "kernel_size": [3], "padding": "causal", "activation": "relu"}},
        {"class_name": "Dense", "config": {"name": "d", "units": 3}},
        {"class_name": "GlobalMaxPooling1D", "config": {"name": "m"}},
    ]
    text = json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": layers}, "keras_version": "2.15.0"})
    draw = Drawn()
    ((e,), (k, b), (dk, db)) = draw("e", (11, 4)), draw("c", (3, 4, 5), (5,)), draw("d", (5, 3), (3,))
    write_older(tmp_path / "w.h5", draw.held)
    tokens = np.array([1, 5, 2, 0, 7, 10])
    x = np.pad(e[tokens], ((2, 0), (0, 0)))
    x = np.maximum(np.stack([np.einsum("kc,kco->o", x[at : at + 3], k) for at in range(6)]) + b, 0) @ dk + db
    np.testing.assert_allclose(outputs(read(tmp_path, text, tmp_path / "w.h5"), tokens), x.max(0), rtol=1e-5)


@pytest.mark.parametrize(("older", "wanted"), [(True, [0.0, 0.3, 0.7]), (False, [1 / 6 * 0, 2 / 6, 4 / 6])])
def test_a_word_that_means_another_function_in_keras_2(older: bool, wanted: list[float], tmp_path: Path) -> None:
    net = Model("net", 3)
    net.layer("Activation", "a", activation="hard_sigmoid")
    text = json.dumps({**net.config(), **({"keras_version": "2.9.0"} if older else {})})
    np.testing.assert_allclose(outputs(read(tmp_path, text), np.array([-3, -1, 1], "float32")), wanted, atol=1e-6)


def test_weights_that_are_not_those_of_the_network(known: tuple[np.ndarray, np.ndarray, Drawn], tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    held, file, text = known[2].held, tmp_path / "w.h5", every_layer()
    for wrong, said in (
        ({**held, "gate": held["gate"][:1]}, "gate has 1 weights there, and 2"),
        ({**held, "gate": [held["gate"][0].T[:2], held["gate"][1]]}, r"gate is \[2, 4\] there, and \[4, 4\]"),
        ({name: one for name, one in held.items() if name != "gate"}, "no weights of gate"),
    ):
        write_older(file, wrong)
        with pytest.raises(ImportedError, match=said):
            read(tmp_path, text, file)
    write_older(file, held)
    with h5py.File(file, "a") as made:
        del made["gate"]["gate/w0:0"]
        made["gate"]["gate/w0:0"] = h5py.ExternalLink("/etc/hostname", "/x")
    with pytest.raises(ImportedError, match="lies in another file"):
        read(tmp_path, text, file)
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ImportedError, match="is not HDF5, or is damaged"):
        read(tmp_path, text, file)


def test_archives_that_are_none_or_too_large(tmp_path: Path) -> None:
    file = tmp_path / "net.keras"
    for parts, said in (
        ({}, "has no config.json"),
        ({"config.json": b"\xff\xfe"}, "not UTF-8"),
        ({"config.json": bytes(17_000_000)}, "more than"),
    ):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
        with pytest.raises(ImportedError, match=said):
            read_keras(file, "net")
    made = io.BytesIO()
    net = Model("net", 3)
    net.layer("Dense", "d", units=2)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", net.text)
        archive.writestr("model.weights.h5", bytes(70 << 20))
    file.write_bytes(made.getvalue())
    with pytest.raises(ImportedError, match="cannot need"):
        read_keras(file, "net")
    for cut in (made.getvalue()[:-30], b"PK", b"\x80\x04pickle"):
        file.write_bytes(cut)
        with pytest.raises(ImportedError, match="no archive of Keras"):
            read_keras(file, "net")


def one(kind: str, registered: str | None = None, **config: Any) -> str:
    net = Model("net", 8, 8, 3)
    net.layer(kind, "x", **config)
    net.layers[-1]["registered_name"] = registered
    return json.dumps(net.config(), indent=1)


def _open() -> str:
    net = Model("net", None, None, 3)
    net.conv("c", 4, 3)
    return net.text


def _circle() -> str:
    net = Model("net", 8)
    net.layer("ReLU", "a", ["b"])
    net.layer("ReLU", "b", ["a"])
    return net.text


WRONG = {
    "": "no mapping",
    "[1, 2]": "no mapping",
    '{"class_name": "Functional"}': "no config",
    '{"class_name": "MyModel", "config": {}}': "keeps its layers in code",
    '{"class_name": "Sequential", "config": {"layers": []}}': "no layer stands here",
    '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"units": 3}}]}}': "shape of its input",
    '{"class_name": ' + "[" * 90: "",
    '{"class_name": "Functional", "config": {"layers"': "",
    one("Lambda", function={"code": "4wEAAAA=", "defaults": None}): "which is not run",
    one("TFOpLambda", function="math.add"): "which is not run",
    one("Lense", registered="mine>Lense"): "class of one's own",
    one("LSTM", units=3): "gates in another order",
    one("Conv2d", filters=3): "Conv",
    one("Conv2D", filters="three", kernel_size=3): "whole number",
    one("Conv2D", filters=3, kernel_size=[3, 3, 3]): "3 numbers for 2 axes",
    one("Conv2D", filters=3, kernel_size=3, padding="reflect"): "valid or same",
    one("Conv2D", filters=3, kernel_size=30): "does not fit",
    one("Conv2D", filters=4, kernel_size=3, groups=3): "do not divide",
    one("Conv2D", filters=3, kernel_size=3, activation="mine"): "has no operator",
    one("Conv2D", filters=3, kernel_size=3, activation={"class_name": "function", "config": "f"}): "is not made",
    one("Conv1D", filters=3, kernel_size=3): "2 axes beside the batch",
    one("BatchNormalization", axis=2): "another axis",
    one("Reshape", target_shape=[7]): "reshape",
    one("Dropout", rate=7): "dropout",
    one("ZeroPadding2D", padding=[[1, 1]]): "1 entries for 2 axes",
    _open(): "size is open",
    _circle(): "waits for itself",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_refused_is_named_with_its_place(text: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        read(tmp_path, text)
    found = refused.value.found
    assert WRONG[text] in f"{found.message} {found.hint}", found
    assert found.span.line > 3 or "\n" not in text
