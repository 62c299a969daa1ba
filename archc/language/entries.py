"""Entries and chains: the forms in which layers are written."""

from __future__ import annotations

import re
from typing import NamedTuple

from archc.text import tree as t
from archc.text.diagnostics import Diagnostic, Diagnostics
from archc.text.source import Span
from archc.text.suggest import did_you_mean

MODIFIERS = {
    "from": "the values that the entry takes, instead of the previous entry's",
    "repeat": "how many copies, each with its own weights",
    "for": "one copy for each row, with the row's names bound",
    "when": "whether the entry is there",
    "expect": "what must come out: shape, channels, parameters, macs",
    "train_only": "whether it exists only in training",
    "tie": "the layer whose weight is its own too: `tie: embed`",
    "parallel": "whether its copies are branches side by side, and not a chain",
}
GROUPS = {
    "layers": "a chain of entries, one level down",
    "inline": "a chain of entries on this level",
    "share": "a layer that stands before, applied again with the same weights",
}
LONGEST = 60  # characters of a text that is shown again as a list
CHAIN_INPUT = "chain_input"  # in `from` and in expressions: what came into the innermost chain, as `input` is what came into the block


class Entry:
    """One entry: its kind, the kind's argument, its modifiers; for `layers` and `inline`, the chain inside it."""

    __slots__ = ("argument", "chain", "kind", "kind_span", "modifiers", "tree")

    def __init__(self, tree: t.Tree, kind: str, kind_span: Span, argument: t.Tree | None) -> None:
        self.tree = tree
        self.kind = kind
        self.kind_span = kind_span
        self.argument = argument
        self.chain: Chain | None = None
        self.modifiers: dict[str, t.Tree] = {}

    @property
    def span(self) -> Span:
        return self.tree.span


class Misnamed(NamedTuple):
    """An entry whose layer stands under a key such as `type`: its mistake, to which whoever knows the layers adds what to write."""

    mistake: Diagnostic
    key: t.Scalar


class Chain:
    """Entries in order. A mapping names them by key, a list numbers them (the keys are None). `broken`: one was refused."""

    __slots__ = ("broken", "entries")

    def __init__(self, entries: list[tuple[t.Scalar | None, t.Tree]], broken: bool = False) -> None:
        self.entries = entries
        self.broken = broken


def read_chain(tree: t.Tree | None, diagnostics: Diagnostics, where: Span) -> Chain | None:
    """A chain: a list of entries, or a mapping of names to entries. None, with a diagnostic, where it is neither."""
    if isinstance(tree, t.Sequence):
        return Chain([(None, item) for item in tree.items])
    if isinstance(tree, t.Mapping):
        return Chain([(key, value) for key, value in tree.items], tree.broken)
    span = tree.span if tree is not None and tree.end > tree.start else where
    hint = "a list of entries, or a mapping of names to entries"
    if isinstance(tree, t.Scalar) and isinstance(tree.value, str) and tree.value.startswith("-"):
        hint = "write a space after each dash of a list: - relu"
    elif isinstance(tree, t.Scalar) and isinstance(tree.value, str):
        hint = f"a list of entries, {_as_list(tree.value)}, or a mapping of names to entries"
    diagnostics.error("A202", span, "not a chain of layers", hint)
    return None


def _as_list(text: str) -> str:
    """Words in a row as a list of them."""
    words = re.split(r"[\s,;|]+|->", text[: LONGEST + 1].strip("•–—*/ "))
    fits = len(text) <= LONGEST and all(word.isidentifier() for word in words)
    return f"[{', '.join(words)}]" if fits else "[{conv: 64}, relu]"


def read_entry(tree: t.Tree, diagnostics: Diagnostics, key: t.Scalar | None = None) -> Entry | None:
    """An entry: a word, a mapping with one kind and its modifiers, or a nested chain. Read once; None where it is none.

    key: its name, for what is said of one that is none
    """
    if tree.entry_memo is None:
        found = _read(tree, diagnostics, key)
        tree.entry_memo = found or tree.entry_memo or False
    return tree.entry_memo if isinstance(tree.entry_memo, Entry) else None


def find_misnamed(tree: t.Tree) -> Misnamed | None:
    """Of an entry that was refused: whether its layer stands under a key such as `type`."""
    return tree.entry_memo if isinstance(tree.entry_memo, Misnamed) else None


def _read(tree: t.Tree, diagnostics: Diagnostics, key: t.Scalar | None) -> Entry | None:
    if isinstance(tree, t.Sequence):
        entry: Entry | None = Entry(tree, "layers", tree.span, tree)
    elif isinstance(tree, t.Mapping):
        entry = _read_mapping(tree, diagnostics)
    else:
        assert isinstance(tree, t.Scalar)
        entry = _read_word(tree, diagnostics, key)
    if entry is not None and entry.kind in ("layers", "inline"):
        entry.chain = read_chain(entry.argument, diagnostics, entry.kind_span)
        return entry if entry.chain is not None else None
    return entry


