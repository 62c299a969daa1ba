"""Rules on what autograd keeps for backward."""

from __future__ import annotations

from collections.abc import Iterator

from archc.analysis.checks.lint.finding import Hit
from archc.analysis.checks.lint.net import Cost, Net, Plan, argument, rewritten
from archc.analysis.memory.saved import KEPT, LISTED, OVERLAP, REPEATED, STALE, clashes
from archc.catalog.dtypes import NETWORK
from archc.graph import Node
from archc.ops.facts import INPLACE, NEW

_F32 = NETWORK["float32"]
_WHY = {
    KEPT: "overwrites what {other} keeps for backward: PyTorch refuses to train",
    LISTED: "overwrites a view that `split` made: PyTorch refuses to train",
    STALE: "overwrites what {other} reads as a view: PyTorch refuses to train",
    REPEATED: "overwrites a tensor that every image sees: PyTorch refuses to run",
    OVERLAP: "overwrites what it reads in another order: PyTorch refuses to run",
}
_SLOPES = {"leaky_relu": "slope", "elu": "alpha", "celu": "alpha"}  # in place, PyTorch has no gradient where these are negative
_ROUNDS = 8  # of leaving out those in place that others then refuse
_PER_TOKEN = ("layernorm", "rmsnorm", "linear", "layer_scale")


def inplace_saves_nothing(net: Net) -> Iterator[Hit]:
    """L101: PyTorch clones the input of these when they work in place, and keeps the clone."""
    for node in net.graph.nodes:
        kept = node.facts.keeps or ()
        if (
            node.facts.storage == INPLACE
            and "dropout" not in node.kind
            and any(storage.what == "new" for storage in kept)
            and _fills_storage(net, node)
        ):
            copied = Cost(copied=node.output.shape.values * _F32 * net.batch)
            message = f"{node.kind} in place saves nothing in training: PyTorch copies the input first and keeps the copy"
            plan: Plan = {node: [(node, {"inplace": False})]}
            yield Hit("L101", node=node, message=message, remedy="leave `inplace` out", argument="inplace", plan=plan, cost=copied)


def _fills_storage(net: Net, node: Node) -> bool:
    """Whether its input is all of its storage: of a part, the copy is smaller than what would be kept without it."""
    return net.run.tensors[node.output].storage.bytes == node.output.shape.values * _F32 * net.batch


def clashing(net: Net) -> Iterator[Hit]:
    """L102: what an earlier layer keeps is written over."""
    for clash in dict.fromkeys(clashes(net.graph)):
        message = f"{clash.layer.kind} in place {_WHY[clash.why].format(other=clash.other.kind)}"
        yield Hit("L102", node=clash.layer, message=message, remedy="leave `inplace` out", argument="inplace")


def could_be_inplace(net: Net) -> Iterator[Hit]:
    """L103: in place, PyTorch keeps the result of these, which the next layer keeps anyway, and not the input beside it."""
    wanted = [node for node in net.graph.nodes if _keeps_result_inplace(node) and _alone(net, node)]
    if not wanted:
        return
    before = {clash.layer.name for clash in net.saved.clashes}
    for _ in range(_ROUNDS):
        planned = rewritten(net.graph, {node: [(node, {"inplace": True})] for node in wanted})
        refused = {clash.layer.name for clash in clashes(planned)} - before
        if not refused:
            break
        wanted = [node for node in wanted if node.name not in refused]
    else:
        wanted = []
    for node in wanted:
        plan: Plan = {node: [(node, {"inplace": True})]}
        yield Hit(
            "L103",
            node=node,
            message=f"{node.kind} keeps its input, which it would not need to in place",
            remedy="inplace: true",
            plan=plan,
        )


def _keeps_result_inplace(node: Node) -> bool:
    if node.facts.storage != NEW or "inplace" not in node.op.signature.params or node.kind not in ("selu", *_SLOPES):
        return False
    return node.kind == "selu" or float(argument(node, _SLOPES[node.kind])) >= 0


def _alone(net: Net, node: Node) -> bool:
    """Whether its input is a new value that it alone reads."""
    maker = net.before(node)
    return maker is not None and maker.facts.storage == NEW and maker.facts.keeps is not None


