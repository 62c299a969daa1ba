"""The forward of a class, and the methods for those of its steps that run again in backward."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from textwrap import wrap

from archc.codegen.emit.layout import WIDTH, Call, laid, wrapped
from archc.codegen.emit.locals import Body, Line
from archc.codegen.emit.shapes import of_steps
from archc.graph import Graph, Scope, Value
from archc.ops.shape import Shape
from archc.program.classes import Class
from archc.program.parts import is_identifier
from archc.program.steps import Step
from archc.program.wires import Wires

_TAKEN = ("self", "torch", "nn", "F", "_", "input", "checkpoint")
Returns = Callable[[Class, dict[Value, str]], Iterable[str]]


class Forward:
    """The text of a class's forward; `given` is the shape of what each part of the class is given first."""

    def __init__(self, one: Class, wires: Wires, graph: Graph, given: dict[Scope, Shape]) -> None:
        self.one = one
        self.wires = wires
        self.graph = graph
        self.steps = [_conditioned(one, step) for step in one.steps[one.first]]
        self.shapes = of_steps(one, given)

    def text(self, returns: Returns) -> list[str]:
        """The lines of `forward`, and of a method for each region of several layers."""
        one, scope = self.one, self.one.first
        takes, gives = self.wires.takes(scope), self.wires.gives(scope)
        root = scope.parent is None
        arguments = _arguments(scope, takes)
        body = Body(arguments, self.steps, [*gives, *self.graph.heads.values()] if root else gives, [] if root else gives)
        lines = self._method("forward", arguments, body, lambda: returns(one, body.names))
        for step in _regions(self.steps):
            lines += ["", *self._region(step)]
        return lines

    def _region(self, step: Step) -> list[str]:
        gives = [value for value in step.outputs if value is not None]
        arguments = _named({}, step.inputs)
        body = Body(arguments, step.body, gives, gives)
        returned = lambda: ["return " + ", ".join(body.names[value] for value in gives) if gives else "return None"]  # noqa: E731
        return self._method(step.method, arguments, body, returned)

    def _method(self, name: str, arguments: list[tuple[Value, str]], body: Body, returns: Callable[[], Iterable[str]]) -> list[str]:
        lines = list(body.lines())
        returned = list(returns())
        text = ["    " + laid(Call(f"def {name}(", ["self", *(one for _, one in arguments)], "):"), 4, 4)]
        last = _returned(lines, returned)
        if last is not None:
            returned = ["return " + last.text.partition(" = ")[2]]
        for line in lines:
            text += _statement(line.text, self.shapes.get(_place(line.step), ""), 8 + 4 * line.depth)
        shape = self.shapes.get(_place(last.step), "") if last is not None else ""
        return text + [line for one in returned for line in _statement(one, shape, 8)]


def _place(step: Step | None) -> int:
    """By what the shape of a step is known: its last layer, as steps may be copies."""
    return id(step.outputs) if step is not None else 0


def _returned(lines: list[Line], returned: list[str]) -> Line | None:
    """Takes away the last statement, if it makes what is returned and nothing else."""
    if not lines or lines[-1].step is None or lines[-1].depth or len(returned) != 1:
        return None
    return lines.pop() if lines[-1].text.startswith(returned[0][7:] + " = ") else None


def _regions(steps: list[Step]) -> Iterator[Step]:
    """Steps with a body, those around others first."""
    for step in steps:
        if step.body:
            yield step
            yield from _regions(step.body)


def _conditioned(one: Class, step: Step) -> Step:
    """A step that not all parts have stands under a condition."""
    if step.label not in one.flags:
        return step
    bears = step.label in [made.label for made in one.attributes]
    return replace(step, test=f"self.{step.label} is not None" if bears else f"self.{step.label}")


def _statement(text: str, shape: str, indent: int) -> list[str]:
    """A statement with the shape of its value, if there is room."""
    if text.startswith("del "):
        return [" " * indent + "del " + names.rstrip(",") for names in wrap(text[4:], WIDTH - indent - 4)]
    lead, equals, value = text.partition(" = ")
    if text.startswith("return "):
        lead, equals, value = "return ", "", text[7:]
    lines = wrapped(lead + equals, value, indent) if value else [" " * indent + text]
    if shape and len(lines) == 1 and len(lines[0]) + 4 + len(shape) <= WIDTH:
        return [f"{lines[0]}  # {shape}"]
    return lines


def _arguments(scope: Scope, takes: list[Value]) -> list[tuple[Value, str]]:
    """Names for what comes in: those of the spec or block, `x` for what has none."""
    named: dict[Value, str] = {}
    spoken = zip(scope.inputs, scope.names, strict=False) if scope.parent is not None else ((value, value.name) for value in takes)
    for value, name in spoken:
        named.setdefault(value, "" if name == "input" else name)
    return _named(named, takes)


def _named(named: dict[Value, str], takes: list[Value]) -> list[tuple[Value, str]]:
    taken: set[str] = set()
    found = []
    for value in takes:
        own = named.get(value) or (value.node.label if value.node is not None else value.name)
        fits = is_identifier(own) and own not in _TAKEN and not own.startswith("__")
        name = "x" if not named.get(value) and "x" not in taken and (value is takes[0] or not fits) else own if fits else "y"
        while name in taken or keyword.iskeyword(name):
            name += "_"
        taken.add(name)
        found.append((value, name))
    return found
