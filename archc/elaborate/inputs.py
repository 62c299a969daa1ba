"""The inputs of a network: their shapes as the spec, the command line or a program gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.catalog.dtypes import BYTES
from archc.elaborate.sizes import BATCHES, DECLARED, EXAMPLE, bind_sizes, is_declared, known_sizes, missing_sizes, sizes_of, with_sizes
from archc.elaborate.state import UNKNOWN, Elaboration, Written
from archc.graph import Value
from archc.graph.dtypes import SAME, WHOLE
from archc.language.blocks import RULE, is_name
from archc.language.functions import Unknown
from archc.language.values import Mistake, evaluate
from archc.ops.shape import MOST_AXES, input_shape, read_sizes
from archc.signature import is_int, shown
from archc.text import tree as t
from archc.text.quantity import counted
from archc.text.source import Source
from archc.text.suggest import did_you_mean

OPTION, ARGUMENT = "--input", "input="  # where a shape from outside comes from: the command line, or a program
AXES = {"channels", "height", "width", "depth", "length", "shape", "features", "size"}


def read_inputs(run: Elaboration, env: dict[str, Any], changes: Mapping[str, t.Tree]) -> dict[str, Value]:
    """The inputs by name; `changes` are shapes in place of the spec's own ("" is the only one)."""
    tree = run.spec.input
    bind_sizes(run, env, changes)
    if not isinstance(tree, t.Mapping) or is_declared(tree):
        given = changes.get("input", changes.get(""))
        _check_names(run, [name for name in changes if name not in ("", "input")], changes, ["input"], tree, env)
        return {"input": _input(run, "input", tree, given, env)}
    found = {}
    for key, shape in tree.items:
        name = str(key.value)
        if not is_name(name):
            run.error("A306", key.span, f'"{name}" cannot name an input', RULE)
        found[name] = _input(run, name, shape, changes.get(name), env)
    if not found and not tree.broken:
        run.error("A202", tree.span, "no inputs", "input: [3, 224, 224], or input: {image: [3, 224, 224]}")
    if not found or tree.broken:
        found["input"] = UNKNOWN
    _check_names(run, [name for name in changes if name not in found], changes, list(found), tree, env)
    return found


def _check_names(
    run: Elaboration, wrong: list[str], changes: Mapping[str, t.Tree], known: list[str], tree: t.Tree | None, env: dict[str, Any]
) -> None:
    """Shapes from outside for inputs that are not there."""
    for name in wrong:
        given = changes[name]
        hint = did_you_mean(name, known) or f"there {'is' if len(known) == 1 else 'are'} {', '.join(known)}"
        sizes = sizes_of(given, {})
        if sizes and (not name or not isinstance(tree, t.Mapping)):
            named = known if isinstance(tree, t.Mapping) else [""]
            hint = "write " + (" or " if name else ", ").join(spell_shape(sizes, given.source, place) for place in named[:3])
        run.error("A307", given.span, f'{run.spec.name} has no input "{name}"' if name else "which input?", hint)


def _input(run: Elaboration, name: str, own: t.Tree | None, given: t.Tree | None, env: dict[str, Any]) -> Value:
    """One input, as it is declared."""
    if not isinstance(own, t.Mapping):
        return _shaped(run, name, own, given, env)
    unknown = [key for key, _ in own.items if key.value not in DECLARED]
    for key in unknown:
        hint = did_you_mean(str(key.value), DECLARED) or "{shape: [128], dtype: int64}"
        run.error("A402", key.span, f"an input has a shape and a dtype, and no {shown(key.value)}", hint)
    shape = own.get("shape")
    if shape is None and not unknown and not own.broken:
        what = "the input" if name == "input" else f"the input {name}"
        run.error("A202", own.span, f"no shape for {what}", "{shape: [128], dtype: int64}")
    value = _shaped(run, name, shape, given, env)
    dtype = _dtype(run, own.get("dtype"), env)
    if value is not UNKNOWN:
        value.dtype = dtype
    return value


def _dtype(run: Elaboration, tree: t.Tree | None, env: dict[str, Any]) -> str:
    """A dtype of whole numbers or truth values; without one, the network's own."""
    if tree is None:
        return SAME
    try:
        value = evaluate(tree, env)
    except Mistake as mistake:
        run.mistake(mistake)
        return SAME
    except Unknown:
        return SAME
    if isinstance(value, str) and value in WHOLE:
        return value
    own = isinstance(value, str) and value in BYTES
    hint = "leave it out: numbers have the dtype of the network" if own else did_you_mean(str(value), WHOLE) or f"one of {', '.join(WHOLE)}"
    run.error("A402", tree.span, f"an input cannot be declared as {shown(value)}", hint)
    return SAME


def _shaped(run: Elaboration, name: str, own: t.Tree | None, given: t.Tree | None, env: dict[str, Any]) -> Value:
    """One input, in its own shape or in one that was given in its place, which must have as many axes."""
    if own is None:  # the spec has none, and says so
        return UNKNOWN
    if given is None:
        run.inputs[name] = Written(own.span, [])
        return _shape(run, name, own, env, [])
    sizes, wanted = known_sizes(run, given, {}), known_sizes(run, own, env)
    run.inputs[name] = Written(given.span, wanted)
    if run.trial or not sizes or not wanted or len(sizes) == len(wanted):
        return _shape(run, name, given, {}, wanted)
    what = "the input" if name == "input" else f"the input {name}"
    message = f"{given.span.text} has {_axes(len(sizes))}; {what} of {run.spec.name}, {shown(wanted)}, has {len(wanted)}"
    meant = likely(sizes, wanted)
    hint = f"write {spell_shape(meant, given.source, name)}" if meant else f"as {spell_shape(wanted, given.source, name)}"
    hint += ": shapes have no batch axis" if meant and len(sizes) > len(wanted) else ""
    run.error("A402", given.span, message, hint)
    return UNKNOWN


