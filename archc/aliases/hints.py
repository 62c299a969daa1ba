"""Hints for words of other frameworks, in the form that their reader would type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from archc.aliases.rewriting import Known, Params, Rewritten, entry_text, find_argument, next_entry, parse_call, rewrite, rewrite_call
from archc.aliases.table import Absent, Alias, Note, beginning, find_layer, fold, table
from archc.aliases.values import CONVERSIONS, as_written
from archc.text import tree as t

SHORT = 4  # letters of a word of another framework to which nothing is near
NEAR, NEAR_ELSEWHERE = 0.75, 0.85  # how alike a misspelled name must be to one of archc's, and to one of another framework's
LONGEST = 40
MOST_NAMES, MOST_TYPED = 6, 120

PLUGIN = "a plugin can add one: docs/develop/writing-an-operator.md"
_ABSENT = {
    "recurrent": f"archc has no recurrent layers but rnn, gru and lstm, which take `bidirectional: true`; {PLUGIN}",
    "layer": f"archc has no such layer; {PLUGIN}",
    "block": "archc has no such block; `blocks` in the spec can define it: docs/language.md",
}


@dataclass(frozen=True, slots=True)
class Where:
    """Where an entry stands: under a name, in a list, or in neither, as a branch does; with modifiers beside it or without."""

    key: str | None = None
    listed: bool = False
    modifiers: Mapping[str, str] | None = None


def layer_hint(word: str, argument: t.Tree | None, known: Known, where: Where) -> str | None:
    """What to write for a layer under a name that archc does not have. None where the name is known of no framework."""
    call = parse_call(word)
    if call is not None:
        return _call_hint(*call, known, where)
    if (hint := _typed_hint(word, argument, known, where)) is not None:
        return hint
    layer = find_layer(word, known.kinds)
    if layer is None:
        return None
    if isinstance(layer, Absent):
        return _ABSENT[layer.sort]
    if isinstance(layer, Note):
        return layer.say
    if isinstance(layer, Alias) and layer.kind in table().two_inputs and (where.modifiers or {}).get("from", "").count(",") == 1:
        return table().two_inputs[layer.kind]
    made = rewrite(word, layer, argument, known)
    if isinstance(layer, Alias) and layer.shown and "from" in (where.modifiers or {}):
        made = Rewritten(f"{{{layer.kind}: }}")
    return _drawn(made, where) if made is not None else "an activation has its own name, as in `relu`"


def name_hint(word: str, known: Known) -> str | None:
    """What a name alone means, where no arguments of a layer stand."""
    layer = find_layer(word, known.kinds)
    return f"here it is called `{layer.kind}`" if isinstance(layer, Alias) else None


def describe_layer(word: str, known: Known) -> tuple[str, str] | None:
    """The layer that a name of another framework means, and a sentence on how it is called and written here. None where it means none."""
    if (call := parse_call(word)) is not None:
        return _describe_call(word, *call, known)
    layer = find_layer(word, known.kinds)
    made = rewrite(word, layer, None, known) if isinstance(layer, Alias) else None
    if not isinstance(layer, Alias) or made is None:
        return None
    written = ", then ".join([made.text, *made.after])
    parts = [f"{word} is written {written} here" if layer.fixed or layer.shown or layer.then else f"{word} is called {layer.kind} here"]
    params = known.params(layer.kind)
    means = {name: find_argument(layer.kind, name, params, own=True) for name in table().positions.get(word.rpartition(".")[2], ())}
    renamed = [f"{name} is {says.argument}" for name, says in means.items() if says.argument not in ("", name) and not says.by]
    inferred = [f"{name} is inferred" for name, says in means.items() if says.inferred]
    return layer.kind, "; ".join(filter(None, [*parts, *made.notes, ", ".join([*renamed, *inferred])])) + "."


def _describe_call(word: str, name: str, given: list[tuple[str, str]], known: Known) -> tuple[str, str] | None:
    layer = Alias(name) if name in known.kinds else find_layer(name, known.kinds)
    if not isinstance(layer, Alias) or layer.shown:
        return describe_layer(name, known) if isinstance(layer, Alias) else None
    made = rewrite_call(name, layer, given, known)
    if made.instead:
        return layer.kind, f"{word} cannot be written so here: {made.instead}."
    return layer.kind, "; ".join([f"{word} is written {', then '.join([made.text, *made.after])} here", *made.notes]) + "."


def explain_word(word: str, known: Known) -> str | None:
    """What a name that is no layer's means: of a layer that is not there, of what is no layer here, of an argument."""
    call = parse_call(word)
    word = call[0] if call is not None else word
    layer = find_layer(word, known.kinds)
    if isinstance(layer, Absent):
        return _ABSENT[layer.sort]
    if isinstance(layer, Note):
        return layer.say
    having: dict[str, list[str]] = {}
    for kind in known.kinds if fold(word) in table().arguments or word in table().names else ():
        says = find_argument(kind, word, known.params(kind))
        if says.argument:
            having.setdefault(says.argument, []).append(kind)
    meant = [f"`{argument}` of {', '.join(kinds[:4])}{' …' if len(kinds) > 4 else ''}" for argument, kinds in having.items()]
    if meant:
        return f"an argument of that name is here {', '.join(meant[:4])}"
    return "archc infers it from the input" if fold(word) in table().inferred else None


