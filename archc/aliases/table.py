"""The table of aliases, read from table.yaml when the first mistake asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.source import Source

LONGEST = 200  # characters of a word that are looked at


@dataclass(frozen=True, slots=True)
class Alias:
    """A layer of archc under another name: what makes it the same layer, what follows it, what its reader should know."""

    kind: str
    fixed: Mapping[str, str] = field(default_factory=dict)
    then: str = ""
    note: str = ""
    shown: str = ""  # the whole remedy, where arguments do not tell it
    arguments: Mapping[str, str] = field(default_factory=dict)  # words that mean another argument here than in archc


@dataclass(frozen=True, slots=True)
class Chosen:
    """A name under which an argument chooses the layer."""

    by: tuple[str, ...]
    cases: Mapping[str, str]
    fixed: Mapping[str, str]
    unless: tuple[str, ...]
    everywhere: tuple[str, ...]  # arguments that make it global


@dataclass(frozen=True, slots=True)
class Absent:
    """A layer that archc has not: `recurrent`, another `layer`, or a `block`, which the language can express."""

    sort: str


@dataclass(frozen=True, slots=True)
class Note:
    """What is no layer here, and what to write instead."""

    say: str


@dataclass(frozen=True, slots=True)
class Converted:
    """An argument whose value is written in another way, by a function of archc/aliases/values.py."""

    argument: str
    by: str


@dataclass(frozen=True, slots=True)
class ChoiceArgument:
    """Words for an argument of one choice of a recipe, or of any that has the argument `needs`."""

    of: str
    needs: str
    words: frozenset[str]
    say: str


Layer = Alias | Chosen | Absent | Note


@dataclass(frozen=True, slots=True)
class AliasTable:
    """All that the file says, by folded words."""

    layers: Mapping[str, Layer]
    positions: Mapping[str, tuple[str, ...]]
    alone: Mapping[str, str]
    arguments: Mapping[str, tuple[str, ...]]  # a word to the arguments that it may be
    mains: Mapping[str, str]
    names: frozenset[str]  # the arguments themselves
    of: Mapping[tuple[str, str], str]  # a layer and a word to its argument
    converted: Mapping[tuple[str, str], Converted]
    inferred: frozenset[str]
    channels_inferred: frozenset[str]  # of layers that keep the channels:
    keeping: frozenset[str]
    conversions: Mapping[tuple[str, str], str]  # a layer and its argument to a function of archc/aliases/values.py
    layout: frozenset[str]
    elsewhere: Mapping[str, str]
    told: Mapping[tuple[str, str], str]  # a layer and a word to a sentence
    next: Mapping[str, str]
    none: frozenset[str]
    values: Mapping[tuple[str, str], str]
    no_values: Mapping[tuple[str, str], str]  # an argument and a value to a sentence
    typed: Mapping[tuple[str, str], str]  # a layer and its argument to a sentence on what it takes
    examples: Mapping[tuple[str, str], str]  # a layer, or none, and an argument that it must have to a usual value
    modifiers: Mapping[str, str]
    keys: Mapping[str, str]
    top: Mapping[str, str]  # words for what stands elsewhere than at the top of a spec
    two_inputs: Mapping[str, str]
    initializers: Mapping[str, str]
    told_initializers: Mapping[str, str]
    choices: Mapping[str, Mapping[str, str]]  # a table of a recipe to words and names
    choice_arguments: tuple[ChoiceArgument, ...]
    settings: Mapping[str, str]
    losses: frozenset[str]


@lru_cache(4096)
def fold(word: str) -> str:
    """A name without what people write differently: case, `_`, `-`, blanks, and the modules before its last dot."""
    return re.sub(r"[\s_-]", "", word[:LONGEST].rstrip(".").rpartition(".")[2]).lower()


def shorten(folded: str) -> str:
    """A folded name without a final 1d, 2d, 3d or `layer`, and without `lazy` before it."""
    return re.sub(r"([123]d|layer)$", "", folded.removeprefix("lazy")) or folded


def find_layer(word: str, kinds: Iterable[str]) -> Layer | None:
    """What a layer's name means that is none of `kinds`, the layers that there are. The name itself is never spelled anew here."""
    known, folded = table().layers, fold(word)
    own = {fold(kind): kind for kind in kinds}
    for name in dict.fromkeys((folded, shorten(folded))):
        if name in known:
            return known[name]
        if name in own:
            return Alias(own[name])
    return _loss(folded)


def _loss(folded: str) -> Note | None:
    """A loss, which is no layer."""
    known = table()
    for word in dict.fromkeys((folded, folded.removesuffix("loss"), shorten(folded))):
        name = {fold(choice): choice for choice in known.choices["loss"].values()}.get(word) or known.choices["loss"].get(word)
        if name is not None:
            return Note(f"a loss is no layer; training has it: train: {{loss: {name}}}")
    if shorten(folded).endswith("loss") or folded in known.losses:
        return Note("a loss is no layer; `archc docs --recipe` lists those of training")
    return None


@cache
def beginning(letter: str) -> tuple[str, ...]:
    """The layers' folded names of other frameworks that begin with a letter."""
    return tuple(word for word in table().layers if word.startswith(letter))


