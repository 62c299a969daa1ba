"""The statements of a forward, and the names of its values: each is bound anew after its last use, so that tensors live no longer."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import dataclass

from archc.graph import Node, Value
from archc.ops.syntax import Name, Tree, bound, flat
from archc.program.steps import Step

RESERVED = {"self", "torch", "nn", "F", "super", "range", "OrderedDict", "checkpoint", "_"}
_SHORT = ("x", "y", "z")


@dataclass(frozen=True, slots=True)
class Assign:
    """`x, y = value`, or the value alone where nobody uses it; `step` is what it does, and `depth` counts the blocks around it."""

    targets: tuple[str, ...]
    value: Tree
    step: Step
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """`del x, y`."""

    names: tuple[str, ...]
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Return:
    """`return value`."""

    value: Tree
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Plain:
    """Any other line: the head of a block, a name that is None."""

    text: str
    depth: int = 0


Statement = Assign | Delete | Return | Plain


class Body:
    """The lines of a forward, made step by step."""

    def __init__(self, arguments: list[tuple[Value, str]], steps: list[Step], outputs: list[Value], awaited: list[Value]) -> None:
        self.steps = steps
        self.outputs = outputs
        self.awaited = awaited  # those of training alone that the return names in any mode
        self.names = dict(arguments)
        self.arguments = {name for _, name in arguments}
        self.conditional: set[str] = set()  # names that are bound in training alone
        self.waiting: list[str] = []  # names that end their life in a block of training
        self.last = self._last_uses()
        self.users: dict[Value, list[int]] = {}
        for at, step in enumerate(steps):
            for value in dict.fromkeys(step.inputs):
                self.users.setdefault(value, []).append(at)
        for value in outputs:
            self.users.setdefault(value, []).append(len(steps))

    def _last_uses(self) -> dict[Value, int]:
        last = {value: at for at, step in enumerate(self.steps) for value in step.inputs}
        return last | dict.fromkeys(self.outputs, len(self.steps))

    def statements(self) -> Iterator[Statement]:
        """The statements, without the return."""
        training = False
        for at, step in enumerate(self.steps):
            if step.training and not training:
                yield Plain("if self.training:")
            if step.test is not None and (at == 0 or self.steps[at - 1].test != step.test):
                yield Plain(f"if {flat(step.test)}:")
            training = step.training
            after = self.steps[at + 1] if at + 1 < len(self.steps) else None
            yield from self._statement(at, step)
            if training and (after is None or not after.training):
                yield from self._otherwise(at + 1)
            yield from self._ended(training, after)

    def _otherwise(self, end: int) -> Iterator[Statement]:
        """Values of training alone that others wait for are None elsewhere."""
        start = end
        while start and self.steps[start - 1].training:
            start -= 1
        waited = [v for step in self.steps[start:end] for v in step.outputs if v is not None and v in self.awaited]
        if waited:
            yield Plain("else:")
            yield Plain(" = ".join([*(self.names[value] for value in waited), "None"]), 1)

    def _statement(self, at: int, step: Step) -> Iterator[Statement]:
        depth = int(step.training or step.test is not None)
        computed = bound(step.value, [Name(self.names[value]) for value in step.inputs])
        dying = list(dict.fromkeys(self.names[v] for v in step.inputs if self.last[v] == at))
        kept = [value for value in step.outputs if value is not None]
        if not kept:
            yield Assign((), computed, step, depth)
        else:
            if step.test is not None:  # the value is the first input where the step is not done: it has that one's name
                free = [self.names[step.inputs[0]]]
            else:
                free = sorted((n for n in dying if not step.training or n in self.conditional), key=lambda name: (name not in _SHORT, name))
            for value in step.outputs:
                if value is not None:
                    self.names[value] = free[0] if step.test is not None else self._target(at, value, step, free)
            yield Assign(tuple(self.names[value] if value is not None else "_" for value in step.outputs), computed, step, depth)
        rebound = {self.names[value] for value in kept}
        self.conditional = self.conditional | rebound if step.training else self.conditional - rebound
        self.arguments -= rebound
        left = [name for name in dying if name not in rebound | self.arguments]
        inside = [name for name in left if step.training and name in self.conditional]
        if inside and at + 1 < len(self.steps) and self.steps[at + 1].training:
            yield Delete(tuple(inside), 1)
        self.waiting += [name for name in left if name not in inside]

    def _ended(self, training: bool, after: Step | None) -> Iterator[Statement]:
        """Names whose values are used no more. Those that end in a block of training go after it, in any mode."""
        if self.waiting and after is not None and not (training and after.training) and after.test is None:
            yield Delete(tuple(self.waiting))
            self.waiting = []

    def _target(self, at: int, value: Value, step: Step, free: list[str]) -> str:
        own = self._own(step, value)
        merged = self._is_merged(value)
        spoken = merged and own and own not in self._live(at)
        if free and not (spoken and (free[0] not in _SHORT or (free[0] in self.arguments and self._beside_named(value)))):
            return free.pop(0)
        named = merged or len(step.outputs) > 1 or self.users.get(value, [])[:1] != [at + 1]
        if named and own and own not in self._live(at):
            return own
        return self._fresh(at, own or "x")

    def _is_merged(self, value: Value) -> bool:
        """Whether it is used more than once, or together with others."""
        used = self.users.get(value, [])
        return len(used) > 1 or any(at < len(self.steps) and len(set(self.steps[at].inputs)) > 1 for at in used)

    def _beside_named(self, value: Value) -> bool:
        """Whether it is merged with values that have names of their own."""
        others = [other for at in self.users.get(value, []) if at < len(self.steps) for other in self.steps[at].inputs]
        return any(self.names.get(other, "x") not in _SHORT for other in others)

    def _own(self, step: Step, value: Value) -> str:
        """A name from its layer's, if that can be one. Of several values, that of what each becomes."""
        label = step.label
        if len(step.outputs) > 1 and isinstance(step.of, Node):
            label = self._end(value) or f"{label}_{step.outputs.index(value)}"
        fits = label.isidentifier() and not keyword.iskeyword(label) and label not in RESERVED
        return label if fits else ""

    def _end(self, value: Value) -> str:
        """The label at the end of the chain that a value begins."""
        label = ""
        while len(used := self.users.get(value, [])) == 1 and used[0] < len(self.steps):
            step = self.steps[used[0]]
            if set(step.inputs) != {value} or len(step.outputs) != 1 or step.outputs[0] is None:
                break
            value, label = step.outputs[0], step.label
        return label

    def _live(self, at: int) -> set[str]:
        """Names that still mean something after a step."""
        return {name for value, name in self.names.items() if self.last.get(value, -1) > at} | set(self.waiting)

    def _fresh(self, at: int, own: str) -> str:
        live = self._live(at)
        candidates = [*_SHORT, own, *(f"{own}_{i}" for i in range(2, 10_000))]
        return next(name for name in candidates if name not in live)
