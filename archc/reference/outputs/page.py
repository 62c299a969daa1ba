"""docs/json.md: the output of each command as tables, from the same dataclasses as the schema."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from archc.reference.outputs.schema import OUTPUTS, dataclasses_in, key, meanings

_HEAD = """\
# JSON

Every command's `--format json` prints one object, with a list for everything of which there may be several: a program reads the
output for one spec in the same way as for a hundred. Keys stay; new ones may be added ([stability.md](stability.md)).
`archc schema --of COMMAND` prints the JSON Schema of what a command prints; its `$id` and `version` change only if a key is removed or
changes its meaning.

A wrong spec is reported on standard error and left out of the list; the exit status is then 2.

`--format csv` prints one table, whose column names are unique. A table of several specs has a column `spec`: for `analyze`, the
spec as it was named.

A key marked with ? is present only if it applies.
"""
_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", NoneType: "null"}


def json_markdown() -> str:
    """The page."""
    commands: dict[tuple[type[Any], ...], list[str]] = {}
    for command, outputs in OUTPUTS.items():
        commands.setdefault(outputs, []).append(command)
    sections = [_HEAD]
    seen: set[type[Any]] = set()
    for outputs, names in commands.items():
        sections.append("## " + ", ".join(f"archc {name}" for name in names) + "\n")
        for output in outputs:
            for type_ in dataclasses_in(output):
                if type_ not in seen:
                    seen.add(type_)
                    sections.append(_table(type_, type_ is output))
    return "\n".join(sections)


def _table(output: type[Any], top: bool) -> str:
    hints, texts = get_type_hints(output), meanings(output)
    optional = {name for name in hints if hasattr(output, name)}
    rows = [
        f"| `{key(name)}`{' ?' * (name in optional)} | {_words(hint, name in optional)} | {texts[name]} |" for name, hint in hints.items()
    ]
    doc = " ".join((output.__doc__ or "").split())
    head = doc if top else f"**{_name(output)}.** {doc}"
    return "\n".join([head, "", "| key | value | |", "|---|---|---|", *rows, ""])


def _name(output: type[Any]) -> str:
    """`AnalyzedLayer` as `analyzed layer`."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in output.__name__)
    return spaced.strip().removesuffix(" output")


def _words(hint: Any, optional: bool) -> str:
    """A type, in words."""
    if hint in _WORDS:
        return _WORDS[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is list:
        return f"list of {_plural(_words(inner[0], False))}"
    if origin is dict:
        return f"names to {_words(inner[1], False)}"
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in inner)
    if origin in (Union, UnionType):
        return " or ".join(_words(part, False) for part in inner if not (optional and part is NoneType))
    return _name(hint)


def _plural(words: str) -> str:
    """Several of what words name; of a choice, each."""
    several = [text if text in ("null", "true or false") or text.startswith("list") else f"{text}s" for text in words.split(" or ")]
    return " or ".join(several)