@cache
def table() -> AliasTable:
    """The table, read once."""
    path = Path(__file__).with_name("table.yaml")
    diagnostics = Diagnostics()
    tree = t.parse(Source(path.name, path.read_text(encoding="utf-8")), diagnostics)
    assert tree is not None and not list(diagnostics), [str(diagnostic.span) for diagnostic in diagnostics]
    data = _plain(tree)
    return AliasTable(
        layers=_layers(data),
        positions={name: tuple(_words(order)) for names, order in data["positions"].items() for name in names.split()},
        alone={kind: name for name, kinds in data["alone"].items() for kind in kinds.split()},
        arguments=_arguments(data["arguments"]),
        mains={kind: name for name, kinds in data["mains"].items() for kind in _words(kinds)},
        names=frozenset(data["arguments"]),
        of={(kind, word): name for kind, names in data["of"].items() for word, name in _by_word(names).items()},
        converted={
            (kind, fold(term)): Converted(item["to"], item["by"])
            for item in data["converted"]
            for kind in item["of"].split()
            for term in _words(item["words"])
        },
        inferred=_fold(data["inferred"]),
        channels_inferred=_fold(data["channels_inferred"]),
        keeping=frozenset(_words(data["keeping"])),
        conversions={(kind, item["argument"]): item["by"] for item in data["conversions"] for kind in item["of"].split()},
        layout=_fold(data["layout"]),
        elsewhere=_said(data["elsewhere"]),
        told={(kind, fold(word)): item["say"] for item in data["told"] for kind in item["of"].split() for word in _words(item["words"])},
        next=_by_word(data["next"]),
        none=_fold(data["none"]),
        values={(name, word): value for name, values in data["values"].items() for word, value in _by_word(values).items()},
        no_values={
            (name, fold(word)): item["say"] for item in data["no_values"] for name in item["of"].split() for word in _words(item["words"])
        },
        typed={(kind, argument): item["say"] for item in data["typed"] for kind, argument in [item["of"].split()]},
        examples={(item.get("of", ""), name): str(value) for item in data["examples"] for name, value in item.items() if name != "of"},
        modifiers=_by_word(data["modifiers"]),
        keys=_by_word(data["keys"]),
        top=_said(data["top"]),
        two_inputs=data["two_inputs"],
        initializers=_by_word(data["initializers"]),
        told_initializers=_said(data["told_initializers"]),
        choices={what: _by_word(names) for what, names in data["choices"].items()},
        choice_arguments=tuple(
            ChoiceArgument(row.get("of", ""), row.get("needs", ""), _fold(row["words"]), row["say"]) for row in data["choice_arguments"]
        ),
        losses=_fold(data["losses"]),
        settings=_said(data["settings"]),
    )


def _layers(data: Mapping[str, Any]) -> dict[str, Layer]:
    found: dict[str, Layer] = {}
    for kind, said in data["layers"].items():
        for item in said if isinstance(said, list) else [said]:
            item = {"words": item} if isinstance(item, str) else item
            fixed = {name: _text(value) for name, value in item.get("with", {}).items()}
            alias = Alias(kind, fixed, item.get("then", ""), item.get("note", ""), item.get("shown", ""), item.get("arguments", {}))
            _put(found, _words(item["words"]), alias)
    for name, item in data["chosen"].items():
        fixed = {argument: _text(value) for argument, value in item.get("with", {}).items()}
        unless, everywhere = _words(item.get("unless", "")), _words(item.get("global", ""))
        _put(found, [name], Chosen(tuple(_words(item["by"])), _by_word(item["cases"]), fixed, tuple(unless), tuple(everywhere)))
    for sort, words in data["absent"].items():
        _put(found, _words(words), Absent(sort))
    for item in data["notes"]:
        _put(found, _words(item["words"]), Note(item["say"]))
    return found


def _put(found: dict[str, Layer], words: Iterable[str], layer: Layer) -> None:
    for word in words:
        assert found.get(fold(word), layer) == layer, f"{word} stands twice in the table of aliases"
        found[fold(word)] = layer


def _arguments(said: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, words in said.items():
        for word in _words(words):
            found.setdefault(fold(word), []).append(name)
    return {word: tuple(names) for word, names in found.items()}


def _by_word(said: Mapping[str, Any]) -> dict[str, str]:
    """Names with the words of each, as words with the name of each."""
    return {fold(word): name for name, words in said.items() for word in _words(words)}


def _said(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Sentences with the words of each, as words with the sentence of each."""
    return {fold(word): item["say"] for item in items for word in _words(item["words"])}


def _words(said: Any) -> list[str]:
    return str(said).split()


def _fold(said: str) -> frozenset[str]:
    return frozenset(map(fold, _words(said)))


def _text(value: Any) -> str:
    """A value as it is written."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) and value.startswith("$") else str(value)


def _plain(tree: t.Tree) -> Any:
    if isinstance(tree, t.Mapping):
        return {str(key.value): _plain(value) for key, value in tree.items}
    if isinstance(tree, t.Sequence):
        return [_plain(item) for item in tree.items]
    assert isinstance(tree, t.Scalar)
    return tree.value
