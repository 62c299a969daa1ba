"""What each figure means. docs/definitions.md holds the same words."""

DEFINITIONS = {
    "MACs": "multiply-accumulates of convolution, linear, attention and matmul layers alone, without biases, for one image in the"
    " forward pass: what papers since ResNet print as FLOPs.",
    "FLOPs": "every floating-point multiply, add, compare or special function (division, root, power, exp, log, erf, tanh: one each)"
    " of every layer, for one image in the forward pass. A filter of K taps without a bias is K multiplies and K - 1 adds. Windows"
    " over padding count as full.",
    "parameters": "learned values: weights and biases. The weights of a shared layer count once.",
    "weights": "learned values that are not biases: kernels, matrices, and the scales of normalizations.",
    "biases": "learned values that are added: the biases of convolutions and linear layers, and the shifts of normalizations.",
    "buffers": "values that are kept but not learned: running means and variances, and the count of batches, of batchnorm.",
    "activations": "values of all layers' outputs for one image, as a forward pass in training makes them. A view shares its input's"
    " memory and a result in place overwrites it: they are named so and not counted again.",
    "memory": "bytes of the activations, parameters, gradients and optimizer state, summed as if all were kept at once; the peak of a"
    " training step is another figure.",
    "receptive field": "along each axis, the pixels of the input from the first to the last that can reach one position of the output, at"
    " the position where they are most; holes between them count. Padding counts as more of the image, so a field may be larger than it,"
    " as papers state them; padding with values from the other side (circular) counts no otherwise. Where positions keep no common step"
    " (resampling by an uneven ratio, positions joined, cut or reordered), the field is that of the positions that are there, cut at the"
    " image's border. An input that gives its size alone adds nothing. `all` is the whole input, seen from every position; after `≤` stands"
    " a bound.",
}
