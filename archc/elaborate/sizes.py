"""Sizes of inputs that are open, as H and W in `input: [3, H, W]`: their names, and the numbers that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.elaborate.state import Elaboration
from archc.language.blocks import is_name
from archc.language.functions import Unknown
from archc.language.values import Mistake, evaluate
from archc.signature import is_int, shown
from archc.text import tree as t
from archc.text.suggest import did_you_mean

BATCHES = {"none", "batch", "batch_size", "b", "n", "bs", "?"}  # what a batch's size is called where it is open
EXAMPLE = 224  # a size in hints
DECLARED = {"shape", "dtype"}  # what is said of an input


def is_declared(tree: t.Tree) -> bool:
    """Whether it is a shape with what its values are: {shape: [128], dtype: int64}."""
    return isinstance(tree, t.Mapping) and {"dtype"} <= {str(key.value) for key, _ in tree.items} <= DECLARED


def bare_shape(tree: t.Tree) -> t.Tree:
    """The shape of an input that is written `{shape: [T], dtype: int64}`."""
    shape = tree.get("shape") if isinstance(tree, t.Mapping) else None
    return tree if shape is None else shape


def shapes_of(tree: t.Tree | None) -> dict[str, t.Tree]:
    """The shapes of a spec's inputs as they are written, by name; "input" is an only one."""
    if isinstance(tree, t.Mapping) and not is_declared(tree):
        return {str(key.value): bare_shape(shape) for key, shape in tree.items}
    return {} if tree is None else {"input": bare_shape(tree)}


def given_for(name: str, changes: Mapping[str, t.Tree]) -> t.Tree | None:
    """The shape from outside for an input: by its name, or without a name for an only one."""
    return changes.get(name, changes.get("") if name == "input" else None)


def missing_sizes(value: object) -> list[str]:
    """The names in a shape for which there is no number, each once; none where the first stands for a batch."""
    if not isinstance(value, list) or (len(value) > 1 and isinstance(value[0], str) and value[0].lower() in BATCHES):
        return []
    names = [size for size in value if isinstance(size, str) and is_name(size)]
    return list(dict.fromkeys(names)) if all(is_int(size, 1) or size in names for size in value) else []


def names_in_shape(tree: t.Tree) -> list[str]:
    """The names of open sizes in a shape, without the values of what it reads."""
    parts = tree.items if isinstance(tree, t.Sequence) else []
    values = [part.value if isinstance(part, t.Scalar) else None for part in parts]
    return missing_sizes([1 if isinstance(value, str) and "$" in value else value for value in values])


def is_open(tree: t.Tree | None, changes: Mapping[str, t.Tree]) -> bool:
    """Whether a name stands for a size in the shapes of a spec's inputs, or in those that are given in their place."""
    return any(names_in_shape(given_for(name, changes) or own) for name, own in shapes_of(tree).items())


def with_sizes(run: Elaboration, value: Any) -> Any:
    """A shape with the numbers of its open sizes, as far as they are known."""
    if not isinstance(value, list) or not missing_sizes(value):
        return value
    return [run.sizes.get(size, size) if isinstance(size, str) else size for size in value]


def bind_sizes(run: Elaboration, env: dict[str, Any], changes: Mapping[str, t.Tree]) -> None:
    """Numbers for open sizes: from shapes that are given, then from the spec's `sizes`."""
    shapes = shapes_of(run.spec.input)
    bound: dict[str, tuple[int, str]] = {}
    for name, own in shapes.items():
        given = given_for(name, changes)
        names, sizes = names_in_shape(own), sizes_of(given, {}) if given is not None else []
        wanted = _evaluated(own, env) if names and sizes else None
        if given is None or not isinstance(wanted, list) or len(wanted) != len(sizes):
            continue
        for axis, size in zip(wanted, sizes, strict=True):
            if axis in names and bound.setdefault(axis, (size, name))[0] != size:
                where = f" of {bound[axis][1]}" if bound[axis][1] != name else ""
                run.error("A402", given.span, f"{axis} is {size} here, and {bound[axis][0]}{where}", "one name is one size")
    _check_names(run, shapes)
    for name, (_, tree) in run.spec.sizes.items():
        size = _evaluated(tree, env)
        if is_int(size, 1):
            run.sizes.setdefault(name, bound[name][0] if name in bound else size)
        elif size is not None:
            run.error("A402", tree.span, f"{shown(size)} is not a size", f"a whole number from 1 up: {name}: {EXAMPLE}")
    for name, (size, _) in bound.items():
        run.sizes.setdefault(name, size)


def _check_names(run: Elaboration, shapes: Mapping[str, t.Tree]) -> None:
    known = [name for shape in shapes.values() for name in names_in_shape(shape)]
    for name, (key, _) in run.spec.sizes.items():
        if name not in known:
            hint = did_you_mean(name, known) or (f"there are {', '.join(known)}" if known else "name it there: input: [3, H, W]")
            run.error("A307", key.span, f'no input has a size called "{name}"', hint)


def _evaluated(tree: t.Tree, env: Mapping[str, Any]) -> Any:
    """A value; None where it cannot be worked out, which is said elsewhere."""
    try:
        return evaluate(tree, env)
    except (Mistake, Unknown):
        return None


def known_sizes(run: Elaboration, tree: t.Tree, env: dict[str, Any]) -> list[int]:
    """The sizes that a tree means, with an example for each that is open and has no number; none where it is no shape."""
    value = with_sizes(run, _evaluated(tree, env))
    if missing_sizes(value):
        return [size if is_int(size) else EXAMPLE for size in value]
    return _as_sizes(value)


def sizes_of(tree: t.Tree, env: Mapping[str, Any]) -> list[int]:
    """The sizes that a tree means; none where it is no shape, which is said elsewhere."""
    return _as_sizes(_evaluated(tree, env))


def _as_sizes(value: Any) -> list[int]:
    if is_int(value, 1):
        return [value]
    return list(value) if isinstance(value, list) and all(is_int(size, 1) for size in value) else []
