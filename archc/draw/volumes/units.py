"""A network as a row of feature maps: what is drawn as one box, what made it, and which boxes stand for each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field

from archc.draw.theme import family
from archc.draw.volumes.pieces import QUIET, blocks, by_blocks, common, pieces
from archc.graph import Graph, Node, Scope, Value
from archc.ops.shape import Shape

MOST_BOXES, MOST_LABELS = 26, 18  # what a slide has room for
MOST_ALIKE = 4  # more equal maps than this are drawn as three
_MAPS = ("convolution", "upsampling", "pooling")


@dataclass(slots=True)
class Unit:
    """Layers whose result is one map. `body` and `band` are families: of what made it, and of what ended it, or empty.

    mapped: whether the first axis of the result is channels; if not, the last is features
    """

    nodes: list[Node]
    _: KW_ONLY
    shape: Shape
    name: str
    what: str
    body: str
    band: str = ""
    mapped: bool = True


@dataclass(slots=True)
class UnitRun:
    """Maps that follow each other and are told by one label. `shown` are those that are drawn."""

    units: list[Unit]
    shown: list[Unit] = field(default_factory=list)

    @property
    def shape_text(self) -> str:
        first, last = self.units[0], self.units[-1]
        if first.shape == last.shape:
            return shape_text(first)
        axis = 0 if first.mapped else -1
        text = shape_text(first)
        return f"{text.removesuffix(str(first.shape[axis]))}{first.shape[axis]}…{last.shape[axis]}"

    @property
    def what(self) -> str:
        counts = Counter(unit.what for unit in self.units)
        if len(set(counts.values())) == 1:
            return " / ".join(counts) + _times(len(self.units) // len(counts))
        return " / ".join(what + _times(count) for what, count in counts.items())


def _times(count: int) -> str:
    return f" ×{count}" if count > 1 else ""


def shape_text(unit: Unit) -> str:
    """`224×224×64`: space first, then channels, as lectures write it."""
    shape = unit.shape
    return "×".join(map(str, (*shape[1:], shape[0]) if unit.mapped else shape))


def input_units(graph: Graph) -> list[Unit]:
    """The inputs of the network, as they are seen by what reads them."""
    return [
        Unit([], shape=value.shape, name=name, what=name, body="input", band="", mapped=_is_map(graph, value))
        for name, value in graph.inputs.items()
    ]


def _is_map(graph: Graph, value: Value) -> bool:
    if len(value.shape) != 2:
        return True
    return any(value in node.inputs and family(node.kind) in (*_MAPS, "normalization") for node in graph.nodes)


def units(graph: Graph) -> list[Unit]:
    """The maps of the network in order, in blocks as small as there is room for."""
    return units_of(parts(graph))


def parts(graph: Graph) -> list[list[Node]]:
    """The layers of the network in order, in blocks as small as there is room for."""
    found = cut = pieces(graph)
    around = [blocks(piece) for piece in cut]
    for level in reversed(range(max(map(len, around), default=0))):
        if _fit(runs(units_of(found))):
            break
        found = by_blocks(cut, around, level)
    return found


def units_of(cut: list[list[Node]]) -> list[Unit]:
    """The map of each part, where it has one of its own."""
    return _merge_quiet(_describe_units(cut))


def chain_units(way: Sequence[Node]) -> list[Unit]:
    """The maps along a chain of layers, one after the other."""
    return units_of([[node] for node in way])


def _fit(found: list[UnitRun]) -> bool:
    return len(found) <= MOST_LABELS and sum(len(run.shown) for run in found) <= MOST_BOXES


def runs(found: Sequence[Unit]) -> list[UnitRun]:
    """Equal maps together; where that leaves too many, maps of one size whose channels grow, or that blocks make by turns."""
    equal = _group_units(found, lambda unit: (unit.shape, unit.what, unit.body))
    if _fit(equal):
        return equal
    growing = _group_units(found, lambda unit: (unit.shape[1:] if unit.mapped else unit.shape[:-1], unit.what, unit.body))
    return growing if _fit(growing) else _group_units(found, lambda unit: (unit.shape, unit.body))


def _group_units(found: Sequence[Unit], key: Callable[[Unit], object]) -> list[UnitRun]:
    grouped: list[UnitRun] = []
    for unit in found:
        if grouped and key(grouped[-1].units[-1]) == key(unit):
            grouped[-1].units.append(unit)
        else:
            grouped.append(UnitRun([unit]))
    for run in grouped:
        many = run.units
        run.shown = many if len(many) <= MOST_ALIKE else [many[0], many[len(many) // 2], many[-1]]
    return grouped


def _describe_units(cut: list[list[Node]]) -> list[Unit]:
    found: list[Unit] = []
    mapped = True
    for nodes in cut:
        mapped = _keeps_channels_first(nodes, mapped)
        found.append(_unit(nodes, mapped))
    return found


def _keeps_channels_first(nodes: list[Node], before: bool) -> bool:
    """Whether the result's first axis is channels: convolutions and poolings make such, attention and tokens do not."""
    shape = nodes[-1].output.shape
    if len(shape) != 2:
        return True
    for node in reversed(nodes):
        if family(node.kind) in _MAPS and len(node.output.shape) == 2:
            return True
        if node.kind in ("tokens", "linear", "attention", "embedding", "layernorm", "class_token", "transpose"):
            return False
    return before


