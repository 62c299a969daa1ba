"""What the page is given: equal to the analysis, for every batch, dtype and optimizer."""

from __future__ import annotations

import json
from typing import Any

import pytest

import archc
from archc.analysis.compare.diff import compare
from archc.analysis.cost.derive import DerivationStep
from archc.analysis.cost.report import analyze
from archc.analysis.memory.timeline import Options, inference, training
from archc.analysis.time.roofline import roofline
from archc.catalog.devices.catalogue import find, shipped
from archc.catalog.devices.device import Device
from archc.catalog.dtypes import ARITHMETIC
from archc.catalog.optimizers import OPTIMIZERS
from archc.graph import Graph
from archc.html.bounds import amount_of, devices
from archc.html.data import TrainingChoice, difference, record
from archc.html.network import network
from archc.html.tapes import memory
from tests.helpers.zoo import SPECS
from tests.html.replay import peak

SAMPLE = ("lenet5", "resnet18", "inception_v3", "vit_b16")  # residuals, branches and a head, attention
MANY = (*SAMPLE, "densenet121", "unet", "mobilenet_v2", "fractalnet20", "lambda_resnet26t", "googlenet_caffe", "autoencoder")
BATCHES = (1, 2, 7, 64, 256)
WIDTHS = {"float32": 4, "bfloat16": 2, "float64": 8, "autocast": 4}


def names_of(found: dict[str, Any]) -> list[str]:
    """The layers' names, put together as the page does."""
    scopes, layers = found["scopes"], found["layers"]

    def scope(number: int) -> str:
        above = scopes["parent"][number]
        return "" if above < 0 else f"{scope(above)}.{scopes['label'][number]}".lstrip(".")

    return [f"{scope(at)}.{label}".lstrip(".") for at, label in zip(layers["scope"], layers["label"], strict=True)]


@pytest.mark.parametrize("name", SAMPLE)
def test_layers_are_those_of_the_analysis(name: str) -> None:
    graph = archc.load(name)
    found, report = network(graph), analyze(graph)
    layers, tables = found["layers"], found["layers"]["tables"]
    assert names_of(found) == [layer.name for layer in report.layers]
    for key in ("weights", "biases", "buffers", "macs", "flops"):
        assert layers[key] == [getattr(layer, key).low for layer in report.layers]
    assert [tables["shapes"][i] for i in layers["shape"]] == [str(layer.output_shape) for layer in report.layers]
    assert [tables["fields"][i] for i in layers["field"]] == [str(layer.field) for layer in report.layers]
    assert [values * (storage == 0) for values, storage in zip(layers["values"], layers["storage"], strict=True)] == [
        layer.activations for layer in report.layers
    ]
    deployed = archc.analyze(graph)
    counted = [i for i in range(len(report.layers)) if i not in layers["train"]]
    assert sum(layers["macs"][i] for i in counted) == deployed.macs
    assert sum(layers["weights"][i] + layers["biases"][i] for i in counted) == deployed.parameters


