"""Blocks: macros written in the language, with typed signatures."""

from __future__ import annotations

import re
from dataclasses import dataclass

from archc.language.entries import Chain, read_chain, read_entry
from archc.signature import BROKEN, MISSING, NAMED, Param, Signature
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.source import Span
from archc.text.suggest import did_you_mean

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_KEYS = ("doc", "params", "inputs", "layers")
_SIGNATURE = re.compile(r"\s*([A-Za-z]+)\s*(?:=\s*(.*\S))?\s*\Z", re.DOTALL)
RESERVED = ("input", "index", "first", "last", "true", "false", "null")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block: its parameters, its inputs' names (none: one input, `input`), its chain. `in_spec`: it sees the spec's params."""

    name: str
    doc: str
    signature: Signature
    defaults: dict[str, t.Tree]
    inputs: tuple[str, ...]
    layers: Chain
    span: Span
    in_spec: bool


def read_blocks(tree: t.Tree, diagnostics: Diagnostics, in_spec: bool) -> dict[str, Block]:
    """`blocks:` of a spec, or a file of blocks."""
    if not isinstance(tree, t.Mapping):
        diagnostics.error("A202", tree.span, "blocks are a mapping of names to blocks", "blocks: {my_block: {params: …, layers: …}}")
        return {}
    found = {}
    for key, body in tree.items:
        if not NAME.match(str(key.value)):
            diagnostics.error("A306", key.span, f'"{key.value}" cannot name a block', "letters, digits and _, not a digit first")
        elif (block := read_block(key, body, diagnostics, in_spec)) is not None:
            found[block.name] = block
    return found


def read_block(key: t.Scalar, body: t.Tree, diagnostics: Diagnostics, in_spec: bool) -> Block | None:
    """One block: `{doc: …, params: {name: type = default}, inputs: [x, y], layers: …}`."""
    if not isinstance(body, t.Mapping):
        diagnostics.error("A202", body.span if body.end > body.start else key.span, "a block is a mapping", "with `params` and `layers`")
        return None
    unknown_keys(body, _KEYS, diagnostics, "a block")
    layers = body.get("layers")
    if layers is None:
        diagnostics.error("A204", key.span, f'the block "{key.value}" has no layers', "add `layers:`")
        return None
    chain = read_chain(layers, diagnostics, key.span)
    inputs = _inputs(body.get("inputs"), diagnostics)
    params, defaults = _params(body.get("params"), diagnostics)
    if chain is None:
        return None
    check_chain(chain, diagnostics)
    doc = body.get("doc")
    return Block(
        name=str(key.value),
        doc=str(doc.value).strip() if isinstance(doc, t.Scalar) and doc.value is not None else "",
        signature=Signature(params),
        defaults=defaults,
        inputs=inputs,
        layers=chain,
        span=key.span,
        in_spec=in_spec,
    )


def unknown_keys(tree: t.Mapping, known: tuple[str, ...], diagnostics: Diagnostics, what: str) -> None:
    for key, _ in tree.items:
        if key.value not in known:
            hint = did_you_mean(str(key.value), known) or f"{what} has {', '.join(known)}"
            diagnostics.error("A201", key.span, f'unknown key "{key.value}" in {what}', hint)


def check_chain(chain: Chain, diagnostics: Diagnostics) -> None:
    """Reads all entries of a chain and those inside them, so that a mistake shows in a block that nothing uses, too."""
    todo = [value for _, value in chain.entries]
    while todo:
        entry = read_entry(todo.pop(), diagnostics)
        if entry is None or entry.kind not in ("layers", "inline"):
            continue
        inner = read_chain(entry.argument, diagnostics, entry.kind_span)
        todo.extend(value for _, value in inner.entries) if inner is not None else None


def _inputs(tree: t.Tree | None, diagnostics: Diagnostics) -> tuple[str, ...]:
    if tree is None:
        return ()
    if isinstance(tree, t.Sequence) and all(isinstance(item, t.Scalar) and NAME.match(str(item.value)) for item in tree.items):
        names = tuple(str(item.value) for item in tree.items if isinstance(item, t.Scalar))
        if len(set(names)) == len(names) and not set(names) & set(RESERVED):
            return names
    diagnostics.error("A202", tree.span, "the inputs of a block are a list of names", "inputs: [x, skip]")
    return ()


def _params(tree: t.Tree | None, diagnostics: Diagnostics) -> tuple[dict[str, Param], dict[str, t.Tree]]:
    params: dict[str, Param] = {}
    defaults: dict[str, t.Tree] = {}
    if tree is None or (isinstance(tree, t.Scalar) and tree.value is None):
        return params, defaults
    if not isinstance(tree, t.Mapping):
        diagnostics.error("A202", tree.span, "params are a mapping of names to types", "params: {channels: int, stride: int = 1}")
        return params, defaults
    for key, signature in tree.items:
        name = str(key.value)
        if not NAME.match(name) or name in RESERVED:
            diagnostics.error("A306", key.span, f'"{name}" cannot name a parameter', "letters, digits and _, and no word of the language")
            continue
        params[name], default = _read_signature(name, signature, diagnostics) or (Param(name, BROKEN, None), None)
        if default is not None:
            defaults[name] = default
    return params, defaults


def _read_signature(name: str, tree: t.Tree, diagnostics: Diagnostics) -> tuple[Param, t.Tree | None] | None:
    """`type` or `type = default`."""
    text = tree.value if isinstance(tree, t.Scalar) and isinstance(tree.value, str) else None
    match = _SIGNATURE.match(text) if text is not None else None
    if match is None or not isinstance(tree, t.Scalar):
        hint = (
            f"write `{name}: int = {getattr(tree, 'value', '…')}`"
            if isinstance(tree, t.Scalar) and text is None
            else "a type, as in `int` or `int = 1`"
        )
        diagnostics.error("A206", tree.span, f"the type of {name} is missing", hint)
        return None
    if match[1] not in NAMED:
        hint = did_you_mean(match[1], NAMED) or f"types are {', '.join(NAMED)}"
        diagnostics.error("A206", tree.inner(*match.span(1)), f'no type is called "{match[1]}"', hint)
        return None
    type_ = NAMED[match[1]]
    if match[2] is None:
        return Param(name, type_), None
    span = tree.inner(*match.span(2))
    default = t.parse_part(span.source, span.start, span.end, diagnostics)
    if default is None:
        return None
    constant = isinstance(default, t.Scalar) and not (isinstance(default.value, str) and "$" in default.value)
    if (
        constant
        and match[1] != "layer"
        and isinstance(default, t.Scalar)
        and default.value is not None
        and type_.accept(default.value) is MISSING
    ):
        diagnostics.error("A206", span, f"the default of {name} is not {type_.expected}")
        return None
    return Param(name, type_, default.value if isinstance(default, t.Scalar) else match[2]), default
