"""Names that archc has nothing for, and slips of the hand: what is said of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.aliases import hints
from archc.elaborate.compiler import compile_text
from archc.ops import OPERATORS
from archc.ops.shape import divisors
from tests.helpers.hints import MAP, hint_of, params, said, signature

REFUSED = [
    ("ConvLSTM2D", "archc has no recurrent layers but rnn, gru and lstm"),
    ("kernel_size", "an argument of that name is here `kernel` of conv"),
    ("in_channels", "archc infers it from the input"),
    ("Sequential", "a chain is a list of entries"),
]


@pytest.mark.parametrize(("word", "words"), REFUSED)
def test_docs_say_what_a_name_means_that_is_no_layer(word: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    from archc.cli.main import main

    assert main(["docs", word]) == 2
    assert words in capsys.readouterr().err


@given(
    st.sampled_from(["conv", "maxpool", "avgpool"]),
    st.lists(st.integers(2, 12), min_size=2, max_size=2),
    st.integers(1, 30),
    st.integers(1, 4),
    st.integers(1, 3),
    st.booleans(),
)
def test_what_fits_of_a_window_that_does_not(kind: str, size: list[int], kernel: int, stride: int, dilation: int, ceil: bool) -> None:
    """The kernel of the hint fits and one more does not; the padding fits and one less does not."""
    of_kind = {
        "conv": f"channels: 2, dilation: {dilation}",
        "maxpool": f"ceil: {str(ceil).lower()}, dilation: 1",
        "avgpool": "ceil: false",
    }[kind]

    def failed(kernel: object, padding: object) -> list[Any]:
        return said(f"{{{kind}: {{kernel: {kernel}, padding: {padding}, stride: {stride}, {of_kind}}}}}", [2, *size])

    found = [one.hint for one in failed(kernel, 0) if "does not fit a map" in one.message]
    if found:
        match = re.match(r"kernel: (.*) is the largest that fits, padding: (.*) the least for this one", found[0])
        assert match is not None
        kernels, pads = (json.loads(text) for text in match.groups())
        kernels, pads = ([one] * 2 if isinstance(one, int) else one for one in (kernels, pads))
        assert not failed(kernels, 0) and not failed(kernel, pads)
        for axis in range(2):
            larger = [one + (at == axis) for at, one in enumerate(kernels)]
            less = [one - (at == axis) for at, one in enumerate(pads)]
            assert larger[axis] > kernel or failed(larger, 0)
            assert less[axis] < 0 or failed(kernel, less)


@given(st.integers(1, 10**6), st.integers(1, 2000))
def test_divisors(number: int, near: int) -> None:
    text = divisors(number, near, "groups").removeprefix("groups: ")
    found = [int(one) for one in re.split(", | or ", text)]
    true = sorted((one for one in range(1, number + 1) if number % one == 0), key=lambda one: abs(one - near)) if number < 5000 else found
    assert (
        all(number % one == 0 for one in found)
        and found == sorted(found)
        and {abs(one - near) for one in found} == {abs(one - near) for one in true[:6]}
    )


LACKING = [
    ("maxpool", "as in {maxpool: 2}"),
    ("conv", "as in {conv: 64}"),
    ("{conv: {kernel: 3, padding: 1}}", "as in {conv: {channels: 64, kernel: 3, padding: 1}}"),
    ("embedding", "as in {embedding: {entries: 1000, features: 64}}"),
    ("bottleneck", "as in {bottleneck: {mid: 64, channels: 256}}"),
    ("{conv: {channels: 64.5}}", "write 64 or 65; an expression is rounded by int(…), round(…) or round_to(…, 8)"),
    ("{conv: {channels: 0.5}}", "write 1; an expression is rounded by int(…), round(…) or round_to(…, 8)"),
    ("{conv: {channels: 8, kernel: 0}}", "write 1 or more"),
    ("{conv: {channels: 8, kernel: [3, 0]}}", "write 1 or more in place of 0"),
    ("{conv: {channels: 8, kernel: 3, padding: -1}}", "write 0 or more"),
    ("{conv: {channels: 8, groups: 3}}", "groups: 1, 2 or 4"),
    ("{groupnorm: 3}", "groups: 1, 2 or 4"),
]


@pytest.mark.parametrize(("entry", "hint"), LACKING)
def test_hint_of_what_a_layer_lacks_or_has_too_much_of(entry: str, hint: str) -> None:
    assert hint_of(entry) == hint


def test_every_example_is_valid() -> None:
    """What a layer is drawn with that lacks its arguments has no mistake but that the shape may be another's."""
    for kind in OPERATORS:
        lacking = [name for name, param in signature(kind).params.items() if param.required]
        if lacking:
            example = hints.example(kind, {}, lacking, params(kind))
            assert example.startswith("as in {"), example
            found = said(example.removeprefix("as in "), MAP)
            assert not [one for one in found if one.code not in ("A501", "A502")], (example, found)


