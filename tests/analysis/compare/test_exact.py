"""Whether two networks are the same one: what the comparison sees beside layers, and what it leaves out."""

from __future__ import annotations

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