def _read_word(tree: t.Scalar, diagnostics: Diagnostics, key: t.Scalar | None) -> Entry | None:
    value = tree.value
    if value is t.BROKEN:
        return None
    if value is None and tree.end > tree.start:
        return Entry(tree, "null", tree.span, None)
    if value is None:
        hint = "name a layer; `identity` passes the value on"
        if key is not None and str(key.value).isidentifier():
            hint = f"write a layer after a dash, - {key.value}, or a name: {key.value}1: {key.value}"
        diagnostics.error("A203", tree.span, "an empty entry", hint)
    elif not isinstance(value, str):
        diagnostics.error("A202", tree.span, "not a layer", _number_hint(tree, key))
    elif not tree.quoted and re.match(r"[A-Za-z_]\w*:\S", value):
        name, _, rest = value.partition(":")
        diagnostics.error("A106", tree.span, f'"{value}" reads as one word', f"a space after the colon: {name}: {rest}")
    else:
        return Entry(tree, value, tree.span, None)
    return None


def _number_hint(tree: t.Scalar, key: t.Scalar | None) -> str:
    """What to write where a number stands for a layer: mostly, one has its kind for its name."""
    name = str(key.value) if key is not None else ""
    if re.match(r"[-–—•*·]|\d+[.)]", name):
        return f"write a dash and a space before each entry of a list: - {name.lstrip('-–—•*·0123456789.)').strip()}: {tree.span.text}"
    if (word := re.fullmatch(r"([A-Za-z_]+?)_?\d+", name)) is not None:
        return f"write a layer after its name: {name}: {{{word[1]}: {tree.span.text}}}"
    if name.isidentifier():
        return f"write a layer after a dash, - {name}: {tree.span.text}, or a name: {name}1: {{{name}: {tree.span.text}}}"
    return "a layer's name, as in `relu`, or a mapping, as in `{conv: 64}`"


def looks_like_entry(tree: t.Tree) -> bool:
    """Whether a value is written as an entry would be, and not as an argument."""
    return isinstance(tree, t.Mapping) or (isinstance(tree, t.Scalar) and isinstance(tree.value, str) and not tree.value.startswith("$"))


def _read_mapping(tree: t.Mapping, diagnostics: Diagnostics) -> Entry | None:
    kinds = [(key, value) for key, value in tree.items if key.value not in MODIFIERS]
    if not kinds and tree.broken:
        return None
    if not kinds:
        first = tree.items[0][0] if tree.items else None
        found = "modifiers alone" if first else "an empty mapping"
        hint = f"`{first.value}` goes beside a layer: {{{first.value}: …, conv: 64}}" if first else "add one, as in `conv: {channels: 64}`"
        diagnostics.error("A203", first.span if first else tree.span, f"{found}, but no layer", hint)
        return None
    if len(kinds) > 1:
        tree.entry_memo = _several_kinds(kinds, diagnostics)
        return None
    key, argument = kinds[0]
    entry = Entry(tree, str(key.value), key.span, argument)
    entry.modifiers = {str(k.value): value for k, value in tree.items if k is not key}
    return entry


def _several_kinds(kinds: list[tuple[t.Scalar, t.Tree]], diagnostics: Diagnostics) -> Misnamed | None:
    """Two keys that are no modifiers: one is misspelled, or an argument stands a level too high, or it is a chain."""
    from archc.aliases.entries import arguments_hint, inside_hint, is_kind_key, modifier_hint

    for key, value in kinds:
        if is_kind_key(str(key.value)) and isinstance(value, t.Scalar) and isinstance(value.value, str):
            mistake = Diagnostic("A201", f'unknown modifier "{key.value}"', key.span, "the layer's name is the key: {conv: {channels: 64}}")
            diagnostics.add(mistake)
            return Misnamed(mistake, key)
    for key, _ in kinds:
        hint = modifier_hint(str(key.value), kinds) or did_you_mean(str(key.value), MODIFIERS)
        if hint:
            diagnostics.error("A201", key.span, f'unknown modifier "{key.value}"', hint)
            return None
    first, second = str(kinds[0][0].value), str(kinds[1][0].value)
    value = kinds[1][1]
    if (hint := arguments_hint(kinds)) is not None:
        pass
    elif all(isinstance(kind, t.Scalar) and kind.value is None for _, kind in kinds):
        hint = f"a chain of both is [{first}, {second}]"
    elif all(looks_like_entry(kind) for _, kind in kinds):
        hint = f"a chain of named layers is {{layers: {{{first}: …, {second}: …}}}}; two layers are two entries"
    elif isinstance(value, t.Scalar) and value.value is None:
        hint = "a second layer needs an entry of its own"
    else:
        hint = f"an argument of {first} goes inside it: {inside_hint(kinds)}; a second layer needs an entry of its own"
    diagnostics.error("A203", kinds[1][0].span, f'an entry is one layer, but this one has "{first}" and "{second}"', hint)
    return None