def dropout_inplace(net: Net) -> Iterator[Hit]:
    """L104: there is no fused kernel in place, so that the mask has the width of a value and not of a byte."""
    for node in net.graph.nodes:
        if node.kind == "dropout" and node.facts.storage == INPLACE and 0 < argument(node, "p") < 1:
            more = Cost(cuda=node.output.shape.values * (_F32 - 1) * net.batch)
            message = "dropout in place keeps a mask of floats on CUDA, where one of bytes would do"
            yield Hit("L104", node=node, message=message, remedy="leave `inplace` out", argument="inplace", cost=more)


def response_norm(net: Net) -> Iterator[Hit]:
    """L105."""
    for node in net.graph.nodes:
        if node.kind == "lrn":
            message = "lrn keeps its input, padded squares, their sums and a power: four maps"
            remedy = "VGG's authors measured no gain from it; batchnorm keeps one map"
            yield Hit("L105", node=node, message=message, remedy=remedy, plan={node: []})


def token_keeps_all(net: Net) -> Iterator[Hit]:
    """L106: what is kept is the storage of all tokens, of which one is read."""
    for node in net.graph.nodes:
        if node.kind != "select":
            continue
        kept = net.kept_by(node.inputs[0], net.viewed(node.output))
        rest = kept - kept // node.inputs[0].shape.inner[argument(node, "axis")]
        if rest <= 0:
            continue
        maker = net.before(node)
        message = "one entry is taken, but the whole value is kept"
        if maker is not None and _by_token(node, maker):
            plan: Plan = {maker: [], node: [(node, {}), (maker, {})]}
            yield Hit(
                "L106",
                node=node,
                message=message,
                remedy=f"take it before {maker.kind}, which acts on each entry alone: the result is the same",
                plan=plan,
            )
        else:
            yield Hit(
                "L106",
                node=node,
                message=message,
                remedy="`{scale: 1}` after it copies the one entry, and frees the others",
                cost=Cost(kept=rest),
            )


def _by_token(select: Node, maker: Node) -> bool:
    """Whether the maker treats each entry of the axis in the same way, so that the order does not matter."""
    along_tokens = len(select.inputs[0].shape) == 2 and argument(select, "axis") % 2 == 0
    return along_tokens and maker.kind in _PER_TOKEN and argument(maker, "axis") in (None, "features", "last")


def unstated(net: Net) -> Iterator[Hit]:
    """L121: what backward keeps of a layer is unknown, and with it the memory of training."""
    for node in net.graph.nodes:
        if node.facts.keeps is None:
            message = f"{node.kind} does not state what backward keeps: the training memory is a lower bound"
            yield Hit("L121", node=node, message=message, remedy="state `keeps` in its operator's Facts")


def average_keeps_input(net: Net) -> Iterator[Hit]:
    """L110: only the shape is needed, but PyTorch keeps the tensor."""
    for node in net.graph.nodes:
        if node.kind not in ("avgpool", "adaptive_avgpool") or (maker := net.before(node)) is None or commutes(maker, node):
            continue
        kept = net.kept_by(node.inputs[0], {node})
        unpooled = node.output.shape.values == node.output.shape.channels
        remedy = "global_avgpool keeps nothing" if unpooled else "backward needs only the shape: recomputing the input in backward frees it"
        if kept and (not unpooled or _plain(node)):
            message = "only this pool keeps its input, and backward needs only the shape"
            yield Hit("L110", node=node, message=message, remedy=remedy, cost=Cost(kept))


def _plain(node: Node) -> bool:
    """Whether the one window is the whole map and no more."""
    return not argument(node, "padding")


def commutes(conv: Node, pool: Node) -> bool:
    """Whether a mean may be taken before a convolution with the same result: a 1x1 one, and no border in the mean."""
    if conv.kind != "conv" or pool.kind != "avgpool" or conv.shared is not None:
        return False
    flat = all(_all(argument(conv, name), size) for name, size in (("kernel", 1), ("stride", 1), ("padding", 0)))
    return flat and _all(argument(pool, "padding"), 0) and pool.output.shape.values < pool.inputs[0].shape.values


def _all(sizes: object, least: int) -> bool:
    return all(size == least for size in sizes) if isinstance(sizes, tuple | list) else sizes == least
