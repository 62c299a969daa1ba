"""What elaboration carries along: where it stands, what names mean there, what is known so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from archc.graph import Graph, Node, Scope, Value
from archc.language.blocks import Block
from archc.language.entries import CHAIN_INPUT, Chain, Entry
from archc.language.functions import Axes, budget
from archc.language.spec import Spec
from archc.language.values import Mistake
from archc.ops.shape import Shape
from archc.text.diagnostics import Diagnostic, Diagnostics, Use
from archc.text.source import Span
from archc.text.tree import Tree

if TYPE_CHECKING:
    from archc.symbolic.tape import Tape

MOST_LAYERS = 10_000
MOST_FAILING = 64  # copies of an entry in succession; those after them would say the same
STEP, LAYER_WORK, MISTAKE_WORK, NAME_WORK = 450, 500, 5_000, 20  # an entry, a layer, a mistake, a name that is copied
TENSOR_WORK, READ_WORK = 500, 250  # an output or a weight of a layer, a value that it reads: for all that is told of these later
DEEPEST = 64

OUT_OF_WORK = "A603"

UNKNOWN = Value(None, 0, Shape(), "unknown")  # the result of a mistake; what depends on it is skipped in silence
Values = tuple[Value, ...]


class ElaborationStopped(Exception):
    """Elaboration cannot go on; the reason is among the diagnostics."""


class Ref:
    """What a name means: values, and the names one level down.

    `weak` may be bound again: a layer that is not there. `left_out`: that is so because of its `when`.
    """

    __slots__ = ("left_out", "made", "space", "span", "values", "weak")

    def __init__(
        self,
        values: Values,
        span: Span,
        space: Space | None = None,
        made: Node | Scope | None = None,
        weak: bool = False,
        left_out: bool = False,
    ) -> None:
        self.values = values
        self.span = span
        self.space = space
        self.made = made
        self.weak = weak
        self.left_out = left_out


class Space:
    """The names of one level. `outer` is where a name is looked for next; None at a block's edge. `cut`: copies were left out."""

    __slots__ = ("chains", "count", "cut", "names", "open", "outer", "prefix", "scope")

    def __init__(self, scope: Scope, outer: Space | None) -> None:
        self.scope = scope
        self.prefix = f"{scope.name}." if scope.name else ""
        self.outer = outer
        self.names: dict[str, Ref] = {}
        self.open: dict[str, Space] = {}  # the level below that is being made: its names are known, its value is not
        self.chains: list[Chain] = []  # those that give names to this level
        self.count = 0
        self.cut = False

    @property
    def broken(self) -> bool:
        """Whether an entry of this level was refused: its name may be the one that is missed."""
        return self.cut or any(chain.broken for chain in self.chains) or (self.outer is not None and self.outer.broken)


class Place:
    """The block that is being elaborated: its inputs by name, and the uses that led to it."""

    __slots__ = ("block", "depth", "inputs", "uses")

    def __init__(self, block: Block | None, inputs: dict[str, Values], uses: tuple[Use, ...], depth: int) -> None:
        self.block = block
        self.inputs = inputs
        self.uses = uses
        self.depth = depth


class Context:
    """Where an entry stands: `space` takes its name, `lookup` is where its `from` begins, `env` holds its `$names`.

    own: what came into the innermost chain around it, its `chain_input`
    copy: what came into the innermost second or later copy around it; None outside of such copies
    """

    __slots__ = ("copy", "env", "lookup", "own", "place", "space")

    def __init__(
        self, space: Space, lookup: Space, env: Mapping[str, Any], place: Place, own: Values = (), copy: Values | None = None
    ) -> None:
        self.space = space
        self.lookup = lookup
        self.env = env
        self.place = place
        self.own = own
        self.copy = copy

    def bound(self, names: Mapping[str, Any]) -> Context:
        """The same place with more names."""
        return Context(self.space, self.lookup, {**self.env, **names}, self.place, self.own, self.copy)

    def inside(self, space: Space, lookup: Space | None = None) -> Context:
        """On another level of names; `from` begins there, or where it is told."""
        return Context(space, lookup or space, self.env, self.place, self.own, self.copy)

    def copied(self, inputs: Values) -> Context:
        """In a second or later copy, and what that was given."""
        return Context(self.space, self.lookup, self.env, self.place, self.own, inputs)

    def chained(self, inputs: Values) -> Context:
        """In a chain of its own, and what came into it: by name in `from`, and by its sizes in expressions."""
        env = dict(self.env)
        env.pop(CHAIN_INPUT, None)
        if len(inputs) == 1:
            env[CHAIN_INPUT] = Axes(None if inputs[0] is UNKNOWN else inputs[0].shape)
        return Context(self.space, self.lookup, env, self.place, inputs, self.copy)


class Closure:
    """A `layer` argument: an entry, with the place where it was written."""

    __slots__ = ("context", "tree")

    def __init__(self, tree: Tree, context: Context) -> None:
        self.tree = tree
        self.context = context

    def __str__(self) -> str:
        return "a layer"


class Written(NamedTuple):
    """Where the shape of an input was written, and the spec's own sizes if that stands in their place."""

    span: Span
    own: list[int]


class Elaboration:
    """One elaboration: its spec, its graph in the making, its budget of work."""

    def __init__(
        self, spec: Spec, diagnostics: Diagnostics, trial: bool = False, sizes: Mapping[str, int] | None = None, tape: Tape | None = None
    ) -> None:
        self.spec = spec
        self.sizes: dict[str, int] = dict(sizes or {})  # of the open axes of inputs, by name; on the tape, where there is one
        self.tape = tape
        self.trial = trial  # whether a shape is tried that nobody wrote
        self.inputs: dict[str, Written] = {}
        self.diagnostics = diagnostics
        self.graph = Graph(spec.name, spec.doc, {})
        self.graph.paper = spec.paper
        self.facts: dict[Any, Any] = {}
        self.presets: dict[str, dict[str, Any]] = {}
        self.met: set[Entry] = set()  # the entries that were elaborated at least once
        self.top: Context | None = None  # the spec's own place and names
        self.training = 0  # how many `train_only` entries enclose the present one
        self.depth = 0
        self.steps = 0
        self.left_out: tuple[int, Span, tuple[Use, ...]] | None = None  # the latest entry with `when` and `from` that is not there

    def warn(self, code: str, span: Span, message: str, hint: str, at: Place) -> None:
        self.diagnostics.add(Diagnostic(code, message, span, hint, at.uses, "warning"))

    def error(self, code: str, span: Span, message: str, hint: str | None = None, at: Place | None = None) -> None:
        self.diagnostics.error(code, span, message, hint, at.uses if at is not None else ())
        if code == OUT_OF_WORK:
            raise ElaborationStopped
        self.spend(MISTAKE_WORK, span, at)
        if self.diagnostics.full:
            raise ElaborationStopped

    def mistake(self, found: Mistake, at: Place | None = None) -> None:
        self.error(found.code, found.span, found.message, found.hint, at)

    def step(self, span: Span, context: Context) -> None:
        """Charges an entry, by the names that it hands on."""
        self.steps += 1
        self.spend(STEP + len(context.env), span, context.place)

    def spend(self, work: int, span: Span, at: Place | None) -> None:
        """Charges work. Raises Stop where a spec has no more."""
        if not budget.take(work):
            self.error(OUT_OF_WORK, span, "too much work: the rest was not checked", "is a `for` or `repeat` too large?", at)
