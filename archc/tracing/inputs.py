"""What `--input` says, as the input of a model: held against what the model's `forward` takes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import nn

from archc.errors import ArgumentError
from archc.ops.shape import read_sizes
from archc.text.suggest import did_you_mean


def input_of(module: nn.Module, named: str, given: Sequence[str], own: tuple[int, ...] | None) -> Any:
    """What --input says, for `capture`. Raises ArgumentError where it does not go with the module's `forward`."""
    signature = inspect.signature(module.forward)
    takes = [one for one in signature.parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    if not given:
        if own is not None:
            return own
        needed = [one.name for one in takes if one.default is one.empty]
        example = " ".join(f"--input {name}=3x224x224" for name in needed) if len(needed) > 1 else "--input 3x224x224"
        raise ArgumentError(f"{named} does not say what it takes: give the shape without the batch, {example}")
    pairs = list(map(_named, given))
    for text, (_, shape) in zip(given, pairs, strict=True):
        if not read_sizes(shape.partition(":")[0]):
            raise ArgumentError(f"--input {text}: {shape!r} is no shape; write 3x224x224, without the batch")
    names = [name for name, _ in pairs if name]
    if names and len(names) < len(pairs):
        raise ArgumentError(f"--input: name all inputs or none; {named} takes {', '.join(one.name for one in takes)}")
    open_ended = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())
    for name in names:
        if name not in [one.name for one in takes] and not open_ended:
            hint = did_you_mean(name, [one.name for one in takes]) or f"it takes {', '.join(one.name for one in takes)}"
            raise ArgumentError(f"--input {name}=…: forward of {named} takes no {name}; {hint}")
    if len(names) > len(set(names)):
        raise ArgumentError(f"--input: {next(name for name in names if names.count(name) > 1)} is given twice")
    try:
        signature.bind(*([] if names else pairs), **dict.fromkeys(names))
    except TypeError as error:
        raise ArgumentError(f"forward of {named} is not called with {len(pairs)} input{'s' * (len(pairs) > 1)}: {error}") from None
    if names:
        return dict(pairs)
    return [shape for _, shape in pairs] if len(pairs) > 1 else pairs[0][1]


def _named(text: str) -> tuple[str, str]:
    """A name, or an empty one, and a shape."""
    name, equals, shape = text.partition("=")
    return (name, shape) if equals else ("", text)
