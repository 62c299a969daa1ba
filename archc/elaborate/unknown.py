"""What to write instead of a layer, or an argument of one, that there is not. The table of aliases is read here, and only then."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from archc.elaborate.hints import is_visible
from archc.elaborate.kinds import find_kind, is_kind
from archc.elaborate.state import Context, Elaboration
from archc.language import library
from archc.language.blocks import Block
from archc.language.entries import MODIFIERS, Chain, Entry, find_misnamed
from archc.ops import OPERATORS
from archc.signature import MISSING, Param, Signature
from archc.text import tree as t

if TYPE_CHECKING:
    from archc.aliases.hints import Where
    from archc.aliases.rewriting import Known

LONGEST = 60  # characters of an entry that is shown again
MOST_ENTRIES = 2000  # of a chain that are looked through for one


def suggest_kind(run: Elaboration, entry: Entry, context: Context | None, chain: Chain | None = None) -> str:
    """What to write for a layer or block that there is not. The context is None where none was come by; then the chain is given."""
    from archc.aliases import hints

    kind = entry.kind
    if "\xa0" in kind:
        return "it contains a character that only looks like a space"
    if (value := _value(entry, context)) is not None:
        return value
    tree = entry.tree
    key = next((word for word, _ in tree.items if word.value == kind), None) if isinstance(tree, t.Mapping) else None
    if isinstance(tree, t.Mapping) and key is not None and (hint := _typed_entry_hint(run, tree, key, _chains(context, chain))) is not None:
        return hint
    known = _known(run)
    where = _where(entry, _chains(context, chain))
    if (hint := _named_as_layer(entry, where.key)) is not None:
        return hint
    hint = hints.layer_hint(kind, entry.argument, known, where)
    hint = hint or _copies_hint(entry) or _chain_hint(run, entry, where) or hints.near_kind(kind, known) or hints.explain_word(kind, known)
    return hint or f"`archc docs` lists the layers; {hints.PLUGIN}"


def _named_as_layer(entry: Entry, key: str | None) -> str | None:
    """An entry that is called like a layer, with an argument of that layer where its kind should be: `dropout: {p: 0.5}`."""
    op = OPERATORS.get(key) if key is not None else None
    if op is None or entry.kind not in op.signature.params or entry.argument is None:
        return None
    text = entry.argument.span.text if entry.argument.end - entry.argument.start <= LONGEST else "…"
    beside = "".join(f", {name}: {tree.span.text}" for name, tree in entry.modifiers.items() if len(tree.span.text) <= LONGEST)
    return f"`{key}` is the entry's name here; its layer comes after it: {key}: {{{key}: {{{entry.kind}: {text}}}{beside}}}"


def suggest_value(kind: str, argument: str | None, param: Param | None, value: object) -> str | None:
    """What to write for a value of the wrong type that is known of another framework."""
    from archc.aliases import hints

    if argument is None or param is None:
        return None
    return hints.value_hint(kind, argument, value, lambda candidate: param.type.accept(candidate) is not MISSING)


def complete(run: Elaboration, tree: t.Tree, context: Context | None, chain: Chain | None = None) -> None:
    """Adds what to write to the mistake of an entry whose layer stands under a key such as `type`."""
    found = find_misnamed(tree)
    if (
        found is not None
        and isinstance(tree, t.Mapping)
        and (hint := _typed_entry_hint(run, tree, found.key, _chains(context, chain))) is not None
    ):
        found.mistake.hint = hint


def _typed_entry_hint(run: Elaboration, tree: t.Mapping, key: t.Scalar, chains: list[Chain]) -> str | None:
    """An entry `{type: Conv2d, out_channels: 64}` as archc has it. None where it says no layer."""
    from archc.aliases import hints
    from archc.aliases.entries import is_kind_key

    named = next(value for word, value in tree.items if word is key)
    if not is_kind_key(str(key.value)) or not isinstance(named, t.Scalar) or not isinstance(named.value, str):
        return None
    rest = [(word, value) for word, value in tree.items if word is not key and word.value not in MODIFIERS]
    if len(rest) == 1 and rest[0][0].value in ("config", "args", "arguments", "params", "kwargs") and isinstance(rest[0][1], t.Mapping):
        rest = rest[0][1].items
    entry = Entry(tree, named.value, named.span, t.Mapping(tree.source, tree.start, tree.end, rest))
    entry.modifiers = {str(word.value): value for word, value in tree.items if word.value in MODIFIERS}
    known = _known(run)
    hint = hints.layer_hint(entry.kind, entry.argument, known, _where(entry, chains))
    hint = hint or hints.near_kind(entry.kind, known) or f"`archc docs` lists the layers; {hints.PLUGIN}"
    return f"the layer's name is the key: {hint.removeprefix('write ')}" if hint.startswith("write ") else hint


def suggest_example(entry: Entry, missing: list[str], signature: Signature) -> str:
    """An entry with the arguments that it lacks, and those that it has."""
    from archc.aliases import hints

    given = entry.argument.items if isinstance(entry.argument, t.Mapping) else []
    texts = {str(key.value): value.span.text for key, value in given if key.value in signature.params}
    return hints.example(entry.kind, texts, missing, _params(signature))


def suggest_for_inputs(kind: str, count: int) -> str | None:
    """What to write instead of a layer that is given more inputs than it takes."""
    from archc.aliases.table import table

    return table().two_inputs.get(kind) if count == 2 else None


def suggest_layer(run: Elaboration, name: str) -> str | None:
    """What a name alone may have meant where a layer's name stands, as in `init` and `defaults`."""
    from archc.aliases import hints

    return hints.name_hint(name, _known(run)) or hints.near_kind(name, _known(run), elsewhere=False)


