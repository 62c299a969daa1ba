"""Values without a name: read as every reader would, or refused with what to write. Values that are hardly meant are warned about."""

from __future__ import annotations

import pytest

from archc.elaborate.compiler import Model, compile_text
from archc.ops import OPERATORS

MAP, VECTOR, TOKENS, ONE = [64, 32, 32], [64], [49, 64], [64, 1, 1]

# What a user of PyTorch or Keras may write, and words of what archc says; nothing where it is read as it was meant.
BARE: list[tuple[list[int], str, str]] = [
    (MAP, "{batchnorm: 64}", "write `batchnorm`"),
    (MAP, "{batchnorm: 0.001}", "{batchnorm: {eps: 0.001}}"),
    (MAP, "{batchnorm: $n}", "write `batchnorm`"),
    (MAP, "{instancenorm: 64}", "write `instancenorm`"),
    (TOKENS, "{rmsnorm: 64}", "write `rmsnorm`"),
    (TOKENS, "{layernorm: 64}", "sizes come from the input"),
    (TOKENS, "{layernorm: -1}", "sizes come from the input"),
    (MAP, "{layernorm: [64, 32, 32]}", "sizes come from the input"),
    (MAP, "{layernorm: channels}", ""),
    (MAP, "{groupnorm: 32}", ""),
    (MAP, "{groupnorm: [32, 64]}", "{groupnorm: 32}"),
    (MAP, "{lrn: 5}", ""),
    (TOKENS, "{attention: 8}", ""),
    (TOKENS, "{attention: 64}", "name the heads"),
    (TOKENS, "{attention: [64, 8]}", "{attention: 8}"),
    (VECTOR, "{linear: 10}", ""),
    (VECTOR, "{linear: [64, 10]}", "write {linear: 10}"),
    (MAP, "{conv: 64}", ""),
    (MAP, "{conv: [64, 128, 3]}", "{conv: {channels: 128, kernel: 3}}"),
    (MAP, "{conv: [128, 3]}", "{conv: {channels: 128, kernel: 3}}"),
    (MAP, "{conv_transpose: [64, 32, 2, 2]}", "{conv_transpose: {channels: 32, kernel: 2, stride: 2}}"),
    (MAP, "{maxpool: 2}", ""),
    (MAP, "{maxpool: [2, 2]}", ""),
    (MAP, "{maxpool: [3, 2]}", "{maxpool: {kernel: 3, stride: 2}}, {maxpool: {kernel: [3, 2]}}"),
    (MAP, "{avgpool: [3, 2, 1]}", "{avgpool: {kernel: 3, stride: 2, padding: 1}}"),
    (MAP, "{adaptive_avgpool: 7}", ""),
    (MAP, "{adaptive_maxpool: [7, 5]}", ""),
    (MAP, "{global_avgpool: 7}", "`adaptive_avgpool`"),
    (MAP, "{softmax: 0}", ""),
    (MAP, "{softmax: -1}", ""),
    (MAP, "{softmax: 1}", "{softmax: {axis: 0}} if the batch is counted as axis 0, {softmax: {axis: 1}} if not"),
    (VECTOR, "{softmax: 1}", "{softmax: {axis: 0}}"),
    (MAP, "{log_softmax: 3}", "{log_softmax: {axis: 2}}"),
    (TOKENS, "{mean: 0}", ""),
    (TOKENS, "{mean: 1}", "{mean: {axis: 0}} if the batch is counted"),
    (TOKENS, "{select: 0}", ""),
    (TOKENS, "{transpose: [0, 1]}", ""),
    (TOKENS, "{transpose: [1, 2]}", "without the batch"),
    (MAP, "{transpose: [1, 2]}", "{transpose: {axes: [0, 1]}} if the batch is counted"),
    (MAP, "{transpose: [-1, -2]}", ""),
    (MAP, "{permute: [1, 2, 0]}", ""),
    (MAP, "{permute: [0, 2, 3, 1]}", "[1, 2, 0]"),
    (TOKENS, "{permute: [2, 1]}", "[1, 0]"),
    (MAP, "{reshape: [64, -1]}", ""),
    (MAP, "{split: 2}", ""),
    (MAP, "{split: 32}", "{split: {sizes: [32, 32]}} parts of 32"),
    (MAP, "{split: [32, 32]}", "{split: {sizes: [32, 32]}}"),
    (MAP, "{pad: [1, 1, 1, 1]}", ""),
    (MAP, "{pad: [0, 1, 0, 1]}", ""),
    (MAP, "{pad: 1}", "{pad: [1, 1, 1, 1]}"),
    (MAP, "{pad: [1, 2]}", "{pad: [1, 1, 2, 2]}"),
    (MAP, "{pad: [1, 2, 3, 4]}", "{pad: {sides: [3, 4, 1, 2]}}"),
    (MAP, "{upsample: 2}", ""),
    (ONE, "{upsample: 7}", ""),
    (MAP, "{upsample: 64}", "{upsample: {size: 64}} of this size"),
    (MAP, "{upsample: [64, 64]}", "{upsample: {size: [64, 64]}}"),
    (MAP, "{flatten: 1}", "write `flatten`"),
    (MAP, "{opaque: 3}", "name its outputs"),
    (MAP, "{clone: true}", ""),
    (MAP, "{glu: 1}", "halves the first axis"),
    (MAP, "{relu: 6}", "`relu6`"),
    (MAP, "{prelu: 64}", "{prelu: {shared: false}}"),
    (MAP, "{prelu: 0.25}", "{prelu: {start: 0.25}}"),
    (MAP, "{gelu: true}", "{gelu: tanh}"),
    (MAP, "{leaky_relu: 0.2}", ""),
    (MAP, "{elu: 1.0}", ""),
    (MAP, "{hardtanh: [0, 6]}", "{hardtanh: {low: 0, high: 6}}"),
    (MAP, "{celu: 0}", "cannot be 0"),
    (MAP, "{softplus: 0}", "cannot be 0"),
    (TOKENS, "{layer_scale: 64}", "{layer_scale: {start: …}}"),
    (TOKENS, "{layer_scale: 0.1}", ""),
    (MAP, "{dropout: 0.5}", ""),
    (MAP, "{dropout: 25}", "write 0.25 for 25%"),
    (MAP, "{spatial_dropout: {p: 25}}", "write 0.25 for 25%"),
    (MAP, "{drop_path: 25}", "write 0.25 for 25%"),
    (MAP, "{pixel_shuffle: 2}", ""),
    (MAP, "{channel_shuffle: 2}", ""),
    (MAP, "{pixel_unshuffle: 2}", ""),
    (MAP, "{deform_conv: [64, 128, 3]}", "{deform_conv: {channels: 128, kernel: 3}}"),
    (MAP, "{frozen_batchnorm: 64}", "write `frozen_batchnorm`"),
    (MAP, "{max_unpool: [3, 2]}", "{max_unpool: {kernel: 3, stride: 2}}"),
    (MAP, "{clamp: [0, 6]}", "{clamp: {low: 0}}"),
    (TOKENS, "{rnn: [64, 32]}", "write {rnn: 32}"),
    (TOKENS, "{gru: 32}", ""),
    (TOKENS, "{lstm: [64, 128, 2]}", "{lstm: {hidden: 128, layers: 2}}"),
    (TOKENS, "{experts: 8}", "{experts: {count: 8, hidden: 256, top: 2}}"),
    (TOKENS, "{rotary: 64}", "{rotary: {base: 10000}}"),
    (MAP, "{shift_mask: 7}", "{shift_mask: {size: [56, 56], window: 7, shift: 3}}"),
    (MAP, "{pow: 2}", ""),
    (MAP, "{sub: 0.5}", ""),
    (MAP, "{div: 255}", ""),
    (MAP, "{sum: 0}", ""),
    (MAP, "{sum: 1}", "{sum: {axis: 0}} if the batch is counted"),
    (MAP, "{max: [2, 3]}", "{max: {axis: [1, 2]}}"),
    (MAP, "{min: 3}", "{min: {axis: 2}}"),
    (TOKENS, "{norm: 1}", "{norm: {axis: 0}} if the batch is counted"),
    (TOKENS, "{normalize: 2}", "{normalize: {axis: 1}}"),
    (TOKENS, "{var: 1}", "{var: {axis: 0}} if the batch is counted"),
    (TOKENS, "{std: 1}", "{std: {axis: 0}} if the batch is counted"),
    (MAP, "{argmax: 1}", "{argmax: {axis: 0}} if the batch is counted"),
    (MAP, "{cumsum: 1}", "{cumsum: {axis: 0}} if the batch is counted"),
    (MAP, "{cummax: 1}", "{cummax: {axis: 0}} if the batch is counted"),
    (MAP, "{cummin: 1}", "{cummin: {axis: 0}} if the batch is counted"),
    (MAP, "{topk: [5, 1]}", "{topk: {k: 5, axis: 1}}"),
    (MAP, "{flip: 1}", "{flip: {axis: 0}} if the batch is counted"),
    (MAP, "{roll: 1}", "{roll: {shift: 1, axis: 0}}"),
    (MAP, "{unbind: 1}", "{unbind: {axis: 0}} if the batch is counted"),
    (MAP, "{stack: 1}", "{stack: {axis: 0}} if the batch is counted"),
    (MAP, "{slice: [0, 8]}", "{slice: {start: 0, stop: 8, step: 2, axis: 1}}"),
    (MAP, "{index: [0, 2]}", ""),
    (MAP, "{tile: [2, 1, 1]}", ""),
    (MAP, "{tile: 2}", "{tile: [2, 1, 1]}"),
    (MAP, "{repeat_interleave: 2}", "{repeat_interleave: {times: 2, axis: 0}}"),
    (ONE, "{expand: [64, 7, 7]}", ""),
    (ONE, "{expand: [1, 64, 7, 7]}", "axes of size 1 can be"),
    (MAP, "{unfold: 3}", ""),
    (MAP, "{fold: 3}", 'needs "kernel"'),
]
HARDLY: list[tuple[list[int], str, str]] = [
    (MAP, "{batchnorm: {eps: 32}}", "outweighs the variance"),
    (TOKENS, "{layernorm: {eps: 64}}", "outweighs the variance"),
    (MAP, "layernorm", "here the width of a map"),
    (MAP, "{batchnorm: {momentum: 0.99}}", "is 0.01 here"),
    (MAP, "{conv: {channels: 8, kernel: 3, standardize: 1}}", "outweighs"),
    (MAP, "{dropout: 0.95}", "the part that is dropped"),
    (TOKENS, "{attention: {heads: 8, dropout: 1}}", "the part that is dropped"),
    (TOKENS, "{transformer_encoder: 64}", "64 heads share 64 features"),
    (MAP, "{leaky_relu: 20}", "negative values grow"),
    (MAP, "{reshape: [-1, 65536]}", "[65536]"),
]


