"""Whether two networks are the same one: what the comparison sees beside layers, and what it leaves out."""

from __future__ import annotations

import pytest

import archc
from archc.analysis.compare.exact import differences


def flattened(declared: str) -> archc.Graph:
    return archc.loads(f"archc: 1\ninput: {declared}\nlayers: [flatten]\n")


def embedded(declared: str) -> archc.Graph:
    return archc.loads(f"archc: 1\ninput: {declared}\nlayers:\n  e: {{embedding: {{entries: 10, features: 4}}}}\n")


def test_inputs_of_other_dtypes_are_other_networks() -> None:
    whole = flattened("{x: {shape: [3, 4, 4], dtype: uint8}}")
    assert differences(flattened("[3, 4, 4]"), whole) == ["inputs of dtypes ['same'], and ['uint8']"]
    assert differences(whole, archc.loads(archc.fold(whole))) == []


def test_an_input_has_the_dtype_that_its_layers_want() -> None:
    assert differences(embedded("[16]"), embedded("{x: {shape: [16], dtype: int64}}")) == []
    assert differences(embedded("[16]"), embedded("{x: {shape: [16], dtype: int32}}")) != []


def network(layers: str, shape: str = "[4, 9, 9]") -> archc.Graph:
    return archc.loads(f"archc: 1\ninput: {shape}\nlayers:\n" + "".join(f"  {line}\n" for line in layers.strip().splitlines()))


ONE_THING = {
    "a border before a convolution": (
        "p: {pad: {sides: [0, 1, 0, 1]}}\nc: {conv: {channels: 4, kernel: 4, stride: 2}}",
        "c: {conv: {channels: 4, kernel: 4, stride: 2, padding: [[0, 1], [0, 1]]}}",
        "p: {pad: {sides: [1, 0, 0, 1]}}\nc: {conv: {channels: 4, kernel: 4, stride: 2}}",
    ),
    "TensorFlow's border": (
        "c: {conv: {channels: 4, kernel: 4, stride: 2, padding: same_upper}}",
        "p: {pad: {sides: [1, 2, 1, 2]}}\nc: {conv: {channels: 4, kernel: 4, stride: 2}}",
        "c: {conv: {channels: 4, kernel: 4, stride: 2, padding: 1}}",
    ),
    "a border that no maximum takes": (
        "p: {pad: {sides: [0, 1, 0, 1], value: -inf}}\nm: {maxpool: 2}",
        "m: {maxpool: {kernel: 2, padding: [[0, 1], [0, 1]]}}",
        "p: {pad: {sides: [0, 1, 0, 1]}}\nm: {maxpool: 2}",
    ),
    "sums of sums": (
        "a: {from: input, relu: }\nb: {from: input, tanh: }\nc: {from: [a, b], add: }\nd: {from: [c, input], add: }",
        "a: {from: input, relu: }\nb: {from: input, tanh: }\nd: {from: [input, a, b], add: }",
        "a: {from: input, relu: }\nb: {from: input, tanh: }\nd: {from: [a, a, b], add: }",
    ),
    "a mean of two": (
        "a: {from: input, relu: }\nd: {from: [a, input], average: }",
        "a: {from: input, relu: }\nc: {from: [a, input], add: }\nd: {div: 2}",
        "a: {from: input, relu: }\nc: {from: [a, input], add: }\nd: {div: 3}",
    ),
    "places as a sequence": ("t: tokens", "r: {reshape: [4, 81]}\nt: {transpose: {axes: [0, 1]}}", "t: {reshape: [81, 4]}"),
    "a cut of the middle": (
        "c: {center_crop: 4}",
        "c: {crop: {sides: [2, 3, 0, 0]}}\nd: {crop: {sides: [0, 0, 2, 3]}}",
        "c: {crop: {sides: [3, 2, 2, 3]}}",
    ),
    "what does nothing": ("r: relu\nd: {dropout: 0}\ni: identity", "r: relu", "r: relu\nd: {dropout: 0.1}"),
    "an axis from the last": ("s: {softmax: {axis: -1}}", "s: {softmax: {axis: 2}}", "s: {softmax: {axis: 1}}"),
    "a dropped path": ("d: {drop_path: 0.07500000000000001}", "d: {drop_path: 0.075}", "d: {drop_path: 0.0751}"),
}


@pytest.mark.parametrize("name", ONE_THING)
def test_two_spellings_of_one_thing(name: str) -> None:
    one, same, other = map(network, ONE_THING[name])
    assert differences(one, same) == [] and differences(same, one) == []
    assert differences(one, other) != [] and differences(same, other) != []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a: {add: 3}\nb: {add: 3}", "b: {add: 3}"),  # of constants
        ("a: {from: input, relu: }\nc: {from: [a, input], add: }\nd: {from: [c, input], add: }\ne: {from: [c, d], mul: }",
         "a: {from: input, relu: }\nd: {from: [a, input, input], add: }\ne: {from: [d, d], mul: }"),  # of a sum that is read elsewhere
        ("p: {pad: {sides: [0, 1, 0, 1], mode: reflect}}\nc: {conv: {channels: 4, kernel: 2}}",
         "c: {conv: {channels: 4, kernel: 2, padding: [[0, 1], [0, 1]]}}"),
        ("c: {conv: {channels: 4, kernel: 2, padding: [[0, 1], [0, 1]]}}", "c: {conv: {channels: 4, kernel: 2, padding: [0, 1]}}"),
        ("p: {pad: {sides: [1, 1, 1, 1]}}\na: {avgpool: {kernel: 3, stride: 1, count_padding: false}}",
         "a: {avgpool: {kernel: 3, stride: 1, padding: 1, count_padding: false}}"),
    ],
)  # fmt: skip
def test_what_only_looks_alike(one: str, other: str) -> None:
    assert differences(network(one), network(other)) != []


def test_a_shared_layer_has_any_name() -> None:
    """Its tensors are the other layer's, in a state_dict, too."""
    first = "a: {conv: {channels: 4, kernel: 1}}\n"
    assert differences(network(first + "b: {share: a}"), network(first + "c: {share: a}")) == []
    assert differences(network(first + "b: {share: a}"), network(first + "b: {conv: {channels: 4, kernel: 1}}")) != []
