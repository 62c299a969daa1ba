"""The operators. Each is one function that holds all that is known of it; their modules are imported as they are asked for."""

from archc.ops.facts import (
    INPLACE,
    INPUT,
    NEW,
    OUTPUT,
    VIEW,
    Between,
    Doubt,
    Expression,
    Facts,
    Kept,
    Module,
    Weight,
    Work,
    new,
)
from archc.ops.reach import POINT, WHOLE, Reach
from archc.ops.registry import OPERATORS, Op, op
from archc.ops.shape import Shape
from archc.signature import Fault

__all__ = [
    "INPLACE",
    "INPUT",
    "NEW",
    "OPERATORS",
    "OUTPUT",
    "POINT",
    "VIEW",
    "WHOLE",
    "Between",
    "Doubt",
    "Expression",
    "Facts",
    "Fault",
    "Kept",
    "Module",
    "Op",
    "Reach",
    "Shape",
    "Weight",
    "Work",
    "new",
    "op",
]

MODULES = {
    "activation": "relu relu6 leaky_relu prelu elu selu celu gelu silu mish sigmoid tanh hardswish hardsigmoid hardtanh softplus "
    "softsign logsigmoid tanhshrink hardshrink softshrink threshold glu softmax log_softmax",
    "arithmetic": "abs neg square sqrt rsqrt exp log sin cos clamp",
    "attention": "attention scaled_dot_product_attention",
    "batch": "join_batch leave_batch",
    "tensors": "parameter buffer constant",
    "computed": "computed",
    "conv": "conv conv_transpose",
    "deform": "deform_conv",
    "drop": "dropout spatial_dropout drop_path",
    "einsum": "einsum",
    "experts": "experts",
    "indexing": "roll flip slice index gather tile repeat_interleave expand unbind stack",
    "length": "normalize",
    "linear": "linear embedding matmul",
    "merge": "add sub div pow maximum minimum mul average concat split",
    "norm": "batchnorm frozen_batchnorm layernorm rmsnorm groupnorm instancenorm lrn",
    "opaque": "opaque",
    "patches": "unfold fold",
    "pool": "maxpool avgpool lppool global_avgpool global_maxpool adaptive_avgpool adaptive_maxpool",
    "positions": "rotary relative_position_bias shift_mask",
    "recurrent": "rnn gru lstm",
    "reduce": "mean sum max min norm var std argmax cumsum cummax cummin topk",
    "regions": "roi_pool roi_align nms",
    "resample": "upsample",
    "reshape": "identity clone flatten reshape permute transpose select pad crop center_crop channel_shuffle pixel_shuffle pixel_unshuffle",
    "scale": "layer_scale scale",
    "tokens": "tokens class_token position_embedding",
    "unpool": "max_unpool",
}  # the operators of each module, which is imported when one of them is asked for

for _module, _names in MODULES.items():
    OPERATORS.expect(f"archc.ops.{_module}", _names.split())
