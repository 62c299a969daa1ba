"""The typed graph: layers in order, each with its inputs, shapes and facts. All that later stages see."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from archc.catalog.initializers import InitRule
from archc.errors import NameNotFound
from archc.language.budget import Limit
from archc.language.citation import Paper
from archc.ops.facts import Facts, Weight
from archc.ops.shape import Shape
from archc.ops.tied import tied
from archc.text.diagnostics import Use, printable
from archc.text.quantity import counted
from archc.text.source import Span

if TYPE_CHECKING:
    import graphviz
    import networkx

    from archc.graph.captured import Captured
    from archc.ops.registry import Op
    from archc.recipe.recipe import Recipe


class Value:
    """What flows: output `index` of a node, or an input of the network (`node` is None). `shape` has no batch axis.

    dtype: that of an input, where it is declared; of outputs, as elaboration found it (`archc.graph.dtypes`)
    """

    __slots__ = ("dtype", "index", "name", "node", "shape")

    def __init__(self, node: Node | None, index: int, shape: Shape, name: str = "", dtype: str = "same") -> None:
        self.node = node
        self.index = index
        self.shape = shape
        self.name = name
        self.dtype = dtype

    def __repr__(self) -> str:
        where = self.node.name if self.node else self.name
        return f"<{where}{f'.{self.index}' if self.index else ''} {self.shape}>"


class Tie(NamedTuple):
    """A tensor that is another layer's: that layer, which owns it, its name there, and whether it is read transposed."""

    node: Node
    tensor: str
    transposed: bool = False


class Node:
    """A layer: an operator with its arguments, its inputs, and what is known of it. `shared` is the layer whose weights it uses.

    ties: the tensors that are those of other layers, by their names here
    """

    __slots__ = ("args", "facts", "inputs", "label", "name", "op", "outputs", "scope", "shared", "ties", "train_only", "written")

    def __init__(self, name: str, op: Op, args: dict[str, Any], inputs: tuple[Value, ...], facts: Facts, scope: Scope) -> None:
        self.name = name
        self.label = name.rpartition(".")[2]
        self.op = op
        self.args = args
        self.inputs = inputs
        self.facts = facts
        self.scope = scope
        self.outputs = tuple([Value(self, i, shape) for i, shape in enumerate(facts.outputs)])
        self.shared: Node | None = None
        self.ties: Mapping[str, Tie] = {}
        self.train_only = False
        self.written: Written | None = None

    @property
    def kind(self) -> str:
        return self.op.name

    @property
    def output(self) -> Value:
        return self.outputs[0]

    @property
    def read(self) -> tuple[Value, ...]:
        """The inputs that count with their values, not with their size alone."""
        return self.inputs[: self.facts.reads]

    def tie(self, ties: Mapping[str, Tie]) -> None:
        """Makes tensors those of other layers, where they count."""
        if ties:
            self.ties = ties
            self.facts = tied(self.facts, {name: tie.transposed for name, tie in ties.items()})

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


class Written:
    """Where a layer was written: its kind, each argument, and the blocks that led there."""

    __slots__ = ("arguments", "kind", "uses")

    def __init__(self, kind: Span, arguments: dict[str, tuple[Span, str]], uses: tuple[Use, ...]) -> None:
        self.kind = kind
        self.arguments = arguments
        self.uses = uses