@pytest.mark.parametrize("name", SAMPLE)
def test_derivations_are_those_of_explain(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from archc.cli.main import main

    graph = archc.load(name)
    found = network(graph)
    assert main(["explain", name, "*", "--format", "json"]) == 0
    explained = json.loads(capsys.readouterr().out)["layers"]
    assert len(explained) == len(graph.nodes)
    for one, numbers in zip(explained, found["derived"], strict=True):
        assert [DerivationStep(**step) for step in one["steps"]] == [found["steps"][number] for number in numbers]


def test_counts_that_are_bounds_say_so() -> None:
    from archc.analysis.cost.count import Count
    from archc.html.network import _count

    assert _count(Count(3, 3)) == 3 and _count(Count(3, 9)) == [3, 9] and _count(Count(0, None)) == [0, None]


def equal_peaks(graph: Graph, batches: tuple[int, ...], optimizers: tuple[str, ...]) -> None:
    """Peak, place and composition as the simulation finds them."""
    played = memory(graph)
    assert played is not None
    for batch in batches:
        for dtype, item in WIDTHS.items():
            amp = "bfloat16" if dtype == "autocast" else ""
            way = " amp" if amp else ""
            for optimizer in optimizers:
                found = training(graph, Options(batch, dtype="float32" if amp else dtype, optimizer=optimizer, device="cuda", amp=amp))
                size, mark, kinds = peak(played, "training" + way, batch, item, optimizer)
                assert (size, kinds) == (found.peak_bytes, found.by_kind()), (batch, dtype, optimizer)
                tapes = played["tapes"]["training" + way]
                _, phase, layer = tapes[len(tapes) - 1 if batch == 1 else 0]["marks"][mark]
                where = found.peak_mark
                assert played["phases"][phase] == where.phase and (graph.nodes[layer] if layer >= 0 else None) is where.layer
            still = inference(graph, Options(batch, dtype="float32" if amp else dtype, device="cuda", amp=amp))
            size, _, kinds = peak(played, "inference" + way, batch, item, "sgd")
            assert (size, kinds) == (still.peak_bytes, still.by_kind()), (batch, dtype)


@pytest.mark.parametrize("name", SAMPLE)
def test_peaks_are_those_of_the_simulation(name: str) -> None:
    equal_peaks(archc.load(name), (1, 7), ("adam",))


@pytest.mark.heavy
@pytest.mark.parametrize("name", MANY)
def test_all_peaks_are_those_of_the_simulation(name: str) -> None:
    equal_peaks(archc.load(name), BATCHES, tuple(OPTIMIZERS))


@pytest.mark.heavy
@pytest.mark.parametrize("name", SPECS)
def test_every_network_that_ships_has_tapes_that_are_exact(name: str) -> None:
    graph = archc.load(name)
    played = memory(graph)
    assert played is not None
    for batch in (1, 5, 64):
        assert peak(played, "training", batch, 4, "adam")[0] == archc.memory(graph, batch=batch, optimizer="adam").peak_bytes


def test_a_batch_of_one_has_its_own_tape_where_it_differs() -> None:
    tapes = {name: len(memory(archc.load(name))["tapes"]["training"]) for name in ("resnet18", "vit_b16")}  # type: ignore[index]
    assert tapes == {"resnet18": 1, "vit_b16": 2}


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("learning", [True, False])
def test_bounds_are_those_of_the_roofline(name: str, learning: bool) -> None:
    graph, device = archc.load(name), find("a100")
    layers = network(graph)["layers"]
    for batch in BATCHES:
        for dtype in ("float32", "bfloat16", "float64"):
            found = roofline(graph, device, batch, dtype, learning)
            left_out = set() if learning else {*layers["train"], *layers["idle"]}
            rows = [
                (
                    amount_of([] if i in left_out else layers["ahead"][i], batch, ARITHMETIC[dtype]),
                    amount_of(layers["back"][i] if learning else [], batch, ARITHMETIC[dtype]),
                )
                for i in range(len(graph.nodes))
                if learning or i not in layers["train"]
            ]
            assert rows == [(layer.forward.amount, layer.backward.amount) for layer in found.layers]


def test_devices_are_those_that_state_a_peak() -> None:
    found = devices(find("a100"))
    assert [one["key"] for one in found] == [key for key, one in shipped().items() if one.flops]
    own = Device("a100-40gb", "mine", 1e9, {"float32": 1e12})
    assert [one["name"] for one in devices(own)].count("mine") == 1 and len(devices(own)) == len(found)
    other = Device("other", "mine", 1e9, {})
    assert devices(other)[0]["name"] == "mine" and len(devices(other)) == len(found) + 1


def test_the_difference_is_that_of_diff() -> None:
    old, new = archc.load("resnet50"), archc.load("resnext50_32x4d")
    found, wanted = difference(old, new), compare(old, new)
    assert sum(one["times"] for one in found["changes"]) == len(wanted.changes)
    assert sum(one["costs"]["macs"] for one in found["changes"]) + found["reshaped_costs"]["macs"] == (
        archc.analyze(new).macs - archc.analyze(old).macs
    )
    assert (found["same"], found["reshaped"]) == (wanted.same, wanted.reshaped)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"batch": 0}, "1 to 65,536 images"),
        ({"batch": 10**6}, "1 to 65,536"),
        ({"dtype": "int8"}, "no dtype"),
        ({"optimizer": "lyon"}, "no optim"),
    ],
)
def test_a_choice_that_is_not_known_is_refused(choice: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TrainingChoice(**choice)


def test_the_record_is_json() -> None:
    found = record([archc.load("lenet5")], find("a100"), TrainingChoice())
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(found, sort_keys=True))