# What tired people type, a whole `layers`, and the hint of the first mistake.
SLIPS = [
    ("- conv 64", "write {conv: 64}"),
    ("- conv = 64", "write {conv: 64}"),
    ("- conv[64]", "write {conv: 64}"),
    ("- relu,", "write relu"),
    ("- relu, flatten", "write two entries, - relu and - flatten"),
    ("- self.conv1 = nn.Conv2d(4, 64, 3)", "write {conv: {channels: 64, kernel: 3}} (in_channels is inferred)"),
    ("- x = F.relu(x)", "write relu"),
    ("- conv channels: 64", "write {conv: 64}"),
    ("- xyzzy 3", f"`archc docs` lists the layers; {hints.PLUGIN}"),
    ("- conv: 64 x 3", "for copies, write `repeat` beside the layer: {repeat: 3, conv: 64}"),
    ("- x3: {conv: 64}", "for copies, write `repeat` beside the layer: {repeat: 3, conv: 64}"),
    ("- conv: channels=64, kernel=3", "write {conv: {channels: 64, kernel: 3}}"),
    ("- conv:\n    - channels: 64\n    - kernel: 3", "write {conv: {channels: 64, kernel: 3}}"),
    ("- conv: 1,024", "write 1_024"),
    ("- conv: 64 -> relu", "a second layer is an entry of its own: [{conv: 64}, relu]"),
    ("- conv: 64 // first", "a comment begins with `#`: conv: 64  # first"),
    ("- conv: {channels: 8, kernel: 3*3}", "write [3, 3] for the sides"),
    ("- conv: {channels: 8, kernel: 3 3}", "write [3, 3]"),
    ("- conv: {channels: 8, kernel: [3]}", "write kernel: 3"),
    ("- conv: {channels: 8, kernel: [3, 3, 5]}", "one for each axis: H, W"),
    ("- conv: {channels: 8, bias: None}", "write false"),
    ("- conv: {channels: 8, bias: 'False'}", "write false"),
    ("- conv: {channels: 8, padding: null}", "leave it out"),
    ("- conv: «64»", "these quotation marks are part of the text; YAML uses \" and '"),
    ("- conv1: {conv: 64}", "a list has no names: - {conv: 64}; a mapping has no dashes: conv1: {conv: 64}"),
    ("- relu1: relu", "a list has no names: - relu; a mapping has no dashes: relu1: relu"),
    ("conv: 64", "write a layer after a dash, - conv: 64, or a name: conv1: {conv: 64}"),
    ("conv1: 64", "write a layer after its name: conv1: {conv: 64}"),
    ("-conv: 64", "write a dash and a space before each entry of a list: - conv: 64"),
    ("relu:", "write a layer after a dash, - relu, or a name: relu1: relu"),
    ("relu, flatten", "a list of entries, [relu, flatten], or a mapping of names to entries"),
    ("• relu", "a list of entries, [relu], or a mapping of names to entries"),
]


@pytest.mark.parametrize(("layers", "hint"), SLIPS, ids=[layers for layers, _ in SLIPS])
def test_hint_of_a_slip(layers: str, hint: str) -> None:
    text = "\n".join(f"  {line}" for line in layers.split("\n"))
    found = list(compile_text(f"archc: 1\ninput: {MAP}\nlayers:\n{text}\n").diagnostics)
    assert found[0].hint == hint


TOPS = [
    ("input: [3 32 32]", "write input: [3, 32, 32]"),
    ("input: ['3', 32.0, 32]", "write input: [3, 32, 32]"),
    ("input: [batch, 3, 32, 32]", "shapes have no batch axis: input: [3, 32, 32]"),
    ("input: [C, 32, 32]", "--input 224x32x32, or a default in the spec, `sizes: {C: 224}`; `analyze` and `explain` give formulas"),
    ("loss: mse\ninput: [3]", "it belongs to training: train: {loss: cross_entropy}"),
    ("classes: 10\ninput: [3]", "a number for expressions is a parameter: params: {classes: 10}"),
    ("version: 1\ninput: [3]", "the version of the language is written archc: 1"),
]


@pytest.mark.parametrize(("top", "hint"), TOPS)
def test_hint_at_the_top_of_a_spec(top: str, hint: str) -> None:
    assert next(iter(compile_text(f"{top}\nlayers: [relu]\n").diagnostics)).hint == hint


VALUES = [
    ("{conv: {channels: 8, kernel: 3, padding: SAME}}", "write same_upper"),
    ("{conv: {channels: 8, kernel: 3, padding: VALID}}", "write 0"),
    ("{conv: {channels: 8, kernel: 3, padding_mode: edge}}", "write replicate"),
    ("{conv: {channels: 8, kernel: 3, stride: 2x2}}", "write [2, 2]"),
    ("{upsample: {scale: 2, mode: bicubic}}", "archc interpolates nearest and linear alone"),
]


@pytest.mark.parametrize(("entry", "hint"), VALUES)
def test_hint_of_a_value(entry: str, hint: str) -> None:
    assert hint_of(entry) == hint
