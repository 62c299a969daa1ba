"""The text of a folded network: entries on lines of their own, blocks in place of parts, runs as `repeat` and `for`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archc.folding.calls import Call, NotFoldable, Row, call_of, call_text, follow, numbered, rows_of
from archc.folding.columns import Columns
from archc.folding.macros import Macro
from archc.folding.signature import Parts
from archc.graph import Graph, Node, Scope, Value
from archc.graph.structure import ancestors
from archc.graph.write_spec import LevelOrder, match_branches, reference, tie_text
from archc.text.writing import key_of, quote

WIDEST = 140  # of an entry on one line
PACKED = 90  # characters of a list on one line
Lines = list[str]
Child = Scope | Node
Labelled = tuple[str, Child]


class Writer:
    """Writes levels. `uses` are the parts that are blocks, `current` what the next entry takes without a `from`."""

    def __init__(self, graph: Graph, parts: Parts, uses: Mapping[Scope, Call], defaults: Mapping[str, Mapping[str, Any]]) -> None:
        self.graph = graph
        self.calls: Mapping[Child, Call] = {}  # within a block: those with its parameters
        self.edge = ""
        self.inputs: dict[Value, str] = {}
        self.parts = parts
        self.uses = uses
        self.defaults = defaults
        self.order = LevelOrder(graph)
        self.current: tuple[Value, ...] = tuple(graph.inputs.values())
        self.training = False  # inside an entry that is there in training alone
        self.live = ancestors(graph.returned)

    def body(self, macro: Macro) -> Lines:
        """The layers of a block."""
        part = self.parts.of(macro.lead)
        self.calls, self.edge = macro.calls, macro.lead.name
        self.inputs = dict(zip(part.taken, macro.inputs or ("input",), strict=True))
        self.current, self.training = tuple(part.taken), all(node.train_only for node in part.nodes)
        lines = self.level(macro.lead)
        if self.current != (part.end,):
            raise NotFoldable(f"{macro.lead.name} ends before its last layer")
        return lines

    def level(self, scope: Scope) -> Lines:
        """The entries of a level: a list where they are numbered, else a mapping."""
        children = self.order.of(scope)
        named = [label for label, _ in children] != [str(at) for at in range(len(children))]
        lines: Lines = []
        for label, entry in self._entries(scope, children, named):
            lines += _in_list(entry) if label is None else _in_mapping(label, entry)
        return lines

    def _entries(self, scope: Scope, children: Sequence[Labelled], named: bool) -> Iterator[tuple[str | None, Lines]]:
        at = 0
        used: set[str | None] = set()  # labels with numbers in them, which cannot stand twice
        while at < len(children):
            label, child = children[at]
            after = children[at + 1] if at + 1 < len(children) else None
            if isinstance(child, Scope) and after is not None and isinstance(after[1], Node) and after[0] == label:
                yield (key_of(label) if named else None), self._merge(scope, after[1], child)
                at += 2
                continue
            end = self._run_end(children, at, named)
            if end > at + 1:
                yield from self._run(scope, children[at:end], named, used)
                at = end
                continue
            end = self._stages_end(children, at, named)
            if end > at + 1:
                yield from self._stages(scope, children[at:end], named)
                at = end
                continue
            yield (key_of(label) if named else None), self._entry(scope, child)
            at += 1

    # One entry

    def _entry(self, scope: Scope, child: Child) -> Lines:
        if isinstance(child, Node):
            return self._layer(scope, child)
        return self._use(scope, child) if child in self.uses else self._group(scope, child)

    def _layer(self, scope: Scope, node: Node) -> Lines:
        aside = node.train_only and (not self.training or node not in self.live)
        modifiers = ["train_only: true"] if aside else []
        modifiers += self._from(scope, node.inputs)
        if node.ties and node.shared is None:
            modifiers.append(f"tie: {tie_text(node)}")
        before = self.current
        self.current = before if aside else node.outputs
        if node.shared is not None and (node.facts.weights or node.ties):
            return _entry_lines(modifiers, f"share: {_quoted('.' + self._within(node.shared.name))}")
        return _entry_lines(modifiers, call_text(self._own_call(node)))

    def _use(self, scope: Scope, child: Scope) -> Lines:
        part = self.parts.of(child)
        training = all(node.train_only for node in part.nodes) and not self.training
        modifiers = (["train_only: true"] if training else []) + self._from(scope, tuple(part.taken))
        if not training:
            self.current = (part.end,)
        return _entry_lines(modifiers, call_text(self._own_call(child)))

    def _own_call(self, child: Child) -> Call:
        if child in self.calls:
            return self.calls[child]
        return self.uses[child] if isinstance(child, Scope) else call_of(child, self.defaults)

    def _group(self, scope: Scope, child: Scope) -> Lines:
        part = self.parts.of(child)
        head = all(node.train_only for node in part.nodes) and not self.training
        before, self.training = self.current, self.training or head
        inner = self.level(child)
        if head:
            self.current, self.training = before, False
        if head or not inner[0].startswith("- "):
            return [*(["train_only: true"] if head else []), "layers:", *("  " + line for line in inner)]
        return inner

    def _merge(self, scope: Scope, node: Node, branches: Scope) -> Lines:
        modifiers = self._from(scope, branches.inputs)
        own, outer = branches.inputs, self.training
        aside = node.train_only and (not self.training or node not in self.live)
        before, self.training = self.current, self.training or node.train_only
        items = match_branches(node, branches, lambda one: one.train_only and one not in self.live)
        lines: Lines = []
        if items is None:
            self.current = own
            names = ", ".join(self._name(branches, value) for value in node.inputs)
            lines += ["- inline:", *("    " + line for line in self._mapped(branches)), f"    _: {{from: [{names}], identity: }}"]
        for children in items or ():
            self.current = own
            lines += _in_list(self._branch(branches, children)) if children else ["- identity"]
        self.training = outer
        self.current = before if aside else node.outputs
        call = self._own_call(node)
        head = f"{call.kind}:"
        if call.args:
            raise NotFoldable(f"{node.name}: a merge with branches and {list(call.args)}")
        return [*(["train_only: true"] if aside else []), *modifiers, head, *("  " + line for line in lines)]

    def _mapped(self, scope: Scope) -> Lines:
        lines: Lines = []
        for label, child in self.order.of(scope):
            lines += _in_mapping(key_of(label), self._entry(scope, child))
        return lines

    def _branch(self, branches: Scope, children: Sequence[Child]) -> Lines:
        if len(children) > 1:
            inner, merge = children
            assert isinstance(inner, Scope) and isinstance(merge, Node)
            return self._merge(branches, merge, inner)
        lines = self._entry(branches, children[0])
        child = children[0]
        if isinstance(child, Scope) and child not in self.uses and self.current != child.outputs:
            raise NotFoldable(f"{child.name}: a branch that ends before its last layer")
        return lines

    # Runs

    def _call(self, child: Child) -> Call | None:
        """What a child calls, where it takes one value and nothing is said beside."""
        if isinstance(child, Scope):
            part = self.parts.of(child)
            single = len(part.taken) == 1 and not part.nodes[0].train_only
            return self._own_call(child) if child in self.uses and single else None
        plain = len(child.inputs) == 1 and len(child.outputs) == 1 and not child.train_only and not child.ties
        return self._own_call(child) if plain and (child.shared is None or not child.facts.weights) else None

    def _ends(self, child: Child) -> tuple[Value | None, Value]:
        if isinstance(child, Node):
            return child.inputs[0] if child.inputs else None, child.output
        part = self.parts.of(child)
        return (part.taken[0] if len(part.taken) == 1 else None), part.end

    def _run_end(self, children: Sequence[Labelled], at: int, named: bool) -> int:
        """Where neighbours of one kind end, each of which takes what the one before gives."""
        first = self._call(children[at][1])
        if first is None or (named and numbered(children[at][0]) is None):
            return at + 1
        end = at + 1
        while end < len(children):
            call = self._call(children[end][1])
            if call is None or call.kind != first.kind or (named and not follow(children[end - 1][0], children[end][0])):
                break
            if self._ends(children[end][1])[0] is not self._ends(children[end - 1][1])[1]:
                break
            if end + 1 < len(children) and children[end + 1][0] == children[end][0]:
                break
            end += 1
        return end

    def _run(self, scope: Scope, run: Sequence[Labelled], named: bool, used: set[str | None]) -> Iterator[tuple[str | None, Lines]]:
        calls = [call for _, child in run if (call := self._call(child)) is not None]
        rows = rows_of(calls)
        start = self._from(scope, (value,)) if (value := self._ends(run[0][1])[0]) is not None else []
        if named:
            base, number = numbered(run[0][0]) or ("", 0)
            if len(rows) == 1:
                columns = Columns(rows)
                label = f"{base}${{index{f' + {number}' if number else ''}}}"
            else:
                columns = Columns([row for call in calls for row in rows_of([call])], range(number, number + len(calls)))
                label = f"{base}${{i}}"
            key: str | None = quote(label) if len(rows) == 1 and number else label if base else quote(label)
        else:
            columns, key = Columns(rows), None
        start += ["parallel: false"] if start and columns.columns else []
        lines = [*columns.lines(), *([f"repeat: {columns.repeat}"] if columns.repeat else []), *start]
        folded = _entry_lines(lines, call_text(columns.call))
        single: list[tuple[str | None, Lines]] = []
        before = self.current
        for label, child in run:
            single.append((key_of(label) if named else None, self._entry(scope, child)))
        if _length([(key, folded)]) < _length(single) and (key is None or key not in used):
            used.add(key)
            yield key, folded
        else:
            self.current = before
            for label, child in run:
                yield (key_of(label) if named else None), self._entry(scope, child)
        self.current = (self._ends(run[-1][1])[1],)

    def _inner(self, child: Child) -> tuple[str, list[Call]] | None:
        """The one run of which a level consists: the label with which it begins, and its calls."""
        if not isinstance(child, Scope) or child in self.uses or child.held:
            return None
        children = self.order.of(child)
        calls = [self._call(one) for _, one in children]
        if not children or any(call is None for call in calls):
            return None
        labels = [label for label, _ in children]
        named = labels != [str(at) for at in range(len(labels))]
        if numbered(labels[0]) is None or self._run_end(children, 0, named) != len(children) or not self.parts.of(child).plain:
            return None
        return labels[0], [call for call in calls if call is not None]

    def _stages_end(self, children: Sequence[Labelled], at: int, named: bool) -> int:
        first = self._inner(children[at][1])
        if first is None or (named and numbered(children[at][0]) is None) or len(rows_of(first[1])) > 1:
            return at + 1
        end = at + 1
        while end < len(children):
            other = self._inner(children[end][1])
            if other is None or other[0] != first[0] or other[1][0].kind != first[1][0].kind or len(rows_of(other[1])) > 1:
                break
            if named and not follow(children[end - 1][0], children[end][0]):
                break
            if self._ends(children[end][1])[0] is not self._ends(children[end - 1][1])[1]:
                break
            if len(rows_of_all([first[1], other[1]])) != 2:
                break
            end += 1
        return end

    def _stages(self, scope: Scope, stages: Sequence[Labelled], named: bool) -> Iterator[tuple[str | None, Lines]]:
        inner = [found for _, child in stages if (found := self._inner(child)) is not None]
        rows = rows_of_all([calls for _, calls in inner])
        value = self._ends(stages[0][1])[0]
        start = self._from(scope, (value,)) if value is not None else []
        key: str | None = None
        columns = Columns(rows)
        if named:
            base, number = numbered(stages[0][0]) or ("", 0)
            columns = Columns(rows, range(number, number + len(stages)))
            key = f"{base}${{i}}" if base else quote("${i}")
        start += ["parallel: false"] if start and columns.columns else []
        repeat = columns.repeat or "1"
        if inner[0][0] == "0":
            body = [f"repeat: {repeat}", call_text(columns.call)]
            lines = (
                [*columns.lines(), *start, *body]
                if named
                else [*columns.lines(), *start, "layers:", *_indent(_in_list(_entry_lines(body[:1], body[1])))]
            )
        else:
            base, number = numbered(inner[0][0]) or ("", 0)
            label = quote(f"{base}${{index{f' + {number}' if number else ''}}}")
            lines = [*columns.lines(), *start, f"layers: {{{label}: {{repeat: {repeat}, {_flow(call_text(columns.call))}}}}}"]
        self.current = (self._ends(stages[-1][1])[1],)
        yield key, lines

    # Names

    def _from(self, scope: Scope, values: tuple[Value, ...]) -> list[str]:
        if values == self.current:
            return []
        names = [self._name(scope, value) for value in values]
        return [f"from: {names[0]}" if len(names) == 1 else f"from: [{', '.join(names)}]"]

    def _name(self, scope: Scope, value: Value) -> str:
        """What a value is called on a level: by the outermost part that ends with it and is over there."""
        if value in self.inputs:
            return self.inputs[value]
        if value.node is None:
            return reference(value)
        here = set(scope.around())
        name, label, at = value.node.name, value.node.label, value.node.scope
        inner: Scope | None = value.node.scope
        while inner is not None and inner not in here:
            part = self.parts.of(inner)
            if part.end is not value and inner.outputs != (value,):
                break
            name, label, at = inner.name, inner.label, inner.parent or at
            inner = inner.parent
        several = len(value.node.outputs) > 1 and name == value.node.name
        if at is scope and not label[:1].isdigit() and not several and not scope.held:
            return label
        name = self._within(name)
        return _quoted(f".{name}.{value.index}" if several else f".{name}")

    def _within(self, name: str) -> str:
        """A name from the edge of the block that is written. Raises NotFoldable for one beyond."""
        if not self.edge:
            return name
        if not name.startswith(f"{self.edge}."):
            raise NotFoldable(f"{self.edge} reads {name}")
        return name[len(self.edge) + 1 :]


def rows_of_all(stages: Sequence[Sequence[Call]]) -> list[Row]:
    """The rows of several stages, each of which must be one."""
    names = list(dict.fromkeys(name for calls in stages for call in calls for name in call.args))
    rows = []
    for calls in stages:
        rest = calls[1:] or calls[:1]
        if any(call.value(name) != rest[0].value(name) for call in rest for name in names):
            return []
        rows.append(Row(calls[0], rest[0], len(calls)))
    return rows


def _quoted(path: str) -> str:
    return quote(path) if path[1:2].isdigit() or not all(c.isalnum() or c in "._" for c in path) else path


def _flow(text: str) -> str:
    return f"{text} " if text.endswith(":") else text


def _entry_lines(modifiers: Sequence[str], call: str) -> Lines:
    """An entry on one line where it fits: a word, or a mapping in brackets."""
    if not modifiers and call.endswith(":"):
        return [call[:-1]]
    if not any(line.startswith(" ") for line in modifiers):
        text = "{" + ", ".join(map(_flow, [*modifiers, call])) + "}"
        if len(text) <= WIDEST - 30 and not any(line == "for:" for line in modifiers):
            return [text]
    return [*modifiers, call]


def _indent(lines: Sequence[str], by: str = "  ") -> Lines:
    return [by + line for line in lines]


def _in_list(entry: Lines) -> Lines:
    if (packed := _packed(entry)) is not None:
        return [f"- {packed}"]
    if entry[0].startswith("- "):  # a list in a list
        return ["-", *_indent(entry)]
    return [f"- {entry[0]}", *_indent(entry[1:])]


def _in_mapping(label: str, entry: Lines) -> Lines:
    if (packed := _packed(entry)) is not None:
        return [f"{label}: {packed}"]
    if len(entry) == 1 and _is_flow(entry[0]):
        return [f"{label}: {entry[0]}"]
    return [f"{label}:", *_indent(entry)]


def _packed(entry: Lines) -> str | None:
    """A list of short entries, on one line."""
    items = [line[2:] for line in entry if line.startswith("- ")]
    if len(items) < len(entry) or not all(map(_is_flow, items)) or sum(map(len, items)) > PACKED:
        return None
    return f"[{', '.join(items)}]"


def _is_flow(text: str) -> bool:
    """Whether a line is a value as it stands: a word, or something in brackets."""
    return text.startswith(("{", "[")) or (":" not in text and not text.startswith("- "))


def _length(entries: Sequence[tuple[str | None, Lines]]) -> int:
    return sum(len(lines) + (label is not None and len(lines) > 1) for label, lines in entries)
