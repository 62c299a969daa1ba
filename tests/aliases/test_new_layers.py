"""Hints for layers that other frameworks have with more arguments: none is lost where the network would be another one."""

from __future__ import annotations

import pytest

from archc.elaborate.compiler import compile_text
from archc.text.diagnostics import draw_all

HINTS = [
    ("RoIAlign: {output_size: 7, spatial_scale: 0.25}", "{roi_align: {size: 7, scale: 0.25}}"),
    ("F.scaled_dot_product_attention: {is_causal: true}", "causal: true"),
    ("tf.clip_by_value: {clip_value_min: 0, clip_value_max: 6}", "{clamp: {low: 0, high: 6}}"),
    ("GRU: {units: 32, return_sequences: false}", "{select: {axis: 0, index: -1}}"),
    ("torch.var: {dim: 1, unbiased: false}", "correction: 1 with Bessel's correction"),
    (
        "convolutional: {filters: 8, size: 3, pad: 1, activation: leaky, batch_normalize: 1}",
        "padding: same}} and - batchnorm and - {leaky_relu: 0.1}",
    ),
]


@pytest.mark.parametrize(("entry", "hint"), HINTS)
def test_an_argument_that_changes_the_network_is_in_the_hint(entry: str, hint: str) -> None:
    model = compile_text(f"input: [16, 16]\nlayers:\n- {{{entry}}}\n")
    assert hint in draw_all(model.diagnostics)
