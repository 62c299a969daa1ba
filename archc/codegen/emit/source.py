"""The PyTorch source of a network: its classes, each after those that it uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from archc.codegen.emit.checkpoint import helpers
from archc.codegen.emit.forward import Forward
from archc.codegen.emit.initial import init_lines
from archc.codegen.emit.layout import WIDTH, Call, Conditional, Doc, Named, Repeated, flat, laid, statement
from archc.codegen.emit.shapes import spoken
from archc.graph import Graph, Scope, Value
from archc.ops.facts import literal
from archc.ops.shape import Shape
from archc.program.classes import Attribute, Class, Program
from archc.program.constructs import Chain, Construct, Leaf, Tensor, Use
from archc.program.parts import ATTRIBUTE, KEY, is_identifier
from archc.signature import MISSING
from archc.text.diagnostics import printable


@dataclass(frozen=True, slots=True)
class Source:
    """A Python module that needs torch alone; `name` is the class of the network, its last."""

    text: str
    name: str


def source_of(graph: Graph, notes: list[str] | None = None, again: Sequence[range] = ()) -> Source:
    """The source of a network; `notes` are paragraphs of its docstring, `again` the places of layers that run again in backward."""
    writer = Writer(Program(graph, again), notes or [])
    return Source(writer.text(), writer.name)


class Writer:
    def __init__(self, program: Program, notes: list[str]) -> None:
        self.program = program
        self.notes = notes
        self.graph = program.graph

    @property
    def name(self) -> str:
        """The class of the network."""
        return self.program.classes[-1].name

    def text(self) -> str:
        body = [*self._sources(), *(_class(self, one) for one in self.program.classes)]
        code = "\n\n\n".join([*helpers("\n".join(body)), *body])
        return "\n".join([*docstring(self._title(), 0), "", *self._imports(code), "", "", code, ""])

    def _title(self) -> list[str]:
        return [f"{self.graph.name}: {self.graph.doc}" if self.graph.doc else self.graph.name, *self.notes]

    def _imports(self, code: str) -> list[str]:
        lines = ["from collections import OrderedDict"] if "OrderedDict(" in code else []
        lines += ["from contextlib import nullcontext"] if "nullcontext(" in code else []
        lines += ["from fnmatch import fnmatchcase"] if "fnmatchcase(" in code else []
        lines += [""] if lines else []
        lines += ["import torch"] if re.search(r"\btorch\.", code) else []
        lines += ["import torch.nn.functional as F"] if re.search(r"\bF\.", code) else []
        lines += ["import torch.utils.checkpoint"] if "torch.utils.checkpoint." in code else []
        return [*lines, "from torch import nn"]

    def _sources(self) -> list[str]:
        """Classes that layers bring with them, each once."""
        found: dict[str, None] = {}
        for one in self.program.classes:
            for made in one.attributes:
                if made.construct is not None:
                    found.update(dict.fromkeys(_sources(made.construct)))
        return [text.strip("\n") for text in found]

    def returns(self, one: Class, names: dict[Value, str]) -> Iterator[str]:
        """The return of a forward. A network gives a value, or several by name; in training those of its heads too."""
        scope = one.first
        if scope.parent is not None:
            yield "return " + ", ".join(names[value] for value in self.program.parts.wires.gives(scope))
            return
        heads = {name: value for name, value in self.graph.outputs.items() if value.node is not None and value.node.train_only}
        outputs = {name: value for name, value in self.graph.outputs.items() if name not in heads}
        if heads or self.graph.heads:
            yield "if self.training:"
            yield "    return " + flat(_named({name: names[value] for name, value in (self.graph.outputs | self.graph.heads).items()}))
        single = len(outputs) == 1
        yield "return " + (names[next(iter(outputs.values()))] if single else flat(_named({n: names[v] for n, v in outputs.items()})))


def _sources(made: Construct) -> Iterator[str]:
    if isinstance(made, Leaf) and made.source:
        yield made.source
    elif isinstance(made, Chain):
        for _, item in made.items:
            yield from _sources(item)


def _named(values: dict[str, str]) -> Call:
    return Call("{", [f"{literal(name)}: {value}" for name, value in values.items()], "}")


def _class(writer: Writer, one: Class) -> str:
    lines = [f"class {one.name}({one.base}):", *docstring(_about(writer, one), 4), "", *_constructor(one)]
    if one.first.parent is None:
        lines += init_lines(writer.graph)
    if one.base != "nn.Sequential" or any(step.again for step in one.steps[one.first]):
        lines += ["", *_forward(writer, one)]
    return "\n".join(lines)


def _about(writer: Writer, one: Class) -> list[str]:
    """What a class is, and its shapes."""
    wires, scope = writer.program.parts.wires, one.first
    sides = []
    for flow in (wires.takes, wires.gives):
        values = [[(at, flow(part)[i].shape, _given(writer, part)) for at, part in enumerate(one.parts)] for i in range(len(flow(scope)))]
        sides.append(", ".join(filter(None, (spoken(one, rows) for rows in values))))
    arrow = " -> ".join(sides)
    if scope.parent is None:
        return [f"{writer.graph.name}: {arrow}"]
    what = scope.block or scope.name
    return [f"{what}: {scope.doc}" if scope.doc else what, arrow]


def _given(writer: Writer, part: Scope) -> Shape:
    """The shape of what a part is given first."""
    wires = writer.program.parts.wires
    return (wires.takes(part) or wires.gives(part))[0].shape


def _constructor(one: Class) -> list[str]:
    texts = iter(one.texts)
    parameters = [
        one_.name if one_.default is MISSING else f"{one_.name}={literal(one_.default)}" for one_ in one.parameters
    ]  # fmt: skip
    lines = ["    " + laid(Call("def __init__(", ["self", *parameters], "):"), 4, 4)]
    if one.base == "nn.Sequential":
        items = [_drawn(made.construct, texts) for made in one.attributes if made.construct is not None]
        return [*lines, statement("", Call("super().__init__(", _runs(items)), 8)]
    lines.append("        super().__init__()")
    lines += [_assigned(made, texts, one.flags.get(made.label, "")) for made in one.attributes]
    labels = [made.label for made in one.attributes]
    return lines + [f"        self.{label} = {flag}" for label, flag in one.flags.items() if label not in labels]


def _assigned(made: Attribute, texts: Iterator[str | None], flag: str) -> str:
    """`self.conv1 = nn.Conv2d(…)`."""
    doc: Doc = f"{made.holder}()" if made.construct is None else _drawn(made.construct, texts)
    doc = Conditional(doc, flag) if flag else doc
    tensor = isinstance(made.construct, Tensor)
    if made.style == ATTRIBUTE:
        return statement(f"{made.path}.{made.label} = ", doc, 8)
    if made.style == KEY and not tensor:
        return statement(f'{made.path}["{made.label}"] = ', doc, 8)
    method = "register_parameter" if tensor else "add_module"
    return statement("", Call(f"{made.path}.{method}(", [f'"{made.label}"', doc]), 8)


def _drawn(made: Construct, texts: Iterator[str | None]) -> Doc:
    """A construct with the texts of its slots, which come in order."""
    if isinstance(made, Leaf):
        return _leaf(made, texts)
    if isinstance(made, Tensor):
        words = [next(texts) or "" for _ in made.slots]
        return f"nn.Parameter({''.join(a + b for a, b in zip(made.texts, [*words, ''], strict=True))})"
    if isinstance(made, Use):
        return _use(made, texts)
    items = [_drawn(item, texts) for _, item in made.items]
    if made.numbered:
        return Call("nn.Sequential(", _runs(items))
    labels = [label for label, _ in made.items]
    if all(map(is_identifier, labels)):
        return Call("nn.Sequential(", [Call("OrderedDict(", [Named(a, b) for a, b in zip(labels, items, strict=True)])])
    pairs: list[Doc] = [Call("(", [f'"{a}"', b]) for a, b in zip(labels, items, strict=True)]
    return Call("nn.Sequential(", [Call("OrderedDict(", [Call("[", pairs, "]")])])


def _leaf(made: Leaf, texts: Iterator[str | None]) -> Doc:
    count = len(made.slots) - len(made.options)
    items: list[Doc] = [next(texts) or "" for _ in range(count)]
    for name in made.options:
        text = next(texts)
        if text is not None:
            items.append(f"{name}={text}")
    return Call(f"{made.name}(", items)


def _use(made: Use, texts: Iterator[str | None]) -> Doc:
    items: list[Doc] = []
    positional = True
    for parameter in made.of.parameters:
        text = next(texts)
        positional = positional and parameter.name in ("in_channels", "in_features", "channels", "features")
        if text is None:
            positional = False
        else:
            items.append(text if positional else f"{parameter.name}={text}")
    return Call(f"{made.of.name}(", items)


def _runs(items: list[Doc]) -> list[Doc]:
    """Three and more that are equal, one after the other, as a comprehension."""
    found: list[Doc] = []
    at = 0
    while at < len(items):
        end = at
        while end < len(items) and flat(items[end]) == flat(items[at]):
            end += 1
        found += [Repeated(items[at], end - at)] if end - at > 2 else items[at:end]
        at = end
    return found


def _forward(writer: Writer, one: Class) -> list[str]:
    given = {part: _given(writer, part) for part in one.parts}
    return Forward(one, writer.program.parts.wires, writer.graph, given).text(writer.returns)


def docstring(paragraphs: list[str], indent: int) -> list[str]:
    """A docstring whose words may come from anybody: nothing in it ends it or is an escape."""
    room, outer = WIDTH - indent, " " * indent
    clean = [printable(text).replace("\\", "/").replace('"', "'").strip() for text in paragraphs]
    if len(clean) == 1 and len(clean[0]) + 6 <= room:
        return [f'{outer}"""{clean[0]}"""']
    lines: list[str] = []
    for at, text in enumerate(clean):
        lines += wrap(("" if at else '"""') + text, room, break_on_hyphens=False) or [""]
        lines += [""] if at == 0 and len(clean) > 1 else []
    return [outer + line if line else "" for line in lines] + [f'{outer}"""']
