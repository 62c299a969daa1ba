"""`init`: the rules for how weights begin, and the tensors that each of them decides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import translate
from itertools import islice
from typing import Any, NamedTuple

from archc.catalog.initializers import INITIALIZERS, InitRule
from archc.elaborate.binding import arguments_of, bound
from archc.elaborate.kinds import find_kind
from archc.elaborate.layers import facts_of
from archc.elaborate.state import Elaboration
from archc.elaborate.unknown import suggest_layer
from archc.graph import Graph, Node
from archc.language.blocks import Block
from archc.language.entries import Entry
from archc.language.functions import Unknown, budget
from archc.language.values import Mistake, evaluate
from archc.ops import OPERATORS
from archc.ops.facts import Weight
from archc.signature import Fault, shown
from archc.text import tree as t
from archc.text.source import Span
from archc.text.suggest import did_you_mean

MOST_NAMES = 500
_EXAMPLE = "write {kaiming_normal: {mode: fan_out}}, {normal: 0.01}, zeros or 0.1"
_WILD = re.compile(r"[*?\[]")


class LearnedTensor(NamedTuple):
    """A tensor of the network; `name` is that in the module's state_dict."""

    name: str
    node: Node
    weight: Weight


class How(NamedTuple):
    """The right side of a rule: an initializer and its options, as torch calls them."""

    function: str
    options: dict[str, Any]
    span: Span


class WrittenRule(NamedTuple):
    """The left side of a rule: an operator with the name of one of its tensors, or a pattern (`op` is empty)."""

    text: str
    key: t.Scalar
    op: str
    tensor: str
    pattern: str


class Tensors:
    """All tensors of a network, each once, however often its layer is applied."""

    def __init__(self, graph: Graph) -> None:
        self.all: list[LearnedTensor] = []
        self.at: dict[str, int] = {}
        self.layers: dict[str, Node] = {}  # the first of each operator
        self.of_op: dict[tuple[str, str], list[int]] = {}  # by operator and name; by operator and no name, its weights
        for node in graph.nodes:
            if node.shared is None:
                self._add(node)
        self.characters = sum(map(len, self.at))
        self.names = [self._address(tensor.name) for tensor in islice(filter(is_learned, self.all), MOST_NAMES)]  # for suggestions
        self.patterns = likely_patterns(self.names)

    def _add(self, node: Node) -> None:
        kind = node.op.name
        self.layers.setdefault(kind, node)
        for weight in node.facts.owned:
            name, place = f"{node.name}.{weight.name}" if weight.name else node.name, len(self.all)
            self.at[name] = place
            for key in {weight.name, "" if weight.role == "weight" else weight.name}:
                self.of_op.setdefault((kind, key), []).append(place)
            self.all.append(LearnedTensor(name, node, weight))

    def _address(self, name: str) -> str:
        """A tensor's name as `init` reads it: a dot before what would be an operator of the network."""
        return f".{name}" if name.partition(".")[0] in self.layers else name


def is_learned(tensor: LearnedTensor) -> bool:
    return tensor.weight.role != "buffer"


def initialize(run: Elaboration, lenient: bool) -> None:
    """The rules of the graph. `lenient`: it is a variant of the spec, in which a pattern may name nothing."""
    if not run.spec.init:
        return
    complete = not run.diagnostics.failed  # layers that are missing are not held against `init`
    hows = [_how(run, tree) for _, tree in run.spec.init.values()]
    if not complete:
        return
    tensors = Tensors(run.graph)
    rules = [_rule(text, key, tensors) for text, (key, _) in run.spec.init.items()]
    decided: dict[int, int] = {}
    for number, rule in enumerate(rules):
        decided.update(dict.fromkeys(_find_named(run, rule, tensors, lenient), number))
    targets: list[list[LearnedTensor]] = [[] for _ in rules]
    for at in sorted(decided):
        targets[decided[at]].append(tensors.all[at])
    for rule, how, mine in zip(rules, hows, targets, strict=True):
        if how is not None:
            _check_shapes(run, rule, how, mine)
            run.graph.init.append(_made(rule, how, mine))