def _axes(count: int) -> str:
    return counted(count, "axis", "axes")


def likely(sizes: list[int], own: list[int]) -> list[int]:
    """A shape of as many axes as a network's own, of sizes that were given with more or with less; none where nothing tells."""
    channels, axes = own[0], len(own) - 1
    if len(sizes) == axes + 2:
        if sizes[-1] == channels != sizes[1] and axes:  # a batch of images whose channels are last
            return [channels, *sizes[1:-1]]
        return sizes[1:] if sizes[1] == channels or sizes[0] != channels else []
    if len(sizes) == axes and (sizes[0] != channels or axes == 1):
        return [channels, *sizes]
    if len(sizes) == 1 or (len(sizes) == 2 and sizes[0] == channels):
        return [channels, *[sizes[-1]] * axes] if len(set(own[1:])) == 1 else []
    return []


def spell_shape(sizes: list[int], source: Source, name: str = "") -> str:
    """A shape as it would be written where a text comes from."""
    named = "" if name == "input" else name
    if source.name.startswith(OPTION):
        return f"{OPTION} {f'{named}=' if named else ''}{'x'.join(map(str, sizes))}"
    if source.name.startswith(ARGUMENT):
        shape = f"({', '.join(map(str, sizes))}{',' * (len(sizes) == 1)})"
        return f'{ARGUMENT}{{"{named}": {shape}}}' if named else f"{ARGUMENT}{shape}"
    return f"{name or 'input'}: {sizes}"


def _shape(run: Elaboration, name: str, tree: t.Tree, env: dict[str, Any], own: list[int]) -> Value:
    """The value of a shape. `own`: the spec's, where another was given in its place."""
    try:
        value = evaluate(tree, env)
    except Mistake as mistake:
        run.mistake(mistake)
        return UNKNOWN
    except Unknown:
        return UNKNOWN
    example = spell_shape(own, tree.source, name) if own else "[3, 224, 224]"
    value = with_sizes(run, value)
    hint = f"one to four whole numbers from 1 up, without a batch axis: {example}"
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_AXES:
        run.error("A402", tree.span, f"{shown(value)} is not a shape", _meant(run, name, value, tree) or hint)
        return UNKNOWN
    wrong = [at for at, size in enumerate(value) if not is_int(size, 1)]
    if open_ := missing_sizes(value):
        run.error("A406", tree.span, *_open_sizes(run, name, value, open_))
        return UNKNOWN
    batch = wrong == [0] and len(value) > 1 and (value[0] is None or value[0] == -1 or str(value[0]).lower() in BATCHES)
    meant = _numbers(value)
    for at in wrong:
        item = tree.items[at] if isinstance(tree, t.Sequence) else tree
        remedy = f"shapes have no batch axis: {spell_shape(value[1:], tree.source, name)}" if batch else hint
        remedy = f"write {spell_shape(meant, tree.source, name)}" if meant else remedy
        remedy = "one pair of brackets is enough" if len(value) == 1 and isinstance(value[0], list) else remedy
        run.error("A402", item.span, f"{shown(value[at])} is not a size", remedy)
    return UNKNOWN if wrong else Value(None, 0, input_shape(value), name)


def _open_sizes(run: Elaboration, name: str, value: list[Any], open_: list[str]) -> tuple[str, str]:
    """That numbers are needed, and where they may be given."""
    what = "the input" if name == "input" else f"the input {name}"
    shape, example = "x".join(map(str, value)), "x".join(str(size if is_int(size) else EXAMPLE) for size in value)
    message = f"{what} of {run.spec.name} is {shape}: this needs {'a number' if len(open_) == 1 else 'numbers'} for {' and '.join(open_)}"
    defaults = ", ".join(f"{one}: {EXAMPLE}" for one in open_)
    named = "" if name == "input" else f"{name}="
    return message, f"{OPTION} {named}{example}, or a default in the spec, `sizes: {{{defaults}}}`; `analyze` and `explain` give formulas"


def _numbers(value: list[Any]) -> list[int]:
    """The sizes of a list that are written as texts or with a decimal point; none where one is no size."""
    texts = [str(int(size)) if isinstance(size, float) and size.is_integer() else str(size) for size in value]
    sizes = read_sizes(" ".join(texts))
    return sizes if len(sizes) <= MOST_AXES and min(sizes, default=0) > 0 else []


def _meant(run: Elaboration, name: str, value: Any, tree: t.Tree) -> str | None:
    """What to write in place of what is not a shape."""
    inputs = run.spec.input
    if isinstance(inputs, t.Mapping) and {str(key.value) for key, _ in inputs.items} <= AXES:
        return "a shape is a list of sizes, channels first: input: [3, 224, 224]"
    if isinstance(value, str) and (sizes := read_sizes(value)):
        return f"write {spell_shape(sizes, tree.source, name)}"
    if is_int(value, 1):
        return f"write {spell_shape([value], tree.source, name)} for a vector; an image is [3, 224, 224]"
    if isinstance(value, list) and len(value) == MOST_AXES + 1 and value[1:2] in ([1], [3]) and all(is_int(size, 4) for size in value[2:]):
        return f"shapes have no batch axis: {spell_shape(value[1:], tree.source, name)}"
    return None
