"""What an entry calls, an operator or a block with arguments, and the rows into which neighbours of one kind fall."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archc.folding.blocks import Layer, text_of_argument
from archc.graph import Node
from archc.language import library
from archc.ops import OPERATORS
from archc.signature import MISSING, Param
from archc.text.writing import key_of

_NUMBERED = re.compile(r"(.*?)(\d+)\Z", re.DOTALL)


class Written(str):
    """An expression, as it is written in a spec."""

    __slots__ = ()


class NotFoldable(Exception):
    """What the short form cannot say; a longer form stands for it."""


@dataclass(slots=True)
class Call:
    """A kind of layer or block with the arguments that are not its defaults; `own`: the values of all others that may vary in a row."""

    kind: str
    args: dict[str, Any]

    def value(self, name: str) -> Any:
        """An argument, or its default."""
        return self.args.get(name, default_of(self.kind, name))

    def ordered(self) -> Call:
        """With the arguments in the order of the signature."""
        order = {name: at for at, name in enumerate(_params(self.kind))}
        return Call(self.kind, dict(sorted(self.args.items(), key=lambda pair: order.get(pair[0], len(order)))))


def _params(kind: str) -> Mapping[str, Param]:
    if kind in OPERATORS:
        return OPERATORS[kind].signature.params
    block = library.find(kind)
    return block.signature.params if block is not None else {}


def default_of(kind: str, name: str) -> Any:
    param = _params(kind).get(name)
    default = param.default if param is not None and param.default is not MISSING else None
    return Layer(default) if param is not None and param.type.name == "layer" and isinstance(default, str) else default


def call_of(node: Node, defaults: Mapping[str, Mapping[str, Any]]) -> Call:
    """What a layer is, apart from what it reads."""
    params, said = node.op.signature.params, defaults.get(node.kind, {})
    given = {}
    for name, value in node.args.items():
        own = said[name] if name in said else params[name].default
        if value != own or type(value) is not type(own):
            given[name] = list(value) if isinstance(value, tuple) else value
    return Call(node.kind, given)


def argument_text(value: Any) -> str:
    if isinstance(value, Written):
        return value if re.fullmatch(r"\$\w+", value) else f'"{value}"'
    return text_of_argument(getattr(value, "value", value))  # of what rises, the number that it is


_ALONE = {"linear", "conv", "dropout", "drop_path", "groupnorm", "maxpool", "avgpool", "scale", "conv_bn", "unit", "conv_bn_act"}


def call_text(call: Call) -> str:
    """`kind:` with its arguments, without brackets around."""
    call = call.ordered()
    if not call.args:
        return f"{call.kind}:"
    main = _main(call.kind, call.args)
    if main is not None and list(call.args) == [main] and _may_stand_alone(call.kind, call.args[main]):
        return f"{call.kind}: {argument_text(call.args[main])}"
    return f"{call.kind}: {{{', '.join(f'{key_of(name)}: {argument_text(value)}' for name, value in call.args.items())}}}"


def _main(kind: str, names: Collection[str]) -> str | None:
    if kind in OPERATORS:
        main = OPERATORS[kind].signature.main
        return main.name if main is not None else None
    block = library.find(kind)
    if block is None:  # a block of the network's own: all its parameters are always given
        return next(iter(names)) if len(names) == 1 else None
    return next(iter(block.signature.params), None)


def _may_stand_alone(kind: str, value: Any) -> bool:
    if isinstance(value, list | dict | Layer):
        return False
    return kind not in OPERATORS or kind in _ALONE


def numbered(label: str) -> tuple[str, int] | None:
    """A label that ends with a number, as what stands before it and the number; not of one with zeros before."""
    match = _NUMBERED.match(label)
    if match is None or (len(match[2]) > 1 and match[2][0] == "0"):
        return None
    return match[1], int(match[2])


def follow(one: str, other: str) -> bool:
    """Whether a label is the next one after another."""
    return step(one, other) == 1


def step(one: str, other: str) -> int:
    """By how much the number of a label is greater than that of another; 0 where they are not of one kind."""
    a, b = numbered(one), numbered(other)
    return b[1] - a[1] if a is not None and b is not None and a[0] == b[0] else 0


@dataclass(slots=True)
class Row:
    """Calls in a row that are alike: the first, the rest, and how many there are in all."""

    first: Call
    rest: Call
    count: int


def rows_of(calls: Sequence[Call]) -> list[Row]:
    """Neighbours of one kind as rows, in each of which all but the first are equal.

    The first may differ from the rest in what it differs in in all rows, as the stride does in a residual network.
    """
    names = list(dict.fromkeys(name for call in calls for name in call.args))
    rows: list[Row] = []
    at = 0
    steady: dict[str, Any] = {}
    while at < len(calls):
        end = at + 1
        if end < len(calls):
            changed = {name: calls[end].value(name) for name in names if calls[end].value(name) != calls[at].value(name)}
            if all(name in _OF_THE_FIRST and steady.get(name, value) == value for name, value in changed.items()):
                steady.update(changed)
                while end < len(calls) and all(calls[end].value(name) == calls[at + 1].value(name) for name in names):
                    end += 1
        rows.append(Row(calls[at], calls[end - 1] if end - at > 1 else calls[at], end - at))
        at = end
    return rows


_OF_THE_FIRST = {"stride", "downsample", "conv_stride", "projection", "drop_path", "se"}
