"""Blocks: macros written in the language, with typed signatures."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from keyword import iskeyword

from archc.language.entries import CHAIN_INPUT, Chain, read_chain, read_entry
from archc.language.values import Mistake, written
from archc.signature import BROKEN, MISSING, NAMED, Param, Signature, Type
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.source import Span
from archc.text.suggest import did_you_mean

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
RULE = "use letters, digits and _, no digit first, and no word of the language"
_KEYS = ("doc", "params", "inputs", "layers", "outputs")
_SIGNATURE = re.compile(r"\s*([A-Za-z]+)\s*(?:=\s*(.*\S))?\s*\Z", re.DOTALL)
RESERVED = ("input", CHAIN_INPUT, "index", "first", "last", "true", "false", "null")


def is_name(name: object) -> bool:
    """Whether an expression can read a value of this name."""
    return isinstance(name, str) and NAME.match(name) is not None and name not in RESERVED and not iskeyword(name)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block: its parameters, its inputs' names (none: one input, `input`), its chain. `in_spec`: it sees the spec's params.

    outputs: as they are written: names, or a mapping of names to names; without them, the value at the chain's end comes out

    `broken`: a mistake in it was reported, and its uses are skipped in silence.
    """

    name: str
    doc: str
    _: KW_ONLY
    signature: Signature
    defaults: dict[str, t.Tree]
    inputs: tuple[str, ...]
    layers: Chain
    span: Span
    in_spec: bool
    outputs: t.Tree | None = None
    broken: bool = False


def read_blocks(tree: t.Tree, diagnostics: Diagnostics, in_spec: bool) -> dict[str, Block]:
    """`blocks:` of a spec, or a file of blocks."""
    if not isinstance(tree, t.Mapping):
        diagnostics.error("A202", tree.span, "blocks must be a mapping of names to blocks", "blocks: {my_block: {params: …, layers: …}}")
        return {}
    found = {}
    for key, body in tree.items:
        if not NAME.match(str(key.value)):
            diagnostics.error("A306", key.span, f'"{key.value}" cannot be the name of a block', "use letters, digits and _, no digit first")
        else:
            found[str(key.value)] = read_block(key, body, diagnostics, in_spec)
    return found


def read_block(key: t.Scalar, body: t.Tree, diagnostics: Diagnostics, in_spec: bool) -> Block:
    """One block: `{doc: …, params: {name: type = default}, inputs: [x, y], layers: …}`."""
    name = str(key.value)
    if not isinstance(body, t.Mapping):
        hint = "write {layers: …}, and `params` if it has any"
        diagnostics.error("A202", body.span if body.end > body.start else key.span, "a block must be a mapping", hint)
        return Block(
            name, "", signature=Signature({}), defaults={}, inputs=(), layers=Chain([]), span=key.span, in_spec=in_spec, broken=True
        )
    unknown_keys(body, _KEYS, diagnostics, "a block")
    inputs = _inputs(body.get("inputs"), diagnostics)
    params, defaults = _params(body.get("params"), inputs or (), diagnostics)
    chain = _layers(key, body, diagnostics)
    doc, outputs = body.get("doc"), body.get("outputs")
    return Block(
        name=name,
        doc=str(doc.value).strip() if isinstance(doc, t.Scalar) and doc.value is not None else "",
        signature=Signature(params or {}),
        defaults=defaults,
        inputs=inputs or (),
        layers=chain or Chain([]),
        span=key.span,
        in_spec=in_spec,
        outputs=outputs,
        broken=chain is None
        or inputs is None
        or params is None
        or body.broken
        or not _are_outputs(outputs, body, inputs or (), diagnostics),
    )


def _are_outputs(tree: t.Tree | None, body: t.Mapping, inputs: tuple[str, ...], diagnostics: Diagnostics) -> bool:
    """Whether the outputs of a block may be such: names, alone, in a list or in a mapping, of what is written in the block.

    That is seen without a use of the block; what a name means is found where the block is used.
    """
    if tree is None:
        return True
    items = [value for _, value in tree.items] if isinstance(tree, t.Mapping) else tree.items if isinstance(tree, t.Sequence) else [tree]
    good = bool(items) and all(isinstance(item, t.Scalar) and isinstance(item.value, str | int) for item in items)
    if not good:
        hint = "outputs: [p3, p4], or {p3: smooth3, p4: smooth4}"
        diagnostics.error("A202", tree.span, "the outputs of a block must be names of its layers", hint)
        return False
    known = _keys(body.get("layers"))
    if any("$" in key for key in known):
        return True
    for item in items:
        assert isinstance(item, t.Scalar)
        first = str(item.value).removeprefix(".").partition(".")[0]
        if not set(first) & set("*?[$") and not first.isdigit() and first not in (*known, *inputs, "input", CHAIN_INPUT):
            hint = did_you_mean(first, [*known, *inputs]) or "an output is a layer of the block, or one of its inputs"
            diagnostics.error("A304", item.span, f'nothing in the block is called "{first}"', hint)
            good = False
    return good


def _keys(tree: t.Tree | None) -> list[str]:
    """All keys in a tree, at any depth: every name of a layer is one."""
    found: list[str] = []
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, t.Mapping):
            found += [str(key.value) for key, _ in one.items]
            waiting += [value for _, value in one.items]
        elif isinstance(one, t.Sequence):
            waiting += one.items
    return found


