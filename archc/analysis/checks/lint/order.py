"""Rules on the order of layers: what should not stand before or after what."""

from __future__ import annotations

from collections.abc import Iterator

from archc.analysis.checks.lint.finding import Hit
from archc.analysis.checks.lint.memory import commutes
from archc.analysis.checks.lint.net import Net, Plan, argument
from archc.graph import Node, Value
from archc.graph.structure import view_base
from archc.ops.facts import NEW, VIEW

_NORMS = ("batchnorm", "layernorm", "rmsnorm", "groupnorm", "instancenorm")
_ACTIVATIONS = ("relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "sigmoid", "tanh", "hardswish",
                "hardsigmoid", "hardtanh", "softplus", "softsign", "logsigmoid")  # fmt: skip
_TO_ONE = ("sigmoid", "hardsigmoid", "softmax")  # values from 0 to 1
_FROM_ZERO = ("relu", "relu6", "softplus", *_TO_ONE)  # values from 0 up
_STILL = ("maxpool", "avgpool", "global_avgpool", "global_maxpool", "adaptive_avgpool", "adaptive_maxpool")  # keep values in range
_SAME_FROM_ZERO = ("relu", "leaky_relu", "prelu", "elu", "celu")  # from 0 up, the identity
_RISING = ("relu", "relu6", "leaky_relu")  # the largest value stays the largest
_DROPS = ("dropout", "spatial_dropout")
_FAR = 64  # how many layers back an origin is looked for
_LEAST = 0.01  # of all values


def bias_before_norm(net: Net) -> Iterator[Hit]:
    """L107: the mean is subtracted, and with it any constant of a channel."""
    for node in net.graph.nodes:
        after = net.after(node)
        if node.kind not in ("conv", "conv_transpose", "linear") or not argument(node, "bias") or after is None or node in net.twice:
            continue
        if after.kind == "instancenorm" or (after.kind == "batchnorm" and (node.kind != "linear" or len(node.output.shape) == 1)):
            message = f"the bias of {node.kind} is removed by {after.kind}, which subtracts the mean"
            yield Hit("L107", node=node, message=message, remedy="bias: false", argument="bias", plan={node: [(node, {"bias": False})]})


def mean_after_conv(net: Net) -> Iterator[Hit]:
    """L111: a mean of weighted sums is the weighted sum of means."""
    for node in net.graph.nodes:
        conv = net.before(node)
        if conv is not None and commutes(conv, node) and conv not in net.twice:
            plan: Plan = {conv: [], node: [(node, {}), (conv, {})]}
            message = "avgpool after a 1x1 conv gives the same result before it, where the conv has fewer positions"
            yield Hit("L111", node=node, message=message, remedy="put the avgpool before the conv", plan=plan)


def norms_in_a_row(net: Net) -> Iterator[Hit]:
    """L112: what has mean 0 and variance 1 has them already."""
    for node in net.graph.nodes:
        first = net.before(node)
        if first is not None and node.kind in _NORMS and first.kind == node.kind and argument(first, "axis") == argument(node, "axis"):
            yield Hit("L112", node=node, message=f"{node.kind} directly after {node.kind}", remedy="remove one of them", plan={node: []})


def activations_in_a_row(net: Net) -> Iterator[Hit]:
    """L113 where the second changes nothing, L119 where it does."""
    for node in net.graph.nodes:
        if node.kind not in _ACTIVATIONS:
            continue
        first = _maker(node.inputs[0])
        if first is not None and _is_unchanged(node, first):
            message = f"{node.kind} changes nothing after {first.kind}"
            if net.users[node.inputs[0]] == (node,) or node.facts.storage == NEW:
                yield Hit("L113", node=node, message=message, remedy="remove it", plan={node: []})
        elif (first := net.before(node)) is not None and first.kind in _ACTIVATIONS:
            yield Hit("L119", node=node, message=f"{node.kind} directly after {first.kind}", remedy="does one of them belong elsewhere?")


def _maker(value: Value) -> Node | None:
    """The layer that made the values, which pools and views pass on as they are or as means of them."""
    node = value.node
    for _ in range(_FAR):
        if node is None or not (node.kind in _STILL or node.facts.storage == VIEW):
            return node
        node = node.inputs[0].node
    return None


def _is_unchanged(node: Node, first: Node) -> bool:
    if node.kind in _SAME_FROM_ZERO and first.kind in _FROM_ZERO:
        return True
    return node.kind == "relu6" and first.kind in ("relu6", *_TO_ONE)


def activation_before_pool(net: Net) -> Iterator[Hit]:
    """L114: a function that never falls gives the same before and after a maximum, and has fewer values to do after it."""
    total = sum(node.output.shape.values for node in net.graph.nodes if node.facts.storage == NEW)
    for node in net.graph.nodes:
        pool = net.after(node)
        if node.kind not in _RISING or pool is None or pool.kind not in ("maxpool", "global_maxpool", "adaptive_maxpool"):
            continue
        fewer = node.output.shape.values - pool.output.shape.values
        if fewer < _LEAST * total or (node.kind == "leaky_relu" and argument(node, "slope") < 0):
            continue
        plan: Plan = {node: [], pool: [(pool, {}), (node, {})]}
        message = f"{node.kind} before {pool.kind} gives the same after it, with {_times(node, pool)} fewer values to read and write"
        yield Hit("L114", node=node, message=message, remedy=f"put it after the {pool.kind}", plan=plan)


def _times(node: Node, pool: Node) -> str:
    return f"{node.output.shape.values / pool.output.shape.values:.3g} times"


def dropout_before_norm(net: Net) -> Iterator[Hit]:
    """L115: in training, dropout raises the variance that batch normalization records; in inference it does not
    (Li et al., Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift, 2019)."""
    for node in net.graph.nodes:
        if node.kind not in _DROPS or not 0 < argument(node, "p") < 1:
            continue
        after = net.after(node)
        while after is not None and len(after.inputs) == 1 and after.kind not in (*_NORMS, *_DROPS):
            after = net.after(after)
        if after is not None and after.kind == "batchnorm":
            message = "dropout before batchnorm: the variance recorded in training is not that of inference"
            yield Hit("L115", node=node, message=message, remedy="put it after the last batchnorm (Li et al., 2019)")


def one_value(net: Net) -> Iterator[Hit]:
    """L120, at the batch that is asked for."""
    for node in net.graph.nodes:
        if node.facts.min_batch > net.batch:
            message = f"{node.kind} of {node.output.shape} has one value to normalize over if a pass has one image: PyTorch refuses that"
            yield Hit("L120", node=node, message=message, remedy=f"train with a batch of {node.facts.min_batch} or more, or `layernorm`")


def softmax_at_the_end(net: Net) -> Iterator[Hit]:
    """L116: nn.CrossEntropyLoss takes the logarithm of a softmax of its own."""
    for value in dict.fromkeys(net.ends):
        node = view_base(value).node
        if node is not None and node.kind == "softmax":
            message = "the output is a softmax; nn.CrossEntropyLoss applies another, and two make gradients vanish"
            yield Hit("L116", node=node, message=message, remedy="remove it for training, or use log_softmax with NLLLoss")