def suggest_argument(
    run: Elaboration,
    entry: Entry | None,
    *,
    kind: str,
    key: t.Scalar,
    value: t.Tree,
    given: list[str],
    signature: Signature,
    context: Context | None,
) -> str:
    """What to write for an argument that a layer or block does not have."""
    taken = ", ".join(signature.params)
    found = find_argument_hint(run, entry, kind=kind, key=key, value=value, given=given, signature=signature, context=context)
    return found or (f"it takes {taken}" if taken else "it takes none")


def find_argument_hint(
    run: Elaboration,
    entry: Entry | None,
    *,
    kind: str,
    key: t.Scalar,
    value: t.Tree,
    given: list[str],
    signature: Signature,
    context: Context | None,
) -> str | None:
    """As suggest_argument; None where the name is near to nothing and known of no framework."""
    from archc.aliases import hints

    name, taken = str(key.value), list(signature.params)
    if (hint := _beside(name, kind, taken)) is not None:
        return hint
    where = _where(entry, _chains(context, None)) if entry is not None else hints.Where()
    known_hint = (
        hints.argument_hint(kind, name, value, given, _known(run, kind, signature), where) if is_kind(run.spec.blocks, kind) else None
    )
    return known_hint or hints.near_argument(name, _params(signature))


def _value(entry: Entry, context: Context | None) -> str | None:
    """A name where a layer should stand, of a value."""
    if entry.kind == "input" and context is not None and entry.argument is None:
        return "`identity` passes the input of a branch on; elsewhere, take it with `from: input`"
    bare = entry.argument is None or not isinstance(entry.argument, t.Mapping | t.Sequence)
    if context is not None and bare and is_visible(entry.kind, context):
        return f'"{entry.kind}" is a value, not a layer: take it with `from: {entry.kind}`'
    return None


def _copies_hint(entry: Entry) -> str | None:
    """A number of copies where a layer's name should stand: `{x3: {conv: 64}}`."""
    times = re.fullmatch(r"[xX×*]?(\d{1,4})[xX×*]?", entry.kind)
    if times is None or not isinstance(entry.argument, t.Mapping) or entry.kind.isdigit():
        return None
    return f"for copies, write `repeat` beside the layer: {{repeat: {times[1]}, {_inline(entry.argument).strip('{}')}}}"


def _inline(tree: t.Tree) -> str:
    """An entry as it would stand on one line; of a long one, its layer alone."""
    text = tree.span.text
    if "\n" not in text and len(text) <= LONGEST and (isinstance(tree, t.Scalar) or text.startswith("{")):
        return text
    return f"{{{tree.items[0][0].value}: …}}" if isinstance(tree, t.Mapping) and tree.items else "…"


def _chain_hint(run: Elaboration, entry: Entry, where: Where) -> str | None:
    """A chain whose name stands where a layer's should; a named entry in a list."""
    argument = entry.argument
    word = argument.value if isinstance(argument, t.Scalar) else None
    first = argument.items[0][0].value if isinstance(argument, t.Mapping) and argument.items else word
    if where.listed and argument is not None and not where.modifiers and is_kind(run.spec.blocks, str(first)):
        return f"a list has no names: - {_inline(argument)}; a mapping has no dashes: {entry.kind}: {_inline(argument)}"
    if isinstance(argument, t.Mapping) and argument.items and is_kind(run.spec.blocks, str(argument.items[0][0].value)):
        return f"a chain of named layers is {{layers: {{{entry.kind}: …}}}}"
    return None


def _beside(name: str, kind: str, taken: list[str]) -> str | None:
    """What no argument's name is by its form; a modifier among the arguments, which stands a level too low."""
    if name.endswith(")"):
        return "a list is written [3, 3]"
    if name.isdigit():
        return "digits are grouped by _, as in 1_024"
    if (pair := re.fullmatch(r"(\w+)\s*[= ]\s*(\S.{0,40})", name)) and pair[1] in taken:
        return f"write {pair[1]}: {pair[2]}"
    return f"`{name}` stands beside {kind}: {{{name}: …, {kind}: …}}" if name in MODIFIERS else None


def _known(run: Elaboration, kind: str = "", signature: Signature | None = None) -> Known:
    return known_layers(run.spec.blocks, kind, signature)


def known_layers(blocks: Mapping[str, Block], kind: str = "", signature: Signature | None = None) -> Known:
    """The layers, the blocks that ship and those of a spec, for the table of aliases; `kind` has a signature of its own."""
    from archc.aliases.rewriting import Known

    def params(name: str) -> dict[str, str]:
        if name == kind and signature is not None:
            return _params(signature)
        found = find_kind(blocks, name)
        return _params(found.signature) if found is not None else {}

    return Known((*OPERATORS, *blocks, *library.index()), params)


def _params(signature: Signature) -> dict[str, str]:
    return {name: param.type.name + "!" * param.required for name, param in signature.params.items()}


def _chains(context: Context | None, chain: Chain | None) -> list[Chain]:
    if chain is not None:
        return [chain]
    return [*context.lookup.chains, *context.space.chains] if context is not None else []


def _where(entry: Entry, chains: list[Chain]) -> Where:
    """Where an entry stands, as the remedy must stand there too."""
    from archc.aliases.hints import Where

    modifiers = {name: tree.span.text for name, tree in entry.modifiers.items()}
    for chain in chains:
        for key, tree in chain.entries[:MOST_ENTRIES]:
            if tree is entry.tree:
                return Where(str(key.value) if key is not None else None, key is None, modifiers)
    return Where(modifiers=modifiers)