class Scope:
    """A level of the names: a block, a nested chain, or the copies of a repeat.

    `block` is the block's name, or empty; then `doc`, `arguments` and `names`, those of its inputs, are the block's.
    `shared` is the part that it applies again, with its weights. `held`: it holds names alone, of layers that may run anywhere.
    """

    __slots__ = (
        "arguments",
        "block",
        "children",
        "doc",
        "held",
        "inputs",
        "label",
        "name",
        "names",
        "outputs",
        "parent",
        "shared",
        "start",
        "stop",
    )

    def __init__(self, name: str, parent: Scope | None, block: str = "") -> None:
        self.name = name
        self.label = name.rpartition(".")[2]
        self.parent = parent
        self.block = block
        self.doc = ""
        self.arguments: dict[str, Any] = {}
        self.names: tuple[str, ...] = ()
        self.shared: Scope | None = None
        self.held = False
        self.children: list[Scope | Node] = []
        self.inputs: tuple[Value, ...] = ()
        self.outputs: tuple[Value, ...] = ()
        self.start = 0
        self.stop = 0

    def around(self) -> Iterator[Scope]:
        """Itself and the scopes around it, from the innermost to the root."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def walk(self) -> Iterator[Node]:
        """The layers in it, at any depth."""
        for child in self.children:
            if isinstance(child, Node):
                yield child
            else:
                yield from child.walk()

    def __repr__(self) -> str:
        return f"<scope {self.name}>"


class Promise:
    """A figure of `expect`: what was promised, where, and of which layers or value.

    heir: the `extends` of a spec that inherits the promise and changes the network of which it was made
    """

    __slots__ = ("heir", "metric", "nodes", "span", "uses", "value", "wanted")

    def __init__(
        self,
        *,
        metric: str,
        wanted: Any,
        span: Span,
        nodes: tuple[int, int] | None,
        value: Value | None,
        uses: tuple[Use, ...],
        heir: Span | None = None,
    ) -> None:
        self.heir = heir
        self.metric = metric
        self.wanted = wanted
        self.span = span
        self.nodes = nodes
        self.value = value
        self.uses = uses


class PassedOn(NamedTuple):
    """Where an input of the network came out as an output without being named as one, and what to write instead."""

    span: Span
    hint: str
    uses: tuple[Use, ...] = ()


class Graph:
    """A network. `nodes` are in the order in which they run; `params` are the resolved parameters of the spec.

    `heads` are the outputs that exist only in training, by name; `init` are the rules by which weights are initialized, in order;
    `rename` are rules for names of tensors in files; `budget` are the limits on what it may cost; `recipe` is how it is trained;
    `passed_on` are the outputs that turned out to be inputs.
    """

    __slots__ = (
        "_positions",
        "_recipe",
        "_uses",
        "budget",
        "captured",
        "doc",
        "heads",
        "init",
        "inputs",
        "name",
        "nodes",
        "outputs",
        "paper",
        "params",
        "passed_on",
        "promises",
        "rename",
        "root",
    )

    def __init__(self, name: str, doc: str, params: dict[str, Any]) -> None:
        self.name = name
        self.doc = doc
        self.params = params
        self.paper = Paper()
        self.init: list[InitRule[tuple[Node, Weight]]] = []
        self.inputs: dict[str, Value] = {}
        self.outputs: dict[str, Value] = {}
        self.heads: dict[str, Value] = {}
        self.nodes: list[Node] = []
        self.root = Scope("", None)
        self.promises: list[Promise] = []
        self.passed_on: dict[str, PassedOn] = {}
        self.budget: list[Limit] = []
        self.rename: tuple[str, ...] = ()
        self.captured: Captured | None = None
        self._recipe: Recipe | None = None
        self._positions: dict[Node, int] = {}
        self._uses: tuple[int, dict[Value, tuple[Node, ...]]] = (-1, {})

    @property
    def recipe(self) -> Recipe:
        """How it is trained, with every default filled in; made at its first use, since most commands have none for it."""
        if self._recipe is None:
            from archc.recipe.recipe import Recipe

            self._recipe = Recipe()
        return self._recipe

    @recipe.setter
    def recipe(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def take_recipe(self, other: Graph) -> None:
        """That of another graph, made there or not."""
        self._recipe = other._recipe

    @property
    def dtype(self) -> str:
        """That of a module's parameters, and float32 of a spec: what figures are in unless another is asked for."""
        return self.captured.dtype if self.captured is not None else "float32"

    @property
    def returned(self) -> tuple[Value, ...]:
        """The values that come out in training: the outputs, then the heads."""
        return (*self.outputs.values(), *self.heads.values())

    @property
    def positions(self) -> Mapping[Node, int]:
        """Where each layer stands in `nodes`. Counted once, and again when layers were added."""
        if len(self._positions) != len(self.nodes):
            self._positions = {node: at for at, node in enumerate(self.nodes)}
        return self._positions

    @property
    def uses(self) -> Mapping[Value, tuple[Node, ...]]:
        """The layers that read each value, each once, in order; none for a value that nobody reads. Found once, as `positions` are.

        The graph knows them and not the value, since an input of the network is one value in all copies of a graph.
        """
        if self._uses[0] != len(self.nodes):
            found: dict[Value, list[Node]] = {value: [] for value in self.inputs.values()}
            for node in self.nodes:
                for value in dict.fromkeys(node.inputs):
                    found[value].append(node)
                for value in node.outputs:
                    found[value] = []
            self._uses = len(self.nodes), {value: tuple(nodes) for value, nodes in found.items()}
        return self._uses[1]

    def last_uses(self) -> dict[Value, int]:
        """The position of the last layer that reads each value that is read; beyond all layers for what comes out."""
        found = {value: at for at, node in enumerate(self.nodes) for value in node.inputs}
        return found | dict.fromkeys(self.returned, len(self.nodes))

    def deployed(self) -> Graph:
        """The network as it is used: without what is there in training alone. Itself where nothing is."""
        from archc.graph.rewrite import without

        left_out = {node for node in self.nodes if node.train_only}
        return without(self, left_out) if left_out else self

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise NameNotFound(f"no layer is called {name}")

    def __repr__(self) -> str:
        inputs = ", ".join(str(value.shape) for value in self.inputs.values())
        return f"<Graph {printable(self.name)}: {counted(len(self.nodes), 'layer')}, input {inputs}>"

    def _repr_html_(self) -> str:
        from archc.text.notebook import to_html
        from archc.text.table import Column, Table

        table = Table([Column("layer"), Column("kind"), Column("output"), Column("parameters", "count")])
        for node in self.nodes:
            learned = 0 if node.shared is not None else sum(weight.values for weight in node.facts.owned if weight.role != "buffer")
            table.rows.append([node.name, node.kind, str(node.output.shape), learned])
        inputs = ", ".join(f"{name} {value.shape}" for name, value in self.inputs.items())
        return to_html(f"{self.name}: {inputs}", table, [self.doc])

    def to_networkx(self) -> networkx.DiGraph:
        """A networkx.DiGraph of the layers and the inputs, by name. Raises MissingPackage without networkx.

        Nodes have `kind` (that of the layer, or `input`) and `shape`; edges the `shape` of what flows, without a batch axis, and
        `by_value`: whether more than the size of it counts. A layer that reads another twice is joined to it by one edge.
        """
        from archc.graph.exchange import to_networkx

        return to_networkx(self)

    def to_graphviz(self, rankdir: str = "TB") -> graphviz.Digraph:
        """A graphviz.Digraph of the layers, with parts as clusters and shapes on the edges: to be changed, rendered, or shown.

        A notebook shows it where the program `dot` is installed. `archc render` draws pictures for papers, with repeats as one.
        Raises MissingPackage without the package graphviz.

        rankdir: TB, BT, LR or RL, where the graph runs to
        """
        from archc.graph.exchange import to_graphviz

        return to_graphviz(self, rankdir)


@contextmanager
def growing() -> Iterator[None]:
    """While a graph grows, the cycle collector rests: it would walk the whole graph again and again and find nothing."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
