"""The constructor of a class: its parameters, its attributes, and the rules of `init` at the end of the network's."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from archc.catalog.initializers import InitRule
from archc.codegen.emit.layout import lay_out, statement
from archc.graph import Graph, Node
from archc.ops import syntax
from archc.ops.facts import Module, Weight, literal
from archc.ops.syntax import Conditional, Items, Keyword, Literal, Name, Repeated, Tree, bound, call, flat, parse_dotted
from archc.program.classes import Attribute, Class
from archc.program.constructs import Construct, Leaf, TensorConstruct, Use
from archc.program.parts import ATTRIBUTE, KEY, is_identifier
from archc.signature import MISSING

Rule = InitRule[tuple[Node, Weight]]
Named = tuple[str, str]  # a tensor: its layer's name, its own
Values = Iterator[Tree | None]  # of the slots of constructs, in order
_POSITIONAL = ("in_channels", "in_features", "channels", "features")


def constructor(definition: Class) -> list[str]:
    """The lines of `__init__`."""
    values = iter(definition.values)
    parameters = [
        Name(made.name) if made.default is MISSING else Keyword(made.name, Literal(literal(made.default))) for made in definition.parameters
    ]
    lines = ["    def " + lay_out(call("__init__", Name("self"), *parameters), 4, 8, 1) + ":"]
    if definition.base == "nn.Sequential":
        items = [_construction(made.construct, values) for made in definition.attributes if made.construct is not None]
        return [*lines, statement("", call("super().__init__", *_repeats(items)), 8), *_ties(definition)]
    lines.append("        super().__init__()")
    lines += [_assignment(made, values, definition.flags.get(made.label, "")) for made in definition.attributes]
    labels = [made.label for made in definition.attributes]
    lines += [f"        self.{label} = {flag}" for label, flag in definition.flags.items() if label not in labels]
    return lines + _ties(definition)


def _ties(definition: Class) -> list[str]:
    """`self.head.weight = self.embed.weight`."""
    return [statement(f"{flat(mine)} = ", theirs, 8) for mine, theirs in definition.ties]


def _assignment(made: Attribute, values: Values, flag: str) -> str:
    """`self.conv1 = nn.Conv2d(…)`."""
    value: Tree = call(made.holder) if made.construct is None else _construction(made.construct, values)
    value = Conditional(value, flag) if flag else value
    tensor = isinstance(made.construct, TensorConstruct)
    if isinstance(made.construct, TensorConstruct) and made.construct.holds != "parameter":
        temporary = [Keyword("persistent", Literal("False"))] if made.construct.holds == "constant" else []
        return statement("", call(syntax.Attribute(made.path, "register_buffer"), Literal(f'"{made.label}"'), value, *temporary), 8)
    if made.style == ATTRIBUTE:
        return statement(f"{flat(made.path)}.{made.label} = ", value, 8)
    if made.style == KEY and not tensor:
        return statement(f'{flat(made.path)}["{made.label}"] = ', value, 8)
    method = syntax.Attribute(made.path, "register_parameter" if tensor else "add_module")
    return statement("", call(method, Literal(f'"{made.label}"'), value), 8)


def _construction(made: Construct, values: Values) -> Tree:
    """What makes an attribute, with the values of its slots, which come in order."""
    if isinstance(made, Leaf):
        return _module(made, values)
    if isinstance(made, TensorConstruct):
        tensor = bound(made.value, [_next(values) for _ in made.slots])
        return call("nn.Parameter", tensor) if made.holds == "parameter" else tensor
    if isinstance(made, Use):
        return _instance(made, values)
    items = [_construction(item, values) for _, item in made.items]
    if made.numbered:
        return call("nn.Sequential", *_repeats(items))
    labels = [label for label, _ in made.items]
    if all(map(is_identifier, labels)):
        return call("nn.Sequential", call("OrderedDict", *(Keyword(a, b) for a, b in zip(labels, items, strict=True))))
    pairs = (Items("(", (Literal(f'"{a}"'), b)) for a, b in zip(labels, items, strict=True))
    return call("nn.Sequential", call("OrderedDict", Items("[", tuple(pairs))))


def _next(values: Values) -> Tree:
    """The value of a slot that has no default, so that there is one."""
    value = next(values)
    assert value is not None
    return value


def _module(made: Leaf, values: Values) -> Tree:
    items = [_next(values) for _ in range(len(made.slots) - len(made.options))]
    options = [(name, next(values)) for name in made.options]
    return call(made.name, *items, *(Keyword(name, value) for name, value in options if value is not None))


def _instance(made: Use, values: Values) -> Tree:
    """Of a class of the program: the sizes that come first by their place, all else by name."""
    items: list[Tree] = []
    positional = True
    for parameter in made.of.parameters:
        value = next(values)
        positional = positional and parameter.name in _POSITIONAL and value is not None
        if value is not None:
            items.append(value if positional else Keyword(parameter.name, value))
    return call(made.of.name, *items)


def _repeats(items: list[Tree]) -> list[Tree]:
    """Three and more that are equal, one after the other, as a comprehension."""
    found: list[Tree] = []
    at = 0
    while at < len(items):
        end = at
        while end < len(items) and flat(items[end]) == flat(items[at]):
            end += 1
        found += [Repeated(items[at], end - at)] if end - at > 2 else items[at:end]
        at = end
    return found


class Initialization(NamedTuple):
    """The statements of all rules of `init`, and the names from elsewhere that they use."""

    lines: list[str]
    names: set[str]


def initialization(graph: Graph) -> Initialization:
    """A loop over modules where a rule is for all of a class, over names where it is for a pattern, else tensor by tensor.

    A tensor that a later rule takes may be set by an earlier one too: the later statement stands after it.
    """
    lines: list[str] = []
    used: set[str] = set()
    rules = [rule for rule in graph.init if rule.targets]
    for at, rule in enumerate(rules):
        later = {_key(*target) for other in rules[at + 1 :] for target in other.targets}
        found = _by_class(graph, rule, later)
        if not found and (found := _by_pattern(graph, rule, later)):
            used.add("fnmatchcase")
        lines += found or list(_one_by_one(rule))
    return Initialization([f"        {line}" for line in _join_loops(lines)], used)


def _join_loops(lines: list[str]) -> list[str]:
    """Loops with the same head as one."""
    found: list[str] = []
    for line in lines:
        if not line.startswith(" ") and line.startswith("for ") and line in found and found[-1].startswith(" "):
            head = max(i for i, text in enumerate(found) if not text.startswith(" "))
            if found[head] == line:
                continue
        found.append(line)
    return found


def _key(node: Node, weight: Weight) -> Named:
    return node.name, weight.name


def _owned_weights(graph: Graph) -> list[tuple[Node, Weight]]:
    return [(node, w) for node in graph.nodes if node.shared is None for w in node.facts.owned if w.role != "buffer"]


def _by_class(graph: Graph, rule: Rule, later: set[Named]) -> list[str]:
    """`for module in self.modules(): if isinstance(module, nn.Conv2d): …`, if the rule is for all tensors of some classes."""
    targets = {_key(*target) for target in rule.targets}
    classes = list(dict.fromkeys(node.facts.torch.name for node, _ in rule.targets if isinstance(node.facts.torch, Module)))
    names = list(dict.fromkeys(weight.name for _, weight in rule.targets))
    if len(names) != 1 or not names[0] or sum(isinstance(node.facts.torch, Module) for node, _ in rule.targets) < len(rule.targets):
        return []
    alike = [node for node in graph.nodes if isinstance(node.facts.torch, Module) and node.facts.torch.name in classes]
    if any(names[0] in node.ties for node in alike):  # a loop would reach what is another layer's
        return []
    meant = {_key(node, weight) for node, weight in _owned_weights(graph) if node in alike and weight.name == names[0]}
    if not targets <= meant <= targets | later or len(rule.targets) < 2:
        return []
    lacking = any(node.shared is None and names[0] not in [w.name for w in node.facts.owned] for node in alike)
    said = f" and module.{names[0]} is not None" if lacking else ""
    kinds = classes[0] if len(classes) == 1 else f"({', '.join(classes)})"
    plain = "nn.Linear" not in classes or all(node.kind != "attention" for node in graph.nodes)
    sole = plain and not any(isinstance(n.facts.torch, Module) and n.facts.torch.source for n in graph.nodes)
    exact = f"type(module) is {kinds}" if len(classes) == 1 else f"type(module) in {kinds}"
    test = f"isinstance(module, {kinds})" if sole else exact
    return ["for module in self.modules():", f"    if {test}{said}:", *_init_call(rule, parse_dotted(f"module.{names[0]}"), 16)]


def _by_pattern(graph: Graph, rule: Rule, later: set[Named]) -> list[str]:
    """`for name, parameter in self.named_parameters(): if fnmatchcase(name, "layer*.bn3.weight"): …`."""
    targets = {_key(*target) for target in rule.targets}
    meant = {_key(*pair) for pair in _owned_weights(graph) if fnmatchcase(_name(*pair), rule.key)}
    if rule.by != "pattern" or len(targets) < 2 or not targets <= meant <= targets | later:
        return []
    test = f"    if fnmatchcase(name, {literal(rule.key)}):"
    return ["for name, parameter in self.named_parameters():", test, *_init_call(rule, Name("parameter"), 16)]


def _one_by_one(rule: Rule) -> Iterator[str]:
    for node, weight in rule.targets:
        yield from (
            line.removeprefix("        ") for line in _init_call(rule, call("self.get_parameter", Literal(f'"{_name(node, weight)}"')), 8)
        )


def _name(node: Node, weight: Weight) -> str:
    return f"{node.name}.{weight.name}".rstrip(".")


def _init_call(rule: Rule, tensor: Tree, indent: int) -> list[str]:
    """The call of torch.nn.init, indented as inside a constructor."""
    function, options = rule.call
    made = call(f"nn.init.{function}", tensor, *(Keyword(name, Literal(literal(value))) for name, value in options.items()))
    first, *rest = lay_out(made, indent, indent).split("\n")
    return [" " * (indent - 8) + first, *(line.removeprefix("        ") for line in rest)]
