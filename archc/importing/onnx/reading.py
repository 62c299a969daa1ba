"""Node by node from an ONNX graph to a draft: what flows, what is constant, names, and the weights as they come along."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archc.importing.draft import Draft, Wire
from archc.importing.imported import ImportedError, numbers
from archc.importing.onnx.file import Model, Step
from archc.ops.shape import SPACE
from archc.text.diagnostics import printable
from archc.text.source import Source, Span

_NOWHERE = Span(Source("", ""), 0, 0)
_TENSOR = re.compile(r"(?P<layer>.+)\.(weight|bias|running_mean|running_var)\Z")
_PLAIN_SCOPES = ("torch.nn.modules.container.",)


@dataclass(frozen=True, slots=True)
class Flow:
    """A value of each image. `shape` may be another than the wire's: a reshape that is written where something reads the value so."""

    wire: Wire
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Const:
    """A value that no input bears on; `name` is that of the initializer that it is."""

    array: Any
    name: str = ""


Value = Flow | Const
Handler = Callable[["Reading", Step], "Value | Sequence[Value] | None"]
HANDLERS: dict[str, Handler] = {}


def handles(names: str) -> Callable[[Handler], Handler]:
    """Registers what reads nodes of these operators."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names.split(), handler))
        return handler

    return register


class Reading:
    """The reading of a file: values by name, the draft, weights by the draft's names, notes."""

    def __init__(self, model: Model, name: str) -> None:
        self.model = model
        self.draft = Draft(model.name if re.fullmatch(r"[A-Za-z][\w .-]{0,60}", model.name) else name)
        self.values: dict[str, Value] = {}
        self.tensors: dict[str, Any] = {}
        self.notes: list[str] = []
        self.done: set[int] = set()  # steps that an earlier one took along
        self.steps = _needed(model)
        self.readers: dict[str, list[int]] = {}
        for at, step in enumerate(self.steps):
            for name in step.inputs:
                self.readers.setdefault(name, []).append(at)

    def read(self) -> None:
        """Raises ImportedError, which names the node, and Refused."""
        from archc.importing.onnx import constants, plain, pooling, shaping, weighted  # noqa: F401

        self._inputs()
        for at, step in enumerate(self.steps):
            if at not in self.done:
                self._step(step)
        for name in self.model.outputs:
            value = self.values.get(name)
            if not isinstance(value, Flow):
                raise ImportedError(f"the output {printable(name)} depends on no input")
            self.draft.outputs[self.draft.free_output(name)] = self.wire(value)
        if not self.draft.entries:
            raise ImportedError("the network has no layer")
        self._tell_what_is_lost()

    def _tell_what_is_lost(self) -> None:
        kinds = Counter(step.op for step in self.model.steps)
        lost = "an ONNX file is the network in evaluation: what only training has, as dropout and stochastic depth, is not in it"
        merged = kinds["Conv"] and not kinds["BatchNormalization"]
        self.notes.append(lost + "; batch normalizations, if there were any, are merged into convolutions" * bool(merged))

    def _inputs(self) -> None:
        several = len(self.model.inputs) > 1
        for one in self.model.inputs:
            name = self.draft.free(one.name) if several or re.fullmatch(r"[A-Za-z_]\w*", one.name) else "input"
            name = "input" if not several else name
            sizes = [int(size) for size in one.sizes[1:] if size is not None] or [1]
            wire = self.draft.input(sizes, _NOWHERE, name)
            self.values[one.name] = Flow(wire, tuple(sizes))

    def _step(self, step: Step) -> None:
        from archc.importing.onnx.constants import fold

        given = [self.value(name) for name in step.inputs if name]
        result: Value | Sequence[Value] | None = None
        if not any(isinstance(one, Flow) for one in given) or step.op in ("Shape", "Size"):
            result = fold(self, step)
        else:
            handler = HANDLERS.get(step.op)
            if handler is None:
                raise self.refuse(step, "no operator of archc says it")
            result = handler(self, step)
        results = [result] if isinstance(result, Flow | Const) else list(result or ())
        self.values.update({name: one for name, one in zip(step.outputs, results, strict=False) if name})

    def refuse(self, step: Step, why: str) -> ImportedError:
        return ImportedError(f"{step.place}: {why}")

    # What a node reads

    def value(self, name: str) -> Value:
        if name not in self.values:
            if name not in self.model.tensors:
                raise ImportedError(f"a node reads {printable(name)}, which no node before it gives")
            self.values[name] = Const(self.model.array(name), name)
        return self.values[name]

    def given(self, step: Step, at: int) -> Value | None:
        return self.value(step.inputs[at]) if at < len(step.inputs) and step.inputs[at] else None

    def flow(self, step: Step, at: int = 0) -> Flow:
        value = self.given(step, at)
        if not isinstance(value, Flow):
            raise self.refuse(step, f"its input {at} is a constant, which is not read here")
        return value

    def const(self, step: Step, at: int) -> Const | None:
        """A constant input; None where it is left out."""
        value = self.given(step, at)
        if isinstance(value, Flow):
            raise self.refuse(step, f"its input {at} depends on the network's input, which is not read here")
        return value

    def numbers(self, step: Step, name: str, at: int | None = None) -> list[int] | None:
        """Whole numbers, as an attribute (of older opsets) or as a constant input."""
        held = step.args.get(name)
        if held is None and at is not None and (const := self.const(step, at)) is not None:
            held = numbers().asarray(const.array).reshape(-1).tolist()
        return None if held is None else [int(one) for one in (held if isinstance(held, list) else [held])]

    def axis(self, step: Step, axis: int, rank: int) -> int:
        """An axis of ONNX as one without the batch."""
        found = axis + rank + 1 if axis < 0 else axis
        if not 0 < found <= rank:
            raise self.refuse(step, "it works on the axis of the batch" if found == 0 else f"there is no axis {axis}")
        return found - 1

    def follower(self, name: str, op: str) -> tuple[int, Step] | None:
        """The only node that reads a value, if it is of an operator and the value is no output."""
        found = self.readers.get(name, [])
        if len(found) != 1 or name in self.model.outputs or self.steps[found[0]].op != op:
            return None
        return found[0], self.steps[found[0]]

    def take(self, at: int, value: Value) -> None:
        """Marks a later node as read: it gives this value."""
        self.done.add(at)
        self.values[self.steps[at].outputs[0]] = value

    # What it becomes

    def wire(self, flow: Flow) -> Wire:
        """The value in its shape."""
        if tuple(flow.wire.shape) == flow.shape:
            return flow.wire
        flat = len(flow.shape) == 1
        return self.draft.add("flatten" if flat else "reshape", "flatten" if flat else "reshape", [flow.wire], _NOWHERE,
                              **({} if flat else {"shape": list(flow.shape)}))  # fmt: skip

    def add(
        self, step: Step, kind: str, flows: Sequence[Flow | Wire], /, *, name: str = "", weights: dict[str, Any] | None = None, **args: Any
    ) -> Flow:
        return self.add_several(step, kind, flows, name=name, weights=weights, **args)[0]

    def add_several(
        self, step: Step, kind: str, flows: Sequence[Flow | Wire], /, *, name: str = "", weights: dict[str, Any] | None = None, **args: Any
    ) -> list[Flow]:
        """A layer with its weights. Raises ImportedError where the operator does not take them."""
        from archc.importing.draft import Refused

        wires = [self.wire(one) if isinstance(one, Flow) else one for one in flows]
        if kind in ("linear", "layernorm") and wires[0].shape.names[-1] == SPACE:
            args.setdefault("axis", "last")
        try:
            made = self.draft.add_several(name or self.name_of(step), kind, wires, _NOWHERE, **args)
        except Refused as refused:
            raise self.refuse(step, refused.found.message) from None
        for suffix, array in (weights or {}).items():
            full = f"{self.draft.last}.{suffix}" if suffix else self.draft.last
            if tuple(array.shape) != self.draft.weights.get(full):
                raise self.refuse(
                    step,
                    f"its {suffix or 'tensor'} has the sizes {list(array.shape)}, and {kind} has {list(self.draft.weights.get(full, ()))}",
                )
            self.tensors[full] = array
        return [Flow(wire, tuple(map(int, wire.shape))) for wire in made]

    def name_of(self, step: Step, *tensors: Const | None) -> str:
        """A layer's name: that under which its tensors stand, else that of its module, else its node's."""
        for tensor in tensors:
            if tensor is not None and (found := _TENSOR.match(tensor.name)):
                return found["layer"]
        if len(step.scopes) > 1:
            scope, cls = step.scopes[-2]
            own = cls.startswith("torch.nn.modules.") and not cls.startswith(_PLAIN_SCOPES)
            return scope if own and scope else f"{scope}.{step.op.lower()}".lstrip(".")
        return _path_of(step.name) or step.op.lower()


def _path_of(name: str) -> str:
    """`layer1.0.conv1` of `/layer1/layer1.0/conv1/Conv`."""
    parts: list[str] = []
    for part in [one for one in name.split("/") if one]:
        if parts and part.startswith(parts[-1] + "."):
            parts[-1] = part
        else:
            parts.append(part)
    if len(parts) > 1 and re.fullmatch(r"[A-Z][A-Za-z]*(_\d+)?", parts[-1]):
        parts.pop()
    return ".".join(parts)


def _needed(model: Model) -> list[Step]:
    """The steps that lead to outputs."""
    wanted, found = set(model.outputs), []
    for step in reversed(model.steps):
        if wanted & set(step.outputs):
            wanted |= set(step.inputs)
            found.append(step)
    return found[::-1]
