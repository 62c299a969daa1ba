"""The statements of a forward, and the names of its values: each is bound anew after its last use, so that tensors live no longer."""

from __future__ import annotations

import keyword
from collections import Counter
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
        self.awaited = frozenset(awaited)  # those of training alone that the return names in any mode
        self.names: dict[Value, str] = {}
        self.live: Counter[str] = Counter()  # how many values that are still used have a name
        self.arguments = {name for _, name in arguments}
        self.conditional: set[str] = set()  # names that are bound in training alone
        self.waiting: dict[str, None] = {}  # names that end their life in a block of training
        self.last = self._last_uses()
        for value, name in arguments:
            self._name(value, name, -1)
        self.joins = [len(set(step.inputs)) > 1 for step in steps]
        self.counts: dict[str, int] = {}  # of names with numbers, all below this one are taken
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
            yield from self._ended(step, after)

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
        ended = [self.names[value] for value in dict.fromkeys(step.inputs) if self.last[value] == at]
        dying = list(dict.fromkeys(ended))
        for name in ended:
            self._release(name)
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
                    self._name(value, free[0] if step.test is not None else self._target(at, value, step, free), at)
            yield Assign(tuple(self.names[value] if value is not None else "_" for value in step.outputs), computed, step, depth)
        rebound = {self.names[value] for value in kept}
        if step.training:
            self.conditional |= rebound
        else:
            self.conditional -= rebound
        self.arguments -= rebound
        left = [name for name in dying if name not in rebound and name not in self.arguments]
        inside = [name for name in left if step.training and name in self.conditional]
        if inside and at + 1 < len(self.steps) and self.steps[at + 1].training:
            yield Delete(tuple(inside), 1)
        self.waiting |= dict.fromkeys(name for name in left if name not in inside)

    def _ended(self, step: Step, after: Step | None) -> Iterator[Statement]:
        """Names whose values are used no more. Those that end in a block of training, or behind a test, go after it, in any case."""
        within = after is not None and ((step.training and after.training) or (after.test is not None and after.test == step.test))
        if self.waiting and after is not None and not within:
            yield Delete(tuple(self.waiting))
            for name in self.waiting:
                self._give_back(name)
            self.waiting = {}

    def _name(self, value: Value, name: str, at: int) -> None:
        """Gives a value its name, which is taken until the last step that uses it."""
        self.names[value] = name
        if self.last.get(value, -1) > at:
            self.live[name] += 1

    def _release(self, name: str) -> None:
        """A value with this name has been used for the last time."""
        self.live[name] -= 1
        if not self.live[name]:
            del self.live[name]
            self._give_back(name)

    def _give_back(self, name: str) -> None:
        """The name may be given again."""
        own, _, number = name.rpartition("_")
        if own in self.counts and number.isdecimal():
            self.counts[own] = min(self.counts[own], int(number))

    def _is_taken(self, name: str) -> bool:
        return name in self.live or name in self.waiting

    def _target(self, at: int, value: Value, step: Step, free: list[str]) -> str:
        own = self._own(step, value)
        merged = self._is_merged(value)
        spoken = merged and own and not self._is_taken(own)
        if free and not (spoken and (free[0] not in _SHORT or (free[0] in self.arguments and self._beside_named(value)))):
            return free.pop(0)
        named = merged or len(step.outputs) > 1 or self.users.get(value, [])[:1] != [at + 1]
        if named and own and not self._is_taken(own):
            return own
        return self._fresh(own or "x")

    def _is_merged(self, value: Value) -> bool:
        """Whether it is used more than once, or together with others."""
        used = self.users.get(value, [])
        return len(used) > 1 or any(at < len(self.steps) and self.joins[at] for at in used)

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

    def _fresh(self, own: str) -> str:
        """The first name that no value has: a short one, the step's own, or that with a number."""
        for name in (*_SHORT, own):
            if not self._is_taken(name):
                return name
        number = self.counts.get(own, 2)
        while self._is_taken(f"{own}_{number}"):
            number += 1
        self.counts[own] = number
        return f"{own}_{number}"
