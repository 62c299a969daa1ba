"""The rules of `init` as statements at the end of the network's constructor."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from archc.catalog.initializers import InitRule
from archc.codegen.emit.layout import Call, laid
from archc.graph import Graph, Node
from archc.ops.facts import Module, Weight, literal

Rule = InitRule[tuple[Node, Weight]]
Tensor = tuple[str, str]  # its layer's name, its own


def init_lines(graph: Graph) -> list[str]:
    """A loop over modules where a rule is for all of a class, over names where it is for a pattern, else tensor by tensor.

    A tensor that a later rule takes may be set by an earlier one too: the later statement stands after it.
    """
    lines: list[str] = []
    rules = [rule for rule in graph.init if rule.targets]
    for at, rule in enumerate(rules):
        later = {_tensor(*target) for one in rules[at + 1 :] for target in one.targets}
        lines += _by_class(graph, rule, later) or _by_pattern(graph, rule, later) or list(_one_by_one(rule))
    return [f"        {line}" for line in _joined(lines)]


def _joined(lines: list[str]) -> list[str]:
    """Loops with the same head as one."""
    found: list[str] = []
    for line in lines:
        if not line.startswith(" ") and line.startswith("for ") and line in found and found[-1].startswith(" "):
            head = max(i for i, one in enumerate(found) if not one.startswith(" "))
            if found[head] == line:
                continue
        found.append(line)
    return found


def _tensor(node: Node, weight: Weight) -> Tensor:
    return node.name, weight.name


def _owned(graph: Graph) -> list[tuple[Node, Weight]]:
    return [(node, w) for node in graph.nodes if node.shared is None for w in node.facts.owned if w.role != "buffer"]


def _by_class(graph: Graph, rule: Rule, later: set[Tensor]) -> list[str]:
    """`for module in self.modules(): if isinstance(module, nn.Conv2d): …`, if the rule is for all tensors of some classes."""
    targets = {_tensor(*target) for target in rule.targets}
    classes = list(dict.fromkeys(node.facts.torch.name for node, _ in rule.targets if isinstance(node.facts.torch, Module)))
    names = list(dict.fromkeys(weight.name for _, weight in rule.targets))
    if len(names) != 1 or not names[0] or sum(isinstance(node.facts.torch, Module) for node, _ in rule.targets) < len(rule.targets):
        return []
    alike = [node for node in graph.nodes if isinstance(node.facts.torch, Module) and node.facts.torch.name in classes]
    meant = {_tensor(node, weight) for node, weight in _owned(graph) if node in alike and weight.name == names[0]}
    if not targets <= meant <= targets | later or len(rule.targets) < 2:
        return []
    lacking = any(node.shared is None and names[0] not in [w.name for w in node.facts.owned] for node in alike)
    said = f" and module.{names[0]} is not None" if lacking else ""
    kinds = classes[0] if len(classes) == 1 else f"({', '.join(classes)})"
    plain = "nn.Linear" not in classes or all(node.kind != "attention" for node in graph.nodes)
    sole = plain and not any(isinstance(n.facts.torch, Module) and n.facts.torch.source for n in graph.nodes)
    exact = f"type(module) is {kinds}" if len(classes) == 1 else f"type(module) in {kinds}"
    test = f"isinstance(module, {kinds})" if sole else exact
    return ["for module in self.modules():", f"    if {test}{said}:", *_called(rule, f"module.{names[0]}", 16)]


def _by_pattern(graph: Graph, rule: Rule, later: set[Tensor]) -> list[str]:
    """`for name, parameter in self.named_parameters(): if fnmatchcase(name, "layer*.bn3.weight"): …`."""
    targets = {_tensor(*target) for target in rule.targets}
    meant = {_tensor(*pair) for pair in _owned(graph) if fnmatchcase(_name(*pair), rule.key)}
    if rule.by != "pattern" or len(targets) < 2 or not targets <= meant <= targets | later:
        return []
    test = f"    if fnmatchcase(name, {literal(rule.key)}):"
    return ["for name, parameter in self.named_parameters():", test, *_called(rule, "parameter", 16)]


def _one_by_one(rule: Rule) -> Iterator[str]:
    for node, weight in rule.targets:
        yield from (line.removeprefix("        ") for line in _called(rule, f'self.get_parameter("{_name(node, weight)}")', 8))


def _name(node: Node, weight: Weight) -> str:
    return f"{node.name}.{weight.name}".rstrip(".")


def _called(rule: Rule, tensor: str, indent: int) -> list[str]:
    """The call of torch.nn.init, indented as inside a constructor."""
    function, options = rule.call
    call = Call(f"nn.init.{function}(", [tensor, *(f"{name}={literal(value)}" for name, value in options.items())])
    return (" " * (indent - 8) + laid(call, indent, indent)).split("\n")[:1] + [
        line.removeprefix("        ") for line in laid(call, indent, indent).split("\n")[1:]
    ]
