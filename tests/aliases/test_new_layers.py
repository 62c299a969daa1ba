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
    ("torch.nn.Parameter: [3, 4]", "{parameter: {shape: [3, 4]}}"),
    ("torch.tril: ", "causal: true"),
    ("torch.split: 8", '{split: {parts: "${input.channels // 8}"}}'),
    ("tf.split: {num_or_size_splits: 2}", "{split: {parts: 2}}"),
    ("tf.nn.lrn: {depth_radius: 5, bias: 1, alpha: 0.0001, beta: 0.75}", "{lrn: {size: 11, alpha: 0.0011, beta: 0.75, k: 1}}"),
    ("tf.nn.lrn: {depth_radius: 2}", "{lrn: {size: 5, alpha: 5, beta: 0.5}}"),
    ("tf.reduce_mean: {axis: [1, 2]}", "{mean: {axis: [1, 2]}}"),
    ("torch.mean: {dim: [2, 3]}", "{mean: {axis: [1, 2]}}"),
    ("tf.concat: {axis: -1}", "{concat: {axis: 0}}"),
    ("Convolution: {num_output: 8, kernel_h: 1, kernel_w: 7, pad_h: 0, pad_w: 3}", "kernel: [1, 7], padding: [0, 3]"),
    ("conv: {channels: 8, kernel_h: 3, kernel_w: 1}", "kernel: [3, …], the height and the width"),
    ("Resizing: [16, 16]", "{upsample: {size: [16, 16]}}"),
]


@pytest.mark.parametrize(("entry", "hint"), HINTS)
def test_an_argument_that_changes_the_network_is_in_the_hint(entry: str, hint: str) -> None:
    model = compile_text(f"input: [16, 16]\nlayers:\n- {{{entry}}}\n")
    assert hint in draw_all(model.diagnostics)
