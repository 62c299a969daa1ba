"""What an operator's facts must be: found here where a plugin says something that no layer can have."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from archc.ops.facts import DTYPES, INPLACE, NEW, VIEW, Between, Doubt, Expression, Facts, Kept, Module, Weight, Work, literal
from archc.ops.shape import Shape
from archc.ops.template import parse
from archc.text.quantity import counted

ROLES = ("weight", "bias", "buffer")
_STORAGE = {NEW: "NEW", VIEW: "VIEW", INPLACE: "INPLACE"}
_SHAPE = "write Shape((channels, height, width)), or hand x on"


class Breach(NamedTuple):
    """A field of Facts that cannot be as it is: what is wrong with it, and what to write."""

    field: str
    message: str
    hint: str


def breach(facts: Facts, shapes: Sequence[Shape]) -> Breach | None:
    """The first thing that is wrong with the facts of an operator that was given inputs of these shapes."""
    return next(_breaches(facts, shapes), None)


def _breaches(facts: Facts, shapes: Sequence[Shape]) -> Iterator[Breach]:
    yield from _outputs(facts)
    yield from _weights(facts)
    yield from _counts(facts)
    yield from _memory(facts, shapes)
    yield from _form(facts, len(shapes))


def _outputs(facts: Facts) -> Iterator[Breach]:
    if not facts.outputs:
        yield Breach("out", "no output", _SHAPE)
    for shape in facts.outputs:
        if not isinstance(shape, Shape):
            what = shape if isinstance(shape, tuple | list) else facts.out
            yield Breach("out", f"the output's shape is the {type(what).__name__} {what!r}, not a Shape", _SHAPE)
            return
        if not shape or any(not _is_count(size) or size < 1 for size in shape):
            yield Breach("out", f"an output of shape {list(shape)}", "sizes are whole numbers from 1 up, without a batch axis")
    if facts.dtypes and len(facts.dtypes) != len(facts.outputs):
        yield Breach(
            "dtypes",
            f"{counted(len(facts.dtypes), 'dtype')} for {counted(len(facts.outputs), 'output')}",
            "one for each output, or none at all",
        )
    for dtype in facts.dtypes:
        if dtype not in DTYPES:
            yield Breach("dtypes", f"no dtype is called {dtype!r}", f"there are {', '.join(DTYPES)}")


def _weights(facts: Facts) -> Iterator[Breach]:
    if facts.weights is None:
        return
    if not isinstance(facts.weights, tuple) or not all(isinstance(weight, Weight) for weight in facts.weights):
        yield Breach("weights", f"weights is {facts.weights!r}, not a tuple of Weight", 'weights=(Weight("weight", (channels, 3)),)')
        return
    names = [weight.name for weight in facts.weights]
    for weight in facts.weights:
        if not isinstance(weight.name, str) or not re.fullmatch(r"([A-Za-z_]\w*(\.\w+)*)?", weight.name):
            yield Breach("weights", f"a weight called {weight.name!r}", "a name as state_dict has it, or an empty one for the layer's own")
        if names.count(weight.name) > 1:
            yield Breach("weights", f"two weights called {weight.name!r}", "each has a name of its own")
        if weight.role not in ROLES:
            yield Breach("weights", f"the weight {weight.name!r} has the role {weight.role!r}", f"there are {', '.join(ROLES)}")
        if not isinstance(weight.shape, tuple) or any(not _is_count(size) or size < 1 for size in weight.shape):
            yield Breach("weights", f"the weight {weight.name!r} has the shape {weight.shape!r}", "a tuple of whole numbers from 1 up")


def _counts(facts: Facts) -> Iterator[Breach]:
    known = isinstance(facts.macs, Between) or facts.macs is None or (_is_count(facts.macs) and facts.macs >= 0)
    if not known:
        yield Breach("macs", f"macs is {facts.macs!r}", "a whole number, Between(low, high), or nothing where it is not known")
    if facts.work is not None and not isinstance(facts.work, Work | Between):
        yield Breach("work", f"work is {facts.work!r}", "Work(multiply=…, add=…), Between(low, high), or nothing")
    if isinstance(facts.work, Work) and any(not _is_count(count) or count < 0 for count in facts.work):
        yield Breach("work", f"work is {facts.work!r}", "each kind of operation is counted by a whole number")


def _memory(facts: Facts, shapes: Sequence[Shape]) -> Iterator[Breach]:
    if facts.storage not in _STORAGE:
        yield Breach("storage", f"storage is {facts.storage!r}", f"one of {', '.join(_STORAGE.values())}")
    elif facts.storage == INPLACE and shapes and tuple(facts.outputs[0]) != tuple(shapes[0]):
        yield Breach("storage", f"an output of {list(facts.outputs[0])} written over an input of {list(shapes[0])}", "storage=NEW")
    taken = facts.takes if isinstance(facts.takes, tuple) else (facts.takes,) * len(shapes)
    if len(taken) < len(shapes) or any(dtype not in ("same", "int64") for dtype in taken):
        yield Breach("takes", f"takes is {facts.takes!r}", '"same", or "int64" for indices; or a tuple with one for each input')
    if facts.reads is not None and not (_is_count(facts.reads) and 0 <= facts.reads <= len(shapes)):
        given = f"of {counted(len(shapes), 'input')}"
        yield Breach("reads", f"reads is {facts.reads!r} {given}", f"a whole number from 0 to {len(shapes)}, or nothing where all are read")
    for field, kept in (("keeps", facts.keeps), ("keeps_alike", facts.keeps_alike), ("unfused", facts.unfused)):
        if kept is None:
            continue
        if isinstance(kept, Kept):
            yield Breach(field, f"{field} is a single Kept, not a tuple", f"{field}=(OUTPUT,), with its comma")
            return
        if not isinstance(kept, tuple) or not all(isinstance(storage, Kept) for storage in kept):
            yield Breach(field, f"{field} is {kept!r}", f"a tuple of INPUT, OUTPUT and new(values), as in {field}=(OUTPUT,)")
            continue
        for storage in kept:
            most = {"input": len(shapes), "output": len(facts.outputs)}.get(storage.what, storage.which + 1)
            if storage.what not in ("input", "output", "new") or not 0 <= storage.which < most:
                yield Breach(
                    field,
                    f"{field} names {storage.what} {storage.which}",
                    f"the layer has {counted(len(shapes), 'input')} and {counted(len(facts.outputs), 'output')}",
                )
            if not all(0 <= i < len(shapes) for i in storage.wanted_by):
                yield Breach(
                    field, f"{field} is wanted by the inputs {storage.wanted_by!r}", f"inputs are numbered from 0 to {len(shapes) - 1}"
                )
    if not isinstance(facts.doubts, tuple) or not all(isinstance(doubt, Doubt) for doubt in facts.doubts):
        yield Breach("doubts", f"doubts is {facts.doubts!r}", "a tuple of Doubt(argument, message, hint)")


def _form(facts: Facts, inputs: int) -> Iterator[Breach]:
    """The form in PyTorch, as text: it is parsed here, and run by a build alone."""
    form = facts.torch
    if form is None:
        return
    if isinstance(form, Expression):
        texts, has_self = [form.text], bool(form.start)
        if form.start and (wrong := _syntax(form.start)):
            yield Breach("torch", f"`{form.start}` is no expression: {wrong}", "write Python that makes the tensor, as torch.ones(3)")
    elif isinstance(form, Module):
        texts, has_self = [form.call], True
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", form.name):
            yield Breach("torch", f"a module called {form.name!r}", 'Module("nn.Conv2d", (3, 8), {"kernel_size": 3})')
        try:
            [literal(value) for value in (*form.args, *form.options.values())]
        except TypeError as error:
            yield Breach("torch", f"an argument of {form.name} that cannot be written: {error}", "numbers, words, true, false and tuples")
    else:
        yield Breach("torch", f"torch is {form!r}", 'Expression("torch.relu({0})") or Module("nn.ReLU")')
        return
    for text in texts:
        yield from _template(text, inputs, has_self)


def _template(text: str, inputs: int, has_self: bool) -> Iterator[Breach]:
    allowed = [*map(str, range(inputs)), *(["self"] if has_self else [])]
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
        unknown = [name for name in fields if name not in allowed]
        filled = "" if unknown else text.format(*[f"x{i}" for i in range(inputs)], self="own")
        if filled and not _syntax(filled):
            parse(text)
    except (ValueError, LookupError, AttributeError) as error:
        yield Breach("torch", f"`{text}` cannot be filled in: {error}", "inputs are {0}, {1}, …; a brace of Python's own is written twice")
        return
    if unknown:
        missing = "" if has_self or "self" not in unknown else "; {self} needs a `start`"
        known = ", ".join(f"{{{name}}}" for name in allowed)
        yield Breach("torch", f"`{text}` has {{{unknown[0]}}}", f"this layer has {known}{missing}")
    elif wrong := _syntax(filled):
        yield Breach("torch", f"`{text}` is no expression: {wrong}", "write one expression of Python")


def _syntax(text: str) -> str:
    try:
        ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return getattr(error, "msg", None) or str(error)
    return ""


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
