"""From a network to the short spec that a person would have written, proved to be the same network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from archc.analysis.compare.exact import differences
from archc.elaborate.compiler import compile_text
from archc.folding.blocks import Recogniser
from archc.folding.calls import Call, NotFoldable
from archc.folding.defaults import common_defaults, defaults_text
from archc.folding.macros import Macro, MacroFinder
from archc.folding.rising import find_rising
from archc.folding.signature import Parts
from archc.folding.write import Writer
from archc.graph import Graph, Scope
from archc.graph.write_spec import declared, flat_text, reference
from archc.text.writing import key_of, text_of

Defaults = dict[str, dict[str, Any]]


def fold(graph: Graph) -> str:
    """The shortest spec that folding finds for a network. It elaborates to the very same network; where none does, it is flat."""
    for text in folded_texts(graph):
        if is_spec_of(text, graph):
            return text
    return flat_text(graph)


def is_spec_of(text: str, graph: Graph) -> bool:
    """Whether a spec elaborates to a network."""
    again = compile_text(text, name="the folded spec").graph
    return again is not None and not differences(graph, again)


def folded_texts(graph: Graph) -> Iterator[str]:
    """Folded specs, not yet proved: the one that should be shortest first."""
    defaults = common_defaults(graph)
    parts = Parts(graph)
    recogniser = Recogniser(defaults_text(defaults))
    uses: dict[Scope, Call] = {}
    for scope in _scopes(graph.root):
        if any(around in uses for around in scope.around()) or scope.held:
            continue
        found = recogniser.find(parts.of(scope))
        if found is not None:
            uses[scope] = Call(*found)
    rising = find_rising(graph, uses)
    for calls, macros in ((rising, True), (uses, True), (uses, False)):
        try:
            yield _text(graph, parts, dict(calls), defaults, macros)
        except NotFoldable:
            continue


def _text(graph: Graph, parts: Parts, uses: dict[Scope, Call], defaults: Defaults, macros: bool) -> str:
    def write(macro: Macro) -> list[str]:
        return Writer(graph, parts, uses, defaults).body(macro)

    found = MacroFinder(graph, parts, uses, defaults, write).find() if macros else []
    blocks = [line for macro in found for line in _block(macro)]
    layers = Writer(graph, parts, uses, defaults).level(graph.root)
    head = [*_head(graph, defaults), *(["blocks:"] if blocks else []), *_indented(blocks)]
    return "\n".join([*head, "layers:", *_indented(layers), *_outputs(graph)]) + "\n"


def _block(macro: Macro) -> Iterator[str]:
    yield f"{macro.name}:"
    if macro.params:
        yield "  params: {" + ", ".join(f"{name}: {type_}" for name, type_ in macro.params.items()) + "}"
    if macro.inputs:
        yield f"  inputs: [{', '.join(macro.inputs)}]"
    yield "  layers:"
    yield from ("    " + line for line in macro.body)


def _indented(lines: Iterable[str]) -> list[str]:
    return ["  " + line for line in lines]


def _scopes(scope: Scope) -> Iterator[Scope]:
    for child in scope.children:
        if isinstance(child, Scope):
            yield child
            yield from _scopes(child)


def _head(graph: Graph, defaults: Defaults) -> Iterator[str]:
    yield "archc: 1"
    yield f"name: {text_of(graph.name)}"
    if graph.doc:
        yield f"doc: {text_of(graph.doc)}"
    shapes = {name: declared(value) for name, value in graph.inputs.items()}
    yield f"input: {text_of(shapes['input'] if list(shapes) == ['input'] else shapes)}"
    if rules := {rule.key: rule.how for rule in graph.init if rule.targets}:
        yield f"init: {text_of(rules)}"
    if defaults:
        yield f"defaults: {text_of(defaults)}"


def _outputs(graph: Graph) -> Iterator[str]:
    """`outputs:`, where it is not the end of the chain alone."""
    last = next((node for node in reversed(graph.nodes) if not node.train_only), None)
    if last is not None and list(graph.outputs.items()) == [("output", last.output)] and len(last.outputs) == 1:
        return
    yield "outputs: {" + ", ".join(f"{key_of(name)}: {reference(value)}" for name, value in graph.outputs.items()) + "}"
