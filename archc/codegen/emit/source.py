"""The PyTorch source of a network: what it imports, its helpers, its classes, each after those that it uses."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archc.codegen.emit.body import Plain, Return, Statement
from archc.codegen.emit.constructor import constructor, initialization
from archc.codegen.emit.describe import about, docstring, given_shape
from archc.codegen.emit.forward import ForwardMethod, several
from archc.codegen.emit.preamble import helpers, imports, used_names
from archc.graph import Graph, Value
from archc.ops.facts import literal
from archc.ops.syntax import Items, Keyword, Name, Tree
from archc.ops.template import names_in
from archc.program.classes import Class, Program
from archc.program.constructs import ChainConstruct, Construct, Leaf


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A Python module that needs torch alone; `name` is the class of the network, its last."""

    text: str
    name: str


def source_of(graph: Graph, notes: list[str] | None = None, recomputed: Sequence[range] = ()) -> ModuleSource:
    """The source of a network; `notes` are paragraphs of its docstring, `recomputed` the places of layers that run again in backward."""
    writer = Writer(Program(graph, recomputed), notes or [])
    return ModuleSource(writer.text(), writer.name)


class Writer:
    def __init__(self, program: Program, notes: list[str]) -> None:
        self.program = program
        self.notes = notes
        self.graph = program.graph
        self.init = initialization(program.graph)

    @property
    def name(self) -> str:
        """The class of the network."""
        return self.program.classes[-1].name

    def text(self) -> str:
        used = used_names(self.program) | self.init.names
        added = helpers(used)
        used = used.union(*(names_in(ast.parse(text)) for text in added))
        body = "\n\n\n".join([*added, *self._sources(), *(self._class(definition) for definition in self.program.classes)])
        return "\n".join([*docstring(self._title(), 0), "", *imports(used), "", "", body, ""])

    def _title(self) -> list[str]:
        return [f"{self.graph.name}: {self.graph.doc}" if self.graph.doc else self.graph.name, *self.notes]

    def _class(self, definition: Class) -> str:
        dataflow = self.program.parts.dataflow
        lines = [
            f"class {definition.name}({definition.base}):",
            *docstring(about(self.graph, dataflow, definition), 4),
            "",
            *constructor(definition),
        ]
        if definition.first.parent is None:
            lines += self.init.lines
        if definition.base != "nn.Sequential" or any(step.recomputed for step in definition.steps[definition.first]):
            given = {part: given_shape(dataflow, part) for part in definition.parts}
            lines += ["", *ForwardMethod(definition, dataflow, self.graph, given).text(self.returns)]
        return "\n".join(lines)

    def _sources(self) -> list[str]:
        """Classes that layers bring with them, each once."""
        found: dict[str, None] = {}
        for definition in self.program.classes:
            for made in definition.attributes:
                if made.construct is not None:
                    found.update(dict.fromkeys(_sources(made.construct)))
        return [text.strip("\n") for text in found]

    def returns(self, definition: Class, names: dict[Value, str]) -> Iterator[Statement]:
        """The return of a forward. A network gives a value, or several by name; in training those of its heads too."""
        scope = definition.first
        if scope.parent is not None:
            yield Return(several([names[value] for value in self.program.parts.dataflow.outputs(scope)]))
            return
        heads = {name: value for name, value in self.graph.outputs.items() if value.node is not None and value.node.train_only}
        outputs = {name: value for name, value in self.graph.outputs.items() if name not in heads}
        if heads or self.graph.heads:
            yield Plain("if self.training:")
            yield Return(_by_name(self.graph.outputs | self.graph.heads, names), 1)
        yield Return(Name(names[next(iter(outputs.values()))]) if len(outputs) == 1 else _by_name(outputs, names))


def _by_name(values: dict[str, Value], names: dict[Value, str]) -> Tree:
    """A dictionary of values."""
    return Items("{", tuple(Keyword(literal(name), Name(names[value]), ": ") for name, value in values.items()))


def _sources(made: Construct) -> Iterator[str]:
    if isinstance(made, Leaf) and made.source:
        yield made.source
    elif isinstance(made, ChainConstruct):
        for _, item in made.items:
            yield from _sources(item)
