"""What an input is declared to hold: read, written, counted, and refused where no layer could take it."""

from __future__ import annotations

from typing import Any

import pytest

import archc
from archc.graph.dtypes import input_dtypes, input_limits
from archc.graph.write_spec import flat_text

TOKENS = "{embed: {embedding: {entries: 50, features: 8}}, out: {linear: 3}}"


def graph_of(given: str, layers: str = TOKENS) -> Any:
    return archc.loads(f"input: {given}\nlayers: {layers}\n")


@pytest.mark.parametrize(
    ("given", "declared", "bytes_"),
    [
        ("{shape: [6], dtype: int64}", "int64", 48),
        ("{shape: [6], dtype: int32}", "int32", 24),
        ("{tokens: {shape: [6], dtype: int64}}", "int64", 48),
        ("[6]", "int64", 48),
    ],
)
def test_tokens(given: str, declared: str, bytes_: int) -> None:
    graph = graph_of(given)
    (name,) = graph.inputs
    assert list(input_dtypes(graph).values()) == [declared] and input_limits(graph) == {name: 50}
    assert archc.analyze(graph).memory.input == bytes_


def test_a_mask_and_pixels() -> None:
    graph = graph_of(
        "{mask: {shape: [4, 5], dtype: bool}, pixels: {shape: [3, 4, 5], dtype: uint8}}",
        "{x: {from: pixels, div: 255}, y: {conv: {channels: 2, kernel: 1}}, s: {from: mask, sum: {axis: 0}}}",
    )
    assert archc.analyze(graph).memory.input == 20 + 60 and input_limits(graph) == {"mask": 2, "pixels": 256}


def test_it_is_written_and_read_again() -> None:
    graph = graph_of("{tokens: {shape: [6], dtype: int64}}")
    text = flat_text(graph)
    assert "tokens: {shape: [6], dtype: int64}" in text
    assert archc.loads(text).inputs["tokens"].dtype == "int64"


def test_another_shape_from_outside_keeps_the_dtype() -> None:
    graph = archc.loads(f"input: {{shape: [6], dtype: int32}}\nlayers: {TOKENS}\n", input=(9,))
    assert graph.inputs["input"].dtype == "int32" and graph.inputs["input"].shape == (9,)


@pytest.mark.parametrize(
    ("given", "layers", "code", "said"),
    [
        ("{shape: [6], dtype: int46}", TOKENS, "A402", 'did you mean "int64"'),
        ("{shape: [6], dtype: float32}", TOKENS, "A402", "the dtype of the network"),
        ("{a: {shape: [6], dtyp: int64}}", TOKENS, "A402", 'did you mean "dtype"'),
        ("{dtype: int64}", TOKENS, "A202", "no shape for the input"),
        ("{shape: [6], dtype: int64}", "[{linear: 3}]", "A502", "linear multiplies with weights, and input has int64"),
        ("{shape: [6], dtype: int64}", "[{reshape: [3, 2]}, {linear: 3}]", "A502", "0 has int64"),
        ("{shape: [6], dtype: bool}", TOKENS, "A502", "embedding takes whole numbers as indices, and input has bool"),
        ("[6]", "[sigmoid, {embedding: {entries: 5, features: 2}}]", "A502", "0 has numbers of the network's own dtype"),
    ],
)
def test_mistakes(given: str, layers: str, code: str, said: str) -> None:
    with pytest.raises(archc.SpecError) as error:
        graph_of(given, layers)
    assert f"error[{code}]" in str(error.value) and said in str(error.value)


def test_it_is_captured_and_exported(tmp_path: Any) -> None:
    torch = pytest.importorskip("torch")
    from archc.cli.main import main

    class Words(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(50, 8)

        def forward(self, x: Any) -> Any:
            return self.embed(x).mean(1)

    assert archc.capture(Words(), "6:int32").inputs["input"].dtype == "int32"
    spec = tmp_path / "words.yaml"
    spec.write_text(f"archc: 1\nname: words\ninput: {{shape: [6], dtype: int32}}\nlayers: {TOKENS}\n")
    assert main(["build", str(spec), "-o", str(tmp_path / "words.pt2")]) == 0
    given = [node.meta["val"] for node in torch.export.load(tmp_path / "words.pt2").graph.nodes if node.op == "placeholder"]
    assert torch.int32 in {value.dtype for value in given}