def _made(rule: WrittenRule, how: How, targets: list[LearnedTensor]) -> InitRule[tuple[Node, Weight]]:
    decides = tuple((target.node, target.weight) for target in targets)
    return InitRule(
        by="op" if rule.op else "pattern",
        key=rule.text,
        op=rule.op,
        tensor=rule.tensor,
        function=how.function,
        options=how.options,
        targets=decides,
    )


def _how(run: Elaboration, tree: t.Tree) -> How | None:
    """The initializer of a rule: a name, a name with arguments, or a number. None after a mistake."""
    context = run.top
    assert context is not None
    try:
        entry = _entry(run, tree, context.env)
    except Mistake as mistake:
        run.mistake(mistake)
        return None
    except Unknown:
        return None
    found = INITIALIZERS.get(entry.kind)
    if found is None:
        from archc.aliases import entries as recipes

        hint = recipes.initializer_hint(entry.kind) or did_you_mean(entry.kind, INITIALIZERS) or f"there are {', '.join(INITIALIZERS)}"
        run.error("A201", entry.kind_span, f'"{entry.kind}" is not an initializer', hint)
        return None
    trees = arguments_of(run, entry, found.signature, entry.kind, context)
    arguments = (
        bound(run, entry, signature=found.signature, trees=trees, preset={}, what=entry.kind, context=context)
        if trees is not None
        else None
    )
    if trees is None or arguments is None:
        return None
    fault = found.check(arguments)
    if fault is not None:
        at = trees.get(fault.argument or "")
        run.error(fault.code, at.span if at is not None else entry.kind_span, fault.message, fault.hint)
        return None
    return How(entry.kind, found.options(arguments), entry.kind_span)


def _entry(run: Elaboration, tree: t.Tree, env: Any) -> Entry:
    """What was written, in the form of a layer: its kind is the initializer. Raises Mistake, or Unknown after another."""
    if isinstance(tree, t.Mapping):
        if tree.broken:
            raise Unknown
        if len(tree.items) != 1:
            raise Mistake("A202", tree.span, "an initializer must be one name with its arguments", _EXAMPLE)
        name, argument = tree.items[0]
        return Entry(tree, str(name.value), name.span, argument)
    value = evaluate(tree, env)
    if isinstance(value, str):
        return Entry(tree, value, tree.span, None)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Entry(tree, "constant", tree.span, tree)
    raise Mistake("A202", tree.span, f"{shown(value)} is not an initializer", _EXAMPLE)


def _rule(text: str, key: t.Scalar, tensors: Tensors) -> WrittenRule:
    """`conv` and `conv.bias` are of an operator; all else, and what begins with a dot, is a pattern over names.

    The name of a tensor is that, unless its first part is an operator that the network uses: a new operator takes no name away.
    """
    head, _, tensor = text.partition(".")
    is_op = not _WILD.search(text) and (head in tensors.layers or (head in OPERATORS and text not in tensors.at))
    return WrittenRule(text, key, head, tensor, "") if is_op else WrittenRule(text, key, "", "", text.removeprefix("."))


def _find_named(run: Elaboration, rule: WrittenRule, tensors: Tensors, lenient: bool) -> list[int]:
    """The learned tensors that a rule names. That there are none is a mistake where it can be seen to be one."""
    if rule.op and rule.op not in tensors.layers:
        found: list[int] = []
    elif rule.op:
        found = tensors.of_op.get((rule.op, rule.tensor), [])
    else:
        found = _matching(run, rule, tensors)
    learned = [at for at in found if is_learned(tensors.all[at])]
    lenient = lenient or rule.key.source is not run.spec.source  # a rule that was inherited is meant for others too
    if found and not learned:
        name = tensors.all[found[0]].name
        run.error("A402", rule.key.span, f"{name} is a buffer and is not learned", "weights and biases can be initialized")
    elif not found and rule.op:
        _check_op(run, rule, tensors)
    elif not found and not lenient:
        _report_unknown(run, rule, tensors)
    return learned


def _matching(run: Elaboration, rule: WrittenRule, tensors: Tensors) -> list[int]:
    """The tensors whose names a pattern matches: `*` is any text, with dots; `?` a character; `[0-9]` one of several."""
    if not _WILD.search(rule.pattern):
        return [tensors.at[rule.pattern]] if rule.pattern in tensors.at else []
    if not budget.take(tensors.characters * (len(rule.pattern) + 10)):
        run.error("A603", rule.key.span, "too many names to compare with patterns", "name operators, as in `conv.bias: zeros`")
    matches = re.compile(translate(rule.pattern)).match
    return [at for at, tensor in enumerate(tensors.all) if matches(tensor.name)]


