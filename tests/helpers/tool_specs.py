"""Small networks that show where tools differ, and the table of what tools print."""

from __future__ import annotations

from tests.helpers.paths import FIGURES, ROOT

TABLE = FIGURES / "tools.csv"


SPECS = ROOT / "specs"


SMALL = {
    "grouped": """
input: [16, 20, 20]
layers:
  - {conv: {channels: 32, kernel: 3, groups: 4}}
  - {batchnorm: {affine: false}}
  - {leaky_relu: }
  - {conv: {channels: 32, kernel: 3, padding: same, groups: depthwise, bias: false}}
  - {batchnorm: {track: false}}
  - relu6
  - {conv: {channels: 64, kernel: [1, 5], stride: 2, padding: [0, 2], dilation: 2, padding_mode: circular}}
  - {avgpool: {kernel: 3, stride: 2, padding: 1}}
""",
    "one_sided": """
input: [3, 33, 33]
layers:
  - {conv: {channels: 8, kernel: 4, padding: same}}
  - {conv: {channels: 8, kernel: 3, stride: 2, padding: same_upper}}
  - {maxpool: {kernel: 2, padding: same_upper}}
  - {avgpool: {kernel: 2, padding: same, count_padding: false}}
""",
    "conv1d": """
input: [4, 101]
layers:
  - {conv: {channels: 8, kernel: 5, stride: 2}}
  - batchnorm
  - elu
  - {maxpool: {kernel: 3, ceil: true}}
  - {conv: {channels: 8, kernel: 3, groups: 2, bias: false}}
  - {instancenorm: {affine: true}}
  - {lrn: {size: 5}}
  - {lppool: {norm: 2, kernel: 2}}
  - {conv_transpose: {channels: 6, kernel: 3, stride: 2}}
  - {upsample: {scale: 2, mode: linear}}
  - {adaptive_avgpool: {size: 3}}
  - global_avgpool
  - flatten
  - {linear: {features: 10, bias: false}}
  - softmax
""",
    "conv3d": """
input: [2, 9, 10, 11]
layers:
  - {conv: {channels: 8, kernel: 3}}
  - batchnorm
  - prelu
  - {maxpool: {kernel: 2}}
  - {conv_transpose: {channels: 4, kernel: 2, stride: 2, bias: false}}
  - instancenorm
  - {lppool: {norm: 2, kernel: 2}}
  - {upsample: {scale: 2}}
  - {upsample: {scale: 2, mode: linear}}
  - {avgpool: {kernel: 3}}
  - {adaptive_maxpool: {size: 1}}
""",
    "transposed": """
input: [16, 7, 9]
layers:
  - {conv_transpose: {channels: 8, kernel: 3, stride: 2, padding: 1, output_padding: 1}}
  - {conv_transpose: {channels: 12, kernel: [2, 4], stride: 2, groups: 4}}
  - {conv_transpose: {channels: 12, kernel: 3, groups: depthwise, dilation: 2, bias: false}}
  - {conv_transpose: {channels: 12, kernel: 4, stride: 2, padding: 1, groups: depthwise}}
""",
    "pools": """
input: [6, 23, 17]
layers:
  - {conv: 6}
  - {maxpool: {kernel: 3, stride: 2, ceil: true}}
  - {lppool: {norm: 2, kernel: 2, stride: 1}}
  - {lrn: {size: 3}}
  - {avgpool: {kernel: 2, stride: 1}}
  - {upsample: {scale: 3}}
  - {upsample: {size: [25, 31], mode: linear}}
  - {adaptive_avgpool: {size: 7}}
  - {adaptive_maxpool: {size: 5}}
  - {adaptive_avgpool: {size: [3, 2]}}
  - global_maxpool
  - flatten
  - log_softmax
""",
    "activations": """
input: [8, 6, 6]
layers: [relu, relu6, {leaky_relu: 0.2}, prelu, {prelu: {shared: false}}, elu, selu, celu, gelu, {gelu: tanh}, silu, mish, sigmoid, tanh,
  hardswish, hardsigmoid, hardtanh, softplus, softsign, logsigmoid, tanhshrink, hardshrink, softshrink,
  {threshold: {threshold: 0.1, value: 2}}, glu, {softmax: 0}, {log_softmax: -1}, {dropout: 0.5}, {spatial_dropout: 0.5}, {drop_path: 0.1}]
""",
    "norms": """
input: [12, 10, 10]
layers:
  - batchnorm
  - {batchnorm: {affine: false, track: false}}
  - {groupnorm: {groups: 3}}
  - {groupnorm: {groups: 4, affine: false}}
  - instancenorm
  - {instancenorm: {affine: true}}
  - {layernorm: {axis: channels}}
  - layernorm
  - {layernorm: {affine: false}}
  - {layernorm: {bias: false}}
  - {layer_scale: 0.1}
  - {lrn: {size: 4}}
  - tokens
  - rmsnorm
  - {rmsnorm: {affine: false}}
  - {layer_scale: 0.1}
  - flatten
  - {linear: 5}
  - batchnorm
""",
    "tokens": """
input: [17]
layers:
  words: {embedding: {entries: 50, features: 24}}
  pos: position_embedding
  hidden: {linear: 48}
  act: gelu
  back: {linear: {features: 24, bias: false}}
  class: class_token
  norm: layernorm
  ask: {attention: {heads: 4}}
  plain: {attention: {heads: 3, bias: false}}
  cross: {from: [plain, back], attention: {heads: 2}}
  average: mean
  head: {linear: 10}
""",
    "products": """
input: [6, 8, 8]
layers:
  k: {conv: 4}
  q: {from: input, conv: 4}
  kt: {from: k, tokens: }
  qt: {from: q, reshape: {shape: [4, 64]}}
  scores: {from: [kt, qt], matmul: }
  norm: {softmax: -1}
  all: {from: [norm, kt], matmul: }
  mixed: {linear: 7}
  turned: transpose
  last: {linear: 3}
""",
    "gates": """
input: [8, 12, 12]
layers:
  a: {conv: {channels: 16, kernel: 3, padding: 1}}
  parts: {split: {parts: 2}}
  one: {from: parts.0, relu: }
  two: {from: parts.1, sigmoid: }
  gate: {from: [one, two], mul: }
  sum: {from: [gate, input], add: }
  both: {from: [sum, gate], concat: }
  mean: {from: [both, both], average: }
  shuffle: {channel_shuffle: 4}
  up: {pixel_shuffle: 2}
  cut: {crop: {sides: [1, 1, 2, 2]}}
  wide: {pad: {sides: [2, 2, 2, 2], mode: reflect}}
  last: {conv: {channels: 4, kernel: 3}}
""",
    "damped": """
input: [3, 8, 8]
layers:
  - {conv: {channels: 6, kernel: 3, padding: 1}}
  - {scale: 0.17}
  - {conv: {channels: 4, kernel: 1}}
  - {split: {sizes: [1, 3]}}
  - {from: ["3.0"], scale: 2}
  - flatten
  - {linear: 5}
  - {scale: 0.5}
""",
    "turned": """
input: [6, 8, 5]
layers:
  map: {conv: 12}
  seen: {from: map, tokens: }
  act: gelu
  scale: {layer_scale: 0.5}
  pos: position_embedding
  drop: {dropout: 0.1}
  first: {linear: 12}
  sum: {from: [seen, first], add: }
  second: {linear: 12}
  other: {from: [first, seen], add: }
  third: {linear: 12}
  norm: {from: seen, layernorm: }
  fourth: {linear: 12}
  ask: {from: seen, attention: {heads: 3}}
  cross: {from: [fourth, seen], attention: {heads: 2}}
  crossed: {from: [seen, cross], attention: {heads: 4}}
  soft: {from: seen, softmax: -1}
  fifth: {linear: 12}
  joined: {from: [seen, fifth], concat: }
  sixth: {linear: 12}
  line: {from: map, reshape: {shape: [12, 40]}}
  normed: {layernorm: {axis: channels}}
  seventh: {linear: 5}
  order: {permute: [1, 0]}
  cut: {split: {parts: 5}}
  eighth: {from: cut.0, linear: 4}
  relu: {from: cut.1, relu: }
  ninth: {linear: 4}
  halves: {from: fourth, split: {parts: 2, axis: 1}}
  tenth: {from: halves.0, linear: 4}
  tanh: {from: halves.1, tanh: }
  eleventh: {linear: 4}
  thirds: {from: fourth, split: {parts: 4}}
  twelfth: {from: thirds.2, linear: 4}
outputs: [second, third, ask, crossed, sixth, eighth, ninth, tenth, eleventh, twelfth]
""",
    "unused": """
input: [4, 9, 9]
layers:
  one: {conv: 6}
  idle: {from: one, conv: 8}
  norm: {from: one, batchnorm: }
  spare: batchnorm
  two: {from: norm, conv: 3}
outputs: [two]
""",
    "shared": """
input: [8, 10, 10]
layers:
  conv: {conv: {channels: 8, kernel: 3, padding: 1}}
  bn: batchnorm
  relu: relu
  again: {share: conv}
  bn_again: {share: bn}
  pool: global_avgpool
  flat: flatten
  fc: {linear: 8}
  fc_again: {share: fc}
""",
    "uneven": """
input: [4, 8, 8]
layers: [{conv: 4}, {upsample: {scale: [2, 3]}}, {upsample: {scale: [1, 2], mode: linear}}]
""",
}  # fmt: skip