def _layers(key: t.Scalar, body: t.Mapping, diagnostics: Diagnostics) -> Chain | None:
    layers = body.get("layers")
    if layers is None:
        if not any(did_you_mean(str(other.value), ("layers",)) for other, _ in body.items) and not body.broken:
            diagnostics.error("A204", key.span, f'the block "{key.value}" has no layers', "add `layers:`")
        return None
    chain = read_chain(layers, diagnostics, key.span)
    if chain is not None:
        check_chain(chain, diagnostics)
    return chain


def unknown_keys(tree: t.Mapping, known: tuple[str, ...], diagnostics: Diagnostics, what: str) -> None:
    for key, _ in tree.items:
        if key.value not in known:
            from archc.aliases.entries import key_hint

            hint = key_hint(str(key.value), known) or did_you_mean(str(key.value), known) or f"{what} has {', '.join(known)}"
            diagnostics.error("A201", key.span, f'unknown key "{key.value}" in {what}', hint)


def check_chain(chain: Chain, diagnostics: Diagnostics) -> None:
    """Reads all entries of a chain and those inside them, so that a mistake shows in a block that nothing uses, too."""
    todo = list(chain.entries)
    while todo:
        key, tree = todo.pop()
        entry = read_entry(tree, diagnostics, key)
        if entry is not None and entry.chain is not None:
            todo.extend(entry.chain.entries)


def _inputs(tree: t.Tree | None, diagnostics: Diagnostics) -> tuple[str, ...] | None:
    """The names of a block's inputs; None after a mistake."""
    if tree is None:
        return ()
    names: list[str] = []
    for item in tree.items if isinstance(tree, t.Sequence) else [tree]:
        if not isinstance(item, t.Scalar) or not isinstance(tree, t.Sequence):
            diagnostics.error("A202", item.span, "the inputs of a block must be a list of names", "inputs: [x, skip]")
        elif not is_name(item.value):
            diagnostics.error("A306", item.span, f'"{item.value}" cannot be the name of an input', RULE)
        elif item.value in names:
            diagnostics.error("A305", item.span, f'the input "{item.value}" is listed twice', "inputs: [x, skip]")
        else:
            names.append(item.value)
            continue
        return None
    return tuple(names)


def _params(tree: t.Tree | None, inputs: tuple[str, ...], diagnostics: Diagnostics) -> tuple[dict[str, Param] | None, dict[str, t.Tree]]:
    """The parameters of a block (None where there is no telling) and the defaults among them."""
    params: dict[str, Param] = {}
    defaults: dict[str, t.Tree] = {}
    if tree is None or (isinstance(tree, t.Scalar) and tree.value is None):
        return params, defaults
    if not isinstance(tree, t.Mapping):
        diagnostics.error("A202", tree.span, "params must be a mapping of names to types", "params: {channels: int, stride: int = 1}")
        return None, defaults
    good = not tree.broken
    for key, signature in tree.items:
        name = str(key.value)
        if not is_name(name):
            diagnostics.error("A306", key.span, f'"{name}" cannot be the name of a parameter', RULE)
            good = False
            continue
        if name in inputs:
            diagnostics.error("A305", key.span, f'"{name}" is already an input of the block', "choose another name")
            good = False
            continue
        params[name], default = _read_signature(name, signature, diagnostics) or (Param(name, BROKEN, None), None)
        if default is not None:
            defaults[name] = default
    return (params if good else None), defaults


def _read_signature(name: str, tree: t.Tree, diagnostics: Diagnostics) -> tuple[Param, t.Tree | None] | None:
    """`type` or `type = default`."""
    if not isinstance(tree, t.Scalar) or not isinstance(tree.value, str):
        value = getattr(tree, "value", None)
        hint = f"write `{name}: int = {value}`" if isinstance(value, int | float) else "a type, as in `int` or `int = 1`"
        diagnostics.error("A206", tree.span, f"the type of {name} is missing", hint)
        return None
    match = _SIGNATURE.match(tree.value)
    if match is None or match[1] not in NAMED:
        wrong = match[1] if match is not None else tree.value
        span = tree.inner(*match.span(1)) if match is not None else tree.span
        hint = did_you_mean(re.split(r"\W", wrong)[0], NAMED) or "a type is " + ", ".join(NAMED)
        if match is None:
            hint = f"write `type` or `type = default`; {hint}"
        diagnostics.error("A206", span, f'no type is called "{wrong}"', hint)
        return None
    type_ = NAMED[match[1]]
    if match[2] is None:
        return Param(name, type_), None
    span = tree.inner(*match.span(2))
    default = t.parse_part(span.source, span.start, span.end, diagnostics)
    if default is None:
        return None
    if match[1] != "layer" and not _fits(default, type_):
        diagnostics.error("A206", span, f"the default of {name} is not {type_.expected}")
        return None
    return Param(name, type_, default.value if isinstance(default, t.Scalar) else match[2]), default


def _fits(default: t.Tree, type_: Type) -> bool:
    """Whether a default is of its type, or null; true of what only an environment can tell."""
    try:
        form = written(default)
    except Mistake:
        return True  # said where it is used
    value = form.work({}) if form.constant else None
    return value is None or type_.accept(value) is not MISSING
