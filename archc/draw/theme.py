"""Colours of pictures: one a family of operators, light and dark.

Fills differ in hue for those who see hues, under the common colour blindnesses and, for the families that stand side by
side most, in lightness, so that a print in grey still tells them apart. `ink` is legible on the background and on every fill.
"""

from __future__ import annotations

from dataclasses import dataclass

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"

_FAMILIES = {
    "convolution": "conv deform_conv",
    "upsampling": "conv_transpose upsample pixel_shuffle max_unpool",
    "pooling": (
        "maxpool avgpool lppool global_avgpool global_maxpool adaptive_avgpool adaptive_maxpool roi_pool roi_align "
        "mean sum max min norm var std argmax cumsum cummax cummin"
    ),
    "linear": "linear embedding matmul einsum rnn gru lstm experts",
    "attention": "attention scaled_dot_product_attention rotary relative_position_bias shift_mask",
    "normalization": "batchnorm frozen_batchnorm layernorm rmsnorm groupnorm instancenorm lrn normalize",
    "activation": (
        "relu relu6 leaky_relu prelu elu selu celu gelu silu mish sigmoid tanh hardswish hardsigmoid hardtanh softplus softsign "
        "logsigmoid tanhshrink hardshrink softshrink threshold glu softmax log_softmax clamp "
        "abs neg square sqrt rsqrt exp log sin cos"
    ),
    "merge": "add sub mul div pow maximum minimum average concat stack",
    "reshape": (
        "identity clone flatten reshape permute transpose pad crop center_crop channel_shuffle pixel_unshuffle tokens class_token "
        "join_batch leave_batch unfold fold expand tile repeat_interleave roll flip split unbind select slice index gather topk nms"
    ),
    "dropout": "dropout spatial_dropout drop_path",
    "input": "input output parameter buffer constant",
    "other": "",
}
_FAMILY_OF = {kind: name for name, kinds in _FAMILIES.items() for kind in kinds.split()}

FAMILIES = tuple(_FAMILIES)  # in the order of a legend


def family(kind: str) -> str:
    """The family of an operator, by its name; `other` for one that is not known, as a plugin's."""
    return _FAMILY_OF.get(kind, "other")


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as `#rrggbb`.

    background; ink: text; faint: text that matters less; line: arrows and axes; grid: lines behind a chart
    fills, edges: by family, as `fill` and `edge` give them for the kind of an operator
    """

    name: str
    background: str
    ink: str
    faint: str
    line: str
    grid: str
    fills: tuple[tuple[str, str], ...]
    edges: tuple[tuple[str, str], ...]

    def fill(self, kind: str) -> str:
        """The colour of an operator's area."""
        return self.family_fill(family(kind))

    def edge(self, kind: str) -> str:
        """The colour of the line around it."""
        return self.family_edge(family(kind))

    def family_fill(self, name: str) -> str:
        return dict(self.fills)[name]

    def family_edge(self, name: str) -> str:
        return dict(self.edges)[name]


def _by_family(colors: str) -> tuple[tuple[str, str], ...]:
    return tuple(zip(FAMILIES, colors.split(), strict=True))


LIGHT = Theme(
    name="light",
    background="#ffffff",
    ink="#1b1f24",
    faint="#5d6570",
    line="#4a515b",
    grid="#e3e6ea",
    # conv, upsampling, pooling, linear, attention, normalization, activation, merge, reshape, dropout, input, other
    fills=_by_family("#6a9fd6 #8ae6f0 #cc7657 #8dbb4e #a67ff0 #f8de80 #e9a9bd #58c08f #b9bec6 #d9dbde #f1f3f5 #ead9c2"),
    edges=_by_family("#2f6ca8 #23827e #94381a #66801b #6a4a9c #a5892a #b4647a #1f6b54 #7d848d #636a73 #8b929b #8d7a62"),
)  # fmt: skip

DARK = Theme(
    name="dark",
    background="#14171c",
    ink="#f2f4f7",
    faint="#a4acb8",
    line="#b4bbc6",
    grid="#2c323b",
    fills=_by_family("#44689f #12525e #6e3a1e #3d5710 #7433a0 #776a16 #a83049 #17784e #62666e #4d5056 #2a3038 #453f39"),
    edges=_by_family("#86b6e8 #7fd6d2 #f0906f #b9d36b #c3aae6 #e8d27a #f0aabb #63c7a7 #9aa2ad #b4bac2 #7d8590 #c4b49c"),
)  # fmt: skip

THEMES = {theme.name: theme for theme in (LIGHT, DARK)}
