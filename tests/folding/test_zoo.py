"""Every network that ships, folded: the same network again, and about as long as a person wrote it."""

from __future__ import annotations

import random
import re

import pytest

import archc
from archc.analysis.compare.exact import differences
from archc.analysis.compare.normal import bears
from archc.elaborate.compiler import compile_text
from archc.graph import Scope
from archc.graph.write_spec import flat_text
from tests.helpers.paths import ROOT
from tests.helpers.zoo import SPECS, some_of

TOLD_ELSEWHERE = ("paper", "expect", "published", "train", "init", "budget")  # what is no architecture
RENAMED = "other_"
OFTEN = "lenet5 resnet50 mobilenet_v2 vit_b16 googlenet densenet_40_12 wide_resnet28_10 unet"


def lines(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def lines_by_hand(name: str) -> int:
    """The lines of a spec that are architecture, with those of the spec that it extends."""
    found, told, base = 0, True, None
    for line in (ROOT / "specs" / f"{name}.yaml").read_text().splitlines():
        if key := re.match(r"([a-z_]+):\s*(.*)", line):
            told = key[1] not in TOLD_ELSEWHERE
            base = key[2].removesuffix(".yaml") if key[1] == "extends" else base
        found += told and lines(line)
    return found + (lines_by_hand(base) if base else 0)


@some_of(OFTEN, " ".join(name for name in SPECS if name not in OFTEN.split()))
def test_a_folded_spec_is_the_same_network(name: str) -> None:
    graph = archc.load(name)
    text = archc.fold(graph)
    assert text != flat_text(graph)
    again = archc.loads(text)
    assert differences(graph, again) == []
    assert [node.name for node in again.nodes if node.facts.weights] == [node.name for node in graph.nodes if node.facts.weights]
    assert archc.fold(again) == text


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "vit_b16", "densenet_40_12", "allcnn_c", "resnet20_cifar"])
def test_it_is_as_short_as_by_hand(name: str) -> None:
    assert lines(archc.fold(name)) <= 1.1 * lines_by_hand(name)


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "googlenet"])
def test_every_change_of_a_folded_spec_is_noticed(name: str) -> None:
    """One number of the layers changed: it is refused, or another network."""
    text = archc.fold(name)
    graph, noticed = archc.load(name), 0
    start = text.index("layers:")
    places = [match for match in re.finditer(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", text) if match.start() > start]
    for match in random.Random(0).sample(places, min(12, len(places))):
        other = text[: match.start()] + str(int(float(match[0])) + 1) + text[match.end() :]
        again = compile_text(other).graph
        noticed += 1
        assert again is None or differences(graph, again) != [], f"{match[0]} at {match.start()}"
    assert noticed > 5


@some_of("lenet5 mobilenet_v2 unet", " ".join(sorted({*SPECS} - {"lenet5", "mobilenet_v2", "unet"})))
def test_names_of_layers_without_tensors_decide_nothing(name: str) -> None:
    """Renamed, all parts are the same blocks, and the text differs in these names alone."""
    graph = archc.loads(archc.fold(name))
    text = archc.fold(graph)
    _rename_free_layers(graph.root)
    renamed = archc.fold(graph)
    assert re.sub(rf"\b{RENAMED}(?=\w)", "", renamed) == text
    assert differences(archc.load(name), archc.loads(renamed)) == []


def _rename_free_layers(scope: Scope) -> None:
    merges = {child.label for child in scope.children if isinstance(child, Scope)}  # whose branches have their names
    for child in scope.children:
        if isinstance(child, Scope):
            _rename_free_layers(child)
        elif not bears(child) and child.label not in merges and not child.label.isdigit():
            child.name = f"{child.name.removesuffix(child.label)}{RENAMED}{child.label}"
            child.label = RENAMED + child.label
