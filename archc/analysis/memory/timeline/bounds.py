"""How exact a peak is: equal to what PyTorch asks for, at least so much, or about so much, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from archc.analysis.memory.storages import LayerRun, Storage, StorageRun, StoredTensor
from archc.graph import Graph, Node
from archc.graph.captured import CHANNELS_LAST
from archc.graph.structure import ancestors
from archc.ops.facts import INPLACE, OUTPUT
from archc.ops.shape import product

if TYPE_CHECKING:
    from archc.analysis.memory.timeline.simulate import Options

EXACT, AT_LEAST, ABOUT = "exact", "at least", "about"
SIGNS = {EXACT: "", AT_LEAST: "≥", ABOUT: "~"}
CONVOLUTIONS = ("conv", "conv_transpose")
ASKING = "scaled_dot_product_attention"
_OWN = "archc.ops."  # where operators are whose forward and backward passes are known


class Bound(NamedTuple):
    """`status`: exact, at least or about; `reasons`: why it is not exact, each a clause."""

    status: str = EXACT
    reasons: tuple[str, ...] = ()

    @property
    def sign(self) -> str:
        """Before the number: ≥, ~ or nothing."""
        return SIGNS[self.status]

    @property
    def text(self) -> str:
        return "; ".join(self.reasons)

    @property
    def count_sign(self) -> str:
        """Before the largest number of images for a memory, of which less may fit."""
        return "≤" if self.status == AT_LEAST else self.sign


CERTAIN = Bound()
# layers of many small steps, whose values come and go
STEPWISE = (
    *("rnn", "gru", "lstm", "normalize", "experts", "computed"),
    *("roi_pool", "roi_align", "nms", "deform_conv"),
)
STOPS = ("detach", "data")  # steps of a model through which no gradient goes


def bound(graph: Graph, run: StorageRun, options: Options, learning: bool) -> Bound:
    """What is not known of a step of training, or where it is not `learning` of inference."""
    least = tuple(_unknown(graph, learning))
    known = (*_foreign(graph, learning), *_parametrized(graph), *_unfused(run), *_options(graph, options, learning), *_alone(run, options))
    about = (*_frozen(graph, learning), *known)
    if learning:
        about = (*about, *_layers(graph, run))
    if least and not _frozen(graph, learning):  # which takes off what a bound from below adds
        return Bound(AT_LEAST, (*least, *about))
    about = (*least, *about)
    return Bound(ABOUT, about) if about else CERTAIN


def unstated(graph: Graph) -> list[str]:
    """The operators that do not state what backward keeps."""
    return _kinds(node for node in graph.nodes if node.facts.keeps is None)


def _unknown(graph: Graph, learning: bool) -> Iterator[str]:
    if graph.captured is not None and graph.captured.unused:
        yield f"{sum(graph.captured.unused.values()):,} values of parameters that no layer uses are left out"
    if kinds := unstated(graph) if learning else []:
        yield f"{_list_text(kinds)} {_does(kinds)} not state what backward keeps (`keeps`)"
    if learning and any(_is_computed(node) for node in graph.nodes):
        yield "what steps on weights alone keep is not known"
    if kinds := _kinds(node for node in graph.nodes if node.facts.keeps_more and not _is_computed(node)) if learning else []:
        yield f"PyTorch does not tell the size of what the kernel of {_list_text(kinds)} keeps for itself"
    if kinds := _kinds(node for node in graph.nodes if node.facts.weights is None):
        yield f"{_list_text(kinds)} {_does(kinds)} not state {'its' if len(kinds) == 1 else 'their'} weights (`weights`)"


def _is_computed(node: Node) -> bool:
    return node.kind == "computed" or node.args.get("parametrize") == "computed"


def _frozen(graph: Graph, learning: bool) -> tuple[str, ...]:
    """Of a model of which the graph does not say all, or some of whose parameters need no gradient.

    Neither are gradients made for those, nor is kept what they would need.
    """
    if graph.captured is None:
        return ()
    if not learning:
        return tuple(note for note in graph.captured.notes if note == CHANNELS_LAST)
    frozen, notes = graph.captured.frozen, graph.captured.notes
    if any(node.kind == "opaque" and node.args.get("name") in STOPS for node in graph.nodes):
        notes = (*notes, "no gradient goes through detach, so less is kept than is told")
    if not frozen:
        return notes
    return (
        *notes,
        f"{len(frozen):,} parameter{'s' * (len(frozen) != 1)} that the model froze count as if trained, so it is less",
    )


def _foreign(graph: Graph, learning: bool) -> Iterator[str]:
    """Operators of plugins, and of many steps: one that states what it keeps may still make more on its way."""
    foreign = [node for node in graph.nodes if not node.op.module.startswith(_OWN) or node.kind in STEPWISE]
    kinds = _kinds(node for node in foreign if node.facts.keeps is not None or not learning)
    if kinds:
        yield f"what {_list_text(kinds)} {'makes and drops' if len(kinds) == 1 else 'make and drop'} within is not known"


def _parametrized(graph: Graph) -> Iterator[str]:
    """Weights that are computed before each use."""
    kinds = dict.fromkeys(str(node.args["parametrize"]) for node in graph.nodes if node.args.get("parametrize", "none") != "none")
    if kinds:
        yield f"what {_list_text([*kinds])} {'makes and drops' if len(kinds) == 1 else 'make and drop'} within is not known"


def _unfused(run: StorageRun) -> Iterator[str]:
    """Attention for which PyTorch has no kernel is several steps, whose results lie beside each other for a while."""
    if any(step.node.kind == ASKING and not (step.fused and OUTPUT in (step.node.facts.keeps or ())) for step in run.steps):
        yield f"what {ASKING} makes and drops within is not known where PyTorch has no fused kernel for it"


def _options(graph: Graph, options: Options, learning: bool) -> Iterator[str]:
    kinds = {node.kind for node in graph.nodes}
    if options.amp:
        yield "casts of gradients under autocast are not counted" if learning else "casts under autocast are counted in part"
    if learning and not options.amp and options.dtype != "float32":
        yield f"statistics in {options.dtype} are counted as in float32"
    if learning and options.optimizer == "adafactor":
        yield "the step of adafactor is an estimate"
    if options.device == "cuda" and learning:
        if any(node.kind == "attention" and node.args.get("dropout") for node in graph.nodes):
            yield "attention with dropout is counted as on the CPU"
        if stepwise := [kind for kind in STEPWISE if kind in kinds]:
            yield f"what {_list_text(stepwise)} {'keeps' if len(stepwise) == 1 else 'keep'} is counted as on the CPU"
        if "rmsnorm" in kinds:
            yield "rmsnorm is counted as on the CPU"


def _alone(run: StorageRun, options: Options) -> Iterator[str]:
    """For one image, PyTorch takes kernels of its own for some convolutions, which make room and lay out gradients as they like."""
    if options.images > 1:
        return
    if kinds := _kinds(step.node for step in run.steps if step.node.kind in CONVOLUTIONS and _another_kernel(step)):
        yield f"{_list_text(kinds)} may take another kernel for one image"


def _another_kernel(step: LayerRun) -> bool:
    three = len(step.node.output.shape.inner) == 4 and step.node.kind == "conv_transpose" and not step.node.facts.min_storage_values
    return three or not step.inputs[0].block.contiguous or 1 in step.inputs[0].block.sizes[1:]


def _layers(graph: Graph, run: StorageRun) -> Iterator[str]:
    live = ancestors(graph.returned, by_value=True)
    if dead := [step.node.name for step in run.steps if step.node not in live and step.kept]:
        yield f"{_list_text(dead[:3])}{' …' if len(dead) > 3 else ''} {'leads' if len(dead) == 1 else 'lead'} to no output"
    reached = _reached(graph)
    if left := [step.node.name for step in run.steps if step.node in live and step.node not in reached and step.kept]:
        yield f"no gradient comes to {_list_text(left[:3])}{' …' if len(left) > 3 else ''}, of which less is kept"
    if any(node.args.get("mode", node.args.get("padding_mode")) == "circular" for node in graph.nodes):
        yield "the gradient of a circular border is counted as that of a mirrored one"
    last = {x: at for at, step in enumerate(run.steps) for x in map(id, step.inputs)}
    last |= {id(run.tensors[value]): len(run.steps) for value in graph.returned}
    lives = _lives(run, last)
    over = [step.node.kind for at, step in enumerate(run.steps) if _is_entangled(step, at, lives)]
    if over:
        yield f"{_list_text(list(dict.fromkeys(over)))} in place over a view that others read"


def _reached(graph: Graph) -> set[Node]:
    """The layers to which a gradient comes from an output: not by whole numbers, nor by inputs that get none."""
    found: set[Node] = set()
    todo = [value for value in graph.returned if value.node is not None]
    while todo:
        value = todo.pop()
        node = value.node
        if node is None or node in found or node.facts.is_integer(value.index):
            continue
        found.add(node)
        todo += [one for i, one in enumerate(node.inputs) if i not in node.facts.stops]
    return found


_Lives = dict[Storage, list[tuple[int, int]]]


def _lives(run: StorageRun, last: dict[int, int]) -> _Lives:
    """Of each storage the two tensors that are read latest: when, and the tensor by its id."""
    found: _Lives = {}
    for x in run.tensors.values():
        one, there = (last.get(id(x), -1), id(x)), found.setdefault(x.storage, [])
        if one not in there:
            found[x.storage] = sorted([*there, one], reverse=True)[:2]
    return found


def _is_entangled(step: LayerRun, at: int, lives: _Lives) -> bool:
    """Whether a layer writes over one of several tensors in a storage, which autograd then follows by what each was cut from."""
    if step.node.facts.storage != INPLACE or not step.saving:
        return False
    target = step.inputs[0]
    if target.seen and (step.node.kind == "add" or not _fills_storage(target)):
        return True
    return any(user != id(target) and last > at for last, user in lives.get(target.storage, ()))


def _fills_storage(x: StoredTensor) -> bool:
    return x.block.dense and product(x.block.sizes) * x.storage.item == x.storage.bytes


def _kinds(nodes: Iterable[Node]) -> list[str]:
    """Each kind once; of opaque layers, what they are called where they come from."""
    return list(
        dict.fromkeys(f"{node.args['name']} (opaque)" if node.args.get("name") and node.kind == "opaque" else node.kind for node in nodes)
    )


def _list_text(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _does(names: list[str]) -> str:
    return "does" if len(names) == 1 else "do"