def _check_op(run: Elaboration, rule: WrittenRule, tensors: Tensors) -> None:
    """An operator's layers have no such tensor: a mistake, unless they would with their flags turned, as `bias: true`."""
    exact = f'write ".{rule.text}" for the tensor of this name' if rule.text in tensors.at else None
    node = tensors.layers.get(rule.op)
    if node is None:
        return
    possible = [weight for weight in _possible(run, node) if weight.role != "buffer"]
    if rule.tensor in {name for learned in possible for name in (learned.name, "" if learned.role == "weight" else learned.name)}:
        return
    names = list(dict.fromkeys(weight.name for weight in possible))
    what = f'{rule.op} has no tensor "{rule.tensor}"' if rule.tensor else f"{rule.op} has no weights"
    hint = exact or did_you_mean(rule.tensor, names) or (f"it has {', '.join(names)}" if any(names) else "there is nothing to initialize")
    run.error("A303", rule.key.span, what, hint)


def _possible(run: Elaboration, node: Node) -> Iterator[Weight]:
    """What a layer owns, and what it would own with each of its flags turned."""
    shapes = tuple([value.shape for value in node.inputs])
    yield from node.facts.owned
    for name, value in node.args.items():
        if isinstance(value, bool):
            try:
                yield from facts_of(run, node.op, shapes, {**node.args, name: not value}).owned
            except Fault:
                continue


def _report_unknown(run: Elaboration, rule: WrittenRule, tensors: Tensors) -> None:
    text, span, names = rule.text, rule.key.span, tensors.names
    if _WILD.search(text):
        near = did_you_mean(text, tensors.patterns)
        run.error("A303", span, f'no tensor has a name like "{text}"', near or such_as(names))
        return
    head = text.partition(".")[0]
    try:
        found = find_kind(run.spec.blocks, head, span)
    except Mistake as mistake:
        run.mistake(mistake)
        return
    if isinstance(found, Block):
        hint = 'name its layers\' operators, or its tensors by a pattern, as in "*.conv1.weight"'
        run.error("A301", span, f"{head} is a block; `init` takes operators and tensors", hint)
        return
    if found is not None and head not in OPERATORS:  # a package's, of which there is no layer
        return
    if "." in text:
        operators = [f"{op}.{name}" for (op, name), places in tensors.of_op.items() if name and is_learned(tensors.all[places[0]])]
        run.error("A303", span, f'no tensor is called "{text}"', did_you_mean(text, [*operators, *names]) or such_as(names))
    else:
        hint = did_you_mean(text, names) or suggest_layer(run, text) or such_as(names)
        run.error("A301", span, f'no operator or tensor is called "{text}"', hint)


def likely_patterns(names: list[str]) -> list[str]:
    """Patterns that match: each name with its numbers left out, and its ends."""
    numbered = [re.sub(r"\d*(\.\d+)+(?=\.)|\d+(?=\.)", "*", name) for name in names]
    split = [name.removeprefix(".").split(".") for name in names]
    ends = ["*." + ".".join(parts[-many:]) for parts in split for many in (1, 2) if len(parts) > many]
    return list(dict.fromkeys([*ends, *numbered]))


def such_as(names: list[str]) -> str:
    return f"names look like {', '.join(names[:2])}" if names else "this network has no learned tensors"


def _check_shapes(run: Elaboration, rule: WrittenRule, how: How, targets: list[LearnedTensor]) -> None:
    """Whether each tensor has the axes that the initializer needs."""
    for tensor in targets:
        fault = INITIALIZERS[how.function].refusal(tensor.weight.shape, how.options)
        if fault is not None:
            message = f"{how.function} {fault.message}; {tensor.name} has shape {list(tensor.weight.shape)}"
            narrower = 'name fewer tensors, as in "*.weight", or write a later rule for this one'
            run.error(fault.code, how.span, message, narrower if fault.hint and _WILD.search(rule.text) else fault.hint)
            return