def _unit(nodes: list[Node], mapped: bool) -> Unit:
    last = nodes[-1]
    if len(nodes) == 1:
        return Unit(
            nodes, shape=last.output.shape, name=last.name, what=describe_layer(last), body=family(last.kind), band="", mapped=mapped
        )
    makers = [node for node in nodes if family(node.kind) not in (*QUIET, "merge")]
    body = _dominant(makers or nodes)
    block = _covering_block(nodes)
    mains = [node for node in makers if family(node.kind) == body]
    if len(mains) == 1 and not any(family(node.kind) == "merge" for node in nodes):
        what = describe_layer(mains[0])
    elif block is not None:
        what = block.block.replace("_", " ")
    else:
        what = {"convolution": "block", "linear": "MLP"}.get(body, body)
    loud = [node for node in nodes if family(node.kind) not in QUIET]
    band = "merge" if loud and family(loud[-1].kind) == "merge" else ""
    return Unit(
        nodes, shape=last.output.shape, name=block.name if block is not None else last.name, what=what, body=body, band=band, mapped=mapped
    )


def _covering_block(nodes: list[Node]) -> Scope | None:
    """The outermost block whose layers are all among these, but for those that make no map."""
    own = {id(node) for node in nodes}
    for scope in common(nodes):
        if scope.block and all(id(node) in own for node in scope.walk() if family(node.kind) not in QUIET):
            return scope
    return None


def _dominant(nodes: Sequence[Node]) -> str:
    """The family that does most of the work, the first of those that do equally; what has attention is known by it."""
    if any(family(node.kind) == "attention" for node in nodes):
        return "attention"
    work = Counter[str]()
    for node in nodes:
        macs = node.facts.macs
        work[family(node.kind)] += macs if isinstance(macs, int) else 0
    return work.most_common(1)[0][0]


def describe_layer(node: Node) -> str:
    """What a layer is, as a lecture says it: `conv 7×7 /2`."""
    names = {"linear": "dense", "global_avgpool": "global avgpool", "conv_transpose": "up-conv"}
    text = names.get(node.kind, node.kind.replace("_", " "))
    if node.kind == "conv" and (node.args.get("groups") == "depthwise" or node.args.get("groups") == node.inputs[0].shape[0] != 1):
        text = "depthwise"
    kernel, stride = node.args.get("kernel"), node.args.get("stride")
    rank = len(node.output.shape) - 1
    if kernel is not None and rank > 0:
        text += " " + "×".join(map(str, kernel if isinstance(kernel, tuple | list) else (kernel,) * rank))
    if stride not in (None, 1, (1,) * rank) and (stride != kernel or node.kind == "conv"):
        text += " /" + "×".join(map(str, stride if isinstance(stride, tuple | list) else (stride,)))
    return text


def _merge_quiet(found: list[Unit]) -> list[Unit]:
    """Layers that make no map drawn with the map that they change; a change of shape alone is seen in the map after it."""
    kept: list[Unit] = []
    for i, unit in enumerate(found):
        if unit.nodes[0].kind.startswith("adaptive") and unit.nodes[0].inputs[0].shape == unit.shape:
            continue
        if (unit.body not in QUIET and unit.nodes[0].kind != "split") or len(unit.nodes) > 1:
            kept.append(unit)
        elif kept and kept[-1].shape == unit.shape:
            kept[-1].nodes = [*kept[-1].nodes, *unit.nodes]
            if unit.body == "activation" and not kept[-1].band:
                kept[-1].band = "activation"
        elif i == len(found) - 1:
            kept.append(unit)
    return kept or found[-1:]