def _call_hint(name: str, given: list[tuple[str, str]], known: Known, where: Where) -> str | None:
    """A call in Python's form."""
    layer = Alias(name) if name in known.kinds else find_layer(name, known.kinds)
    if isinstance(layer, Alias) and not layer.shown:
        return _drawn(rewrite_call(name, layer, given, known), where)
    return f"arguments follow a colon: {{{name}: …}}" if layer is None else layer_hint(name, None, known, where)


def _typed_hint(word: str, argument: t.Tree | None, known: Known, where: Where) -> str | None:
    """A name with more typed into it: `conv 64`, `conv = 64`, `conv[64]`, `c1 = conv(64)`, `conv, relu`, `relu,`, `conv channels`."""
    text = word.strip().rstrip(",;") if len(word) <= MOST_TYPED else ""
    bare = argument is None or (isinstance(argument, t.Scalar) and argument.value is None)
    if (names := re.split(r"\s*(?:,|;|->|\|)\s*", text))[1:] and bare and len(names) <= MOST_NAMES and set(names) <= set(known.kinds):
        return f"write {_entries(names[0], names[1:], where)}"
    if (pair := re.fullmatch(r"([A-Za-z_][\w.]*)\s*=\s*(.+)", text)) and parse_call(pair[2]) is not None:
        return layer_hint(pair[2], argument, known, where)
    if pair := re.fullmatch(r"([A-Za-z_][\w.]*)(?:\s*=\s*|\s+|\[)(\d[\d., x]*)\]?", text):
        is_call = bare and find_layer(pair[1], known.kinds) is not None
        return (
            _call_hint(pair[1], [("", number) for number in re.split(r"\s*,\s*|\s+", pair[2].strip())], known, where) if is_call else None
        )
    if (pair := re.fullmatch(r"(\w+)\s+(\w+)", text)) and pair[2] in known.params(pair[1]) and argument is not None and not bare:
        return _drawn(rewrite_call(pair[1], Alias(pair[1]), [(pair[2], argument.span.text)], known), where)
    return layer_hint(text, argument, known, where) if text not in ("", word) else None


def _drawn(made: Rewritten, where: Where) -> str:
    """The remedy in the form in which the entry was written."""
    if made.instead:
        return made.instead
    notes = f" ({'; '.join(made.notes[:3])})" if made.notes else ""
    if not made.after:
        return f"write {_with_modifiers(made.text, where)}{notes}"
    return f"write {_entries(made.text, made.after, where)}{notes}"


def _entries(first: str, after: Sequence[str], where: Where) -> str:
    """Several entries in place of one."""
    if where.modifiers:
        return _with_modifiers(f"{{layers: [{', '.join([first, *after])}]}}", where)
    many = {2: "two", 3: "three"}.get(1 + len(after), "several")
    if where.listed:
        return f"{many} entries, " + " and ".join(f"- {line}" for line in [first, *after])
    if where.key is not None and where.key.isidentifier():
        return f"{many} entries, " + " and ".join([f"{where.key}: {first}", *(_name_entry(where.key, entry) for entry in after)])
    return f"a chain: [{', '.join([first, *after])}]"


def _name_entry(key: str, text: str) -> str:
    kind = text.strip("{").partition(":")[0]
    return f"{key}_{kind}: {text}"


def _with_modifiers(text: str, where: Where) -> str:
    """An entry with the modifiers that stand beside it."""
    if not where.modifiers:
        return text
    beside = ", ".join(f"{name}: {as_written(value) or '…'}" for name, value in where.modifiers.items())
    return f"{{{beside}, {text[1:]}" if text.startswith("{") else f"{{{beside}, {text}: }}"


def argument_hint(kind: str, name: str, value: t.Tree, given: Sequence[str], known: Known, where: Where) -> str | None:
    """What to write for an argument that a layer of archc has not. None where the word is known of no framework."""
    params = known.params(kind)
    says = find_argument(kind, name, params)
    text = as_written(value.span.text)
    if says.argument:
        return _rename_argument(name, says.argument, says.by, text, given)
    if says.inferred:
        return "inferred from the input: leave it out"
    if says.next is not None:
        return _next_hint(says.next, text, known, where)
    return says.say or None