def made(shape: list[int], entry: str, top: str = "") -> Model:
    return compile_text(f"archc: 1\ninput: {shape}\nparams: {{n: 64}}\n{top}layers: [{entry}]")


@pytest.mark.parametrize(("shape", "entry", "right"), BARE)
def test_bare(shape: list[int], entry: str, right: str) -> None:
    found = list(made(shape, entry).diagnostics)
    assert [one.severity for one in found] == ["error"] * bool(right)
    assert all(right in f"{one.message} {one.hint}" for one in found), found


@pytest.mark.parametrize(("shape", "entry", "words"), HARDLY)
def test_hardly_meant(shape: list[int], entry: str, words: str) -> None:
    model = made(shape, entry)
    assert model.graph is not None
    assert [(one.code, one.severity) for one in model.diagnostics] == [("A903", "warning")]
    assert all(words in f"{one.message} {one.hint}" for one in model.diagnostics)


def test_what_a_remedy_spells_out_is_clear() -> None:
    for entry in ("{softmax: {axis: 1}}", "{split: {parts: 32}}", "{maxpool: {kernel: [3, 2]}}", "{pad: {sides: [1, 2, 3, 4]}}",
                  "{upsample: {scale: 64}}", "{upsample: {size: 64}}", "{prelu: {start: 0.25}}"):  # fmt: skip
        assert not len(made(MAP, entry).diagnostics), entry


def test_defaults_are_warned_about_where_they_stand() -> None:
    (found,) = made(MAP, "batchnorm, batchnorm", "defaults: {batchnorm: {eps: 32}}\n").diagnostics
    assert (found.code, found.span.line, found.span.text) == ("A903", 4, "32")


def test_names_tell_what_is_meant() -> None:
    """A value that is computed of names has one, so that it is not doubted."""
    assert not len(made(TOKENS, "{mean: '${n // 64}'}").diagnostics)


def test_every_operator_was_thought_of() -> None:
    """An operator's main argument is a size, a switch, or stands in the table above."""
    several = {"maximum", "minimum", "einsum", "gather", "join_batch", "relative_position_bias", "roi_pool", "roi_align", "nms"}
    switches = several | {"relu6", "selu", "silu", "mish", "hardswish", "hardsigmoid", "hardshrink", "softshrink", "add", "concat",
                "scale", "embedding", "threshold", "lppool", "crop", "center_crop",
                "scaled_dot_product_attention", "parameter", "buffer", "constant", "computed"}  # fmt: skip
    thought = {entry.strip("{").partition(":")[0] for _, entry, _ in BARE} | switches
    assert {name for name in OPERATORS if OPERATORS[name].signature.params} - thought == set()
