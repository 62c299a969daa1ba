"""The forward of a class, and the methods for those of its steps that run again in backward."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from textwrap import wrap as wrap_words

from archc.codegen.emit.body import Assign, Body, Delete, Plain, Return, Statement
from archc.codegen.emit.describe import of_steps
from archc.codegen.emit.layout import WIDTH, lay_out, wrap
from archc.graph import Graph, Scope, Value
from archc.ops.shape import Shape
from archc.ops.syntax import Attribute, Items, Literal, Name, Operation, Tree, call, flat
from archc.program.classes import Class
from archc.program.parts import is_identifier
from archc.program.scopes import Dataflow
from archc.program.steps import Step

_TAKEN = ("self", "torch", "nn", "F", "_", "input", "checkpoint")
Returns = Callable[[Class, dict[Value, str]], Iterable[Statement]]


class ForwardMethod:
    """The text of a class's forward; `given` is the shape of what each part of the class is given first."""

    def __init__(self, definition: Class, dataflow: Dataflow, graph: Graph, given: dict[Scope, Shape]) -> None:
        self.definition = definition
        self.dataflow = dataflow
        self.graph = graph
        self.steps = [_put_under_condition(definition, step) for step in definition.steps[definition.first]]
        self.shapes = of_steps(definition, given)

    def text(self, returns: Returns) -> list[str]:
        """The lines of `forward`, and of a method for each region of several layers."""
        definition, scope = self.definition, self.definition.first
        inputs, outputs = self.dataflow.inputs(scope), self.dataflow.outputs(scope)
        root = scope.parent is None
        arguments = _arguments(scope, inputs)
        body = Body(arguments, self.steps, [*outputs, *self.graph.heads.values()] if root else outputs, [] if root else outputs)
        lines = self._method("forward", arguments, body, lambda: returns(definition, body.names))
        for step in _regions(self.steps):
            lines += ["", *self._region(step)]
        return lines

    def _region(self, step: Step) -> list[str]:
        outputs = [value for value in step.outputs if value is not None]
        arguments = _name_values({}, step.inputs)
        body = Body(arguments, step.body, outputs, outputs)
        returned = lambda: [Return(several([body.names[value] for value in outputs]) if outputs else Literal("None"))]  # noqa: E731
        return self._method(step.method, arguments, body, returned)

    def _method(self, name: str, arguments: list[tuple[Value, str]], body: Body, returns: Callable[[], Iterable[Statement]]) -> list[str]:
        statements = list(body.statements())
        returned = list(returns())  # after all values have their names
        head = lay_out(call(name, Name("self"), *(Name(own) for _, own in arguments)), 4, 8, 1)
        last = _take_return(statements, returned)
        if last is not None:
            returned = [Return(last.value)]
        shape = self._shape(last) if last is not None else ""
        lines = [line for statement in statements for line in _lines(statement, self._shape(statement))]
        return [f"    def {head}:", *lines, *(line for statement in returned for line in _lines(statement, shape))]

    def _shape(self, statement: Statement) -> str:
        """The shape of what a statement computes, known by its last layer, as steps may be copies."""
        return self.shapes.get(id(statement.step.outputs), "") if isinstance(statement, Assign) else ""


def several(names: Sequence[str]) -> Tree:
    """A name, or several as a tuple."""
    return Name(names[0]) if len(names) == 1 else Items("", tuple(map(Name, names)))


def _take_return(statements: list[Statement], returned: list[Statement]) -> Assign | None:
    """Takes away the last statement, if it makes what is returned and nothing else."""
    last = statements[-1] if statements else None
    if not isinstance(last, Assign) or last.depth or not last.targets or len(returned) != 1 or not isinstance(returned[0], Return):
        return None
    if flat(returned[0].value) != ", ".join(last.targets):
        return None
    statements.pop()
    return last


def _regions(steps: list[Step]) -> Iterator[Step]:
    """Steps with a body, those around others first."""
    for step in steps:
        if step.body:
            yield step
            yield from _regions(step.body)


def _put_under_condition(definition: Class, step: Step) -> Step:
    """A step that not all parts have stands under a condition."""
    if step.label not in definition.flags:
        return step
    own: Tree = Attribute(Name("self"), step.label)
    made = step.label in [attribute.label for attribute in definition.attributes]
    return replace(step, test=Operation((own, Literal("None")), ("is not",)) if made else own)


def _lines(statement: Statement, shape: str) -> list[str]:
    """A statement with the shape of its value, if there is room."""
    indent = 8 + 4 * statement.depth
    if isinstance(statement, Plain):
        return [" " * indent + statement.text]
    if isinstance(statement, Delete):
        lines = wrap_words(", ".join(statement.names), WIDTH - indent - 4)
        return [" " * indent + "del " + names.rstrip(",") for names in lines]
    if isinstance(statement, Return) and statement.depth:
        return [f"{' ' * indent}return {flat(statement.value)}"]
    lead = "return " if isinstance(statement, Return) else f"{', '.join(statement.targets)} = " if statement.targets else ""
    lines = wrap(lead, statement.value, indent)
    if shape and len(lines) == 1 and len(lines[0]) + 4 + len(shape) <= WIDTH:
        return [f"{lines[0]}  # {shape}"]
    return lines


def _arguments(scope: Scope, inputs: list[Value]) -> list[tuple[Value, str]]:
    """Names for what comes in: those of the spec or block, `x` for what has none."""
    named: dict[Value, str] = {}
    spoken = zip(scope.inputs, scope.names, strict=False) if scope.parent is not None else ((value, value.name) for value in inputs)
    for value, name in spoken:
        named.setdefault(value, "" if name == "input" else name)
    return _name_values(named, inputs)


def _name_values(named: dict[Value, str], inputs: list[Value]) -> list[tuple[Value, str]]:
    taken: set[str] = set()
    found = []
    for value in inputs:
        own = named.get(value) or (value.node.label if value.node is not None else value.name)
        fits = is_identifier(own) and own not in _TAKEN and not own.startswith("__")
        name = "x" if not named.get(value) and "x" not in taken and (value is inputs[0] or not fits) else own if fits else "y"
        while name in taken or keyword.iskeyword(name):
            name += "_"
        taken.add(name)
        found.append((value, name))
    return found