def _rename_argument(name: str, argument: str, by: str, text: str | None, given: Sequence[str]) -> str:
    if argument in given:
        return f"that is `{argument}`, which stands here already: leave it out"
    batch = by in ("without_batch", "concat_axis")
    if name.endswith(("_h", "_w")) and text is not None and argument in ("kernel", "stride", "padding", "dilation"):
        return f"write {argument}: {f'[{text}, …]' if name.endswith('_h') else f'[…, {text}]'}, the height and the width"
    converted = CONVERSIONS[by](text, name) if by and text is not None else text
    if argument == "padding" and converted is not None:
        converted = _padding(converted, given)
    if converted is None:
        return f"here it is called `{argument}`" + (", and does not count the batch's axis" if batch else "")
    return f"write {argument}: {converted}" + (" (without the batch's axis)" if batch and converted != text else "")


def _padding(text: str, given: Sequence[str]) -> str:
    """A padding in other words; darknet's `pad: 1` beside `size` is half a window."""
    word = text.strip("'\"").lower()
    if word in ("same", "valid"):
        return "same_upper" if word == "same" else "0"
    return "same" if text == "1" and "size" in given else text


def value_hint(kind: str, argument: str, value: object, accepts: Callable[[object], bool]) -> str | None:
    """What to write for a value that an argument does not take. None where nothing is known of it."""
    known = table()
    meant = known.values.get((argument, fold(value))) if isinstance(value, str) else None
    if meant is not None and accepts(int(meant) if meant.isdigit() else meant):
        return f"write {meant}"
    said = known.no_values.get((argument, fold(value))) if isinstance(value, str) else None
    return said or (known.typed.get((kind, argument)) if meant is not None or not isinstance(value, str) else None)


def example(kind: str, given: Mapping[str, str], missing: Sequence[str], params: Params) -> str:
    """An entry with usual values of the arguments that it lacks, of which there is none that all networks would have."""
    usual = table().examples
    values = {name: as_written(text) or "…" for name, text in given.items()}
    values |= {name: usual.get((kind, name)) or usual.get(("", name), "…") for name in missing}
    text = entry_text(kind, values, params)
    return text if "…" in text else f"as in {text}"


def _next_hint(kind: str, text: str | None, known: Known, where: Where) -> str:
    """What is an entry of its own here: an activation, a normalization, a dropout."""
    what = kind or "an activation"
    entry = next_entry(kind, text, known)
    if entry == "":
        return f"{what} is an entry of its own: leave this out"
    entry = entry or (f"{{{kind}: …}}" if kind in ("dropout", "maxpool") else kind or "relu")
    if where.modifiers or not (where.listed or where.key):
        return f"{what} is an entry of its own: a chain is [{{…}}, {entry}]"
    drawn = f"- {entry}" if where.listed else _name_entry(where.key, entry) if where.key and where.key.isidentifier() else entry
    return f"{what} is an entry of its own, the next: {drawn}"


def near_kind(word: str, known: Known, elsewhere: bool = True) -> str | None:
    """A misspelled name: the nearest of archc's layers, or (`elsewhere`) of another framework's, if both begin alike."""
    folded = fold(word)[:LONGEST]
    own = {fold(kind): kind for kind in known.kinds}
    best, score = "", 0.0
    matcher = SequenceMatcher(None, "", folded)
    for entry in (*own, *(beginning(folded[:1]) if elsewhere else ())):
        least = NEAR if entry in own else NEAR_ELSEWHERE
        if not _comparable(folded, entry) or (entry not in own and len(entry) <= SHORT):
            continue
        matcher.set_seq1(entry)
        if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= least and (ratio := matcher.ratio()) >= least and ratio > score:
            best, score = entry, ratio
    if not best:
        return None
    if best in own:
        return f'did you mean "{own[best]}"?'
    layer = table().layers[best]
    if isinstance(layer, Alias):
        return f"here it is called `{layer.kind}`" if not layer.fixed and not layer.shown else None
    return _ABSENT[layer.sort] if isinstance(layer, Absent) else layer.say if isinstance(layer, Note) else None


def _comparable(wrong: str, right: str) -> bool:
    """Whether one may be a slip of the other: of nearly its length, and with its first letter or all of its letters."""
    near = bool(wrong and right) and abs(len(wrong) - len(right)) <= 2
    return near and (wrong[0] == right[0] or (len(wrong) == len(right) and sorted(wrong) == sorted(right)))


def near_argument(name: str, params: Params) -> str | None:
    """A misspelled argument."""
    folded = fold(name)[:LONGEST]
    ratios = {param: SequenceMatcher(None, folded, fold(param)).ratio() for param in params if _comparable(folded, fold(param))}
    best = max(ratios, key=lambda param: ratios[param], default=None)
    return f'did you mean "{best}"?' if best is not None and ratios[best] >= NEAR else None
