"""What a YAML parser says, in the words of the person who wrote the text."""

from __future__ import annotations

import re
from typing import Any

from archc.text.diagnostics import Diagnostics
from archc.text.source import Source, Span

# What the parser says, and what a person needs to hear.
_SAID = (
    ("found character '\\t'", "a tab where YAML needs spaces", "indent with spaces"),
    ("cannot start any token", "a character that cannot start a value", "put the value in quotes"),
    ("mapping values are not allowed", "a second colon on one line", "quote the text, or start a new line"),
    ("expected ',' or '}'", "a { that is never closed, or a missing comma", "add the missing , or }"),
    ("expected ',' or ']'", "a [ that is never closed, or a missing comma", "add the missing , or ]"),
    ("expected key", "a line that is indented wrongly, or has no key", "line it up with the keys above"),
    ("expected '-' indicator", "a line in a list without its dash", "start it with `- `, or indent it further"),
    ("could not find expected ':'", "a line without a colon", "write `key: value`, or `- entry` in a list"),
    ("unexpected end of stream", "a quote or bracket that is never closed", "close it"),
    ("expected the node content", "a missing value", "write one"),
    ("expected node content", "a missing value", "write one"),
    ("expected alphabetic or numeric", "an * or & with no name after it", "put the value in quotes"),
    ("unknown escape character", "a backslash before a character that needs no escape", "use single quotes, or write \\\\"),
    ("expected <document start>", "text after the end of the document", "remove the line before it"),
    ("incompatible YAML document", "an unsupported version of YAML", "remove the line"),
    ("found undefined tag handle", "a tag", "tags are not supported: remove it"),
)
# Slips that the parser notices late, or one line further down: pattern, code, message, hint.
_SLIPS = (
    (re.compile(r"[ \t]*(?:- +)?([A-Za-z_]\w*):(?=[\[{\w$\"'])"), "A106", "no space after the colon", "write `{0}: …`"),
    (re.compile(r"[ \t]*-(?=[A-Za-z{\[])(\w*)"), "A101", "no space after the dash", "write `- {0}`"),
)


DEEPEST = 64
LONGEST = 100  # characters around a mistake that are looked at for what was meant
TOO_DEEP = f"nested deeper than {DEEPEST} levels", "name a part as a block"


def report(error: Any, source: Source, diagnostics: Diagnostics) -> None:
    """A parser's error as a diagnostic."""
    problem = error.problem or ""
    if "nesting depth" in problem:  # PyYAML from 6.0.4 on has a limit of its own, which its scanner may meet before ours is
        at = error.problem_mark.index
        diagnostics.error("A103", Span(source, at, at + 1), *TOO_DEEP)
        return
    mark: Any = error.problem_mark or error.context_mark
    if error.context_mark is not None and mark.line != error.context_mark.line and not problem.startswith("did not find expected key"):
        mark = error.context_mark  # where the bracket, quote or word began that has no end
    at = min(mark.index if mark else 0, max(len(source.text) - 1, 0))
    code, start, end, message, hint = _slip(source, at) or ("A101", at, at + 1, *_explain_error(problem, source.text, at))
    diagnostics.error(code, Span(source, start, end), message, hint)


def _slip(source: Source, at: int) -> tuple[str, int, int, str, str] | None:
    """A known slip on the line where the parser stopped, or on the one before."""
    text = source.text
    here = text.rfind("\n", 0, at) + 1
    if text[at] == ":" and not text[at + 1 : at + 2].isspace() and (word := re.search(r"\w+\Z", text[here:at])):
        return "A106", here + word.start(), at + 1, "no space after the colon", f"write `{word[0]}: …`"
    before = text.rfind("\n", 0, max(here - 1, 0)) + 1
    for start in (here, before):
        for pattern, code, message, hint in _SLIPS:
            if found := pattern.match(text, start):
                first = found.start(1) if code == "A106" else found.end() - len(found[1]) - 1
                return code, first, found.end(), message, hint.format(found[1])
    return None


def _default(text: str, start: int, at: int) -> tuple[str, str] | None:
    """A default of a parameter that is a list or mapping, within brackets: `{sizes: list = [1, 2]}`."""
    found = re.search(r"([A-Za-z_]\w*)[ \t]*:[ \t]*([A-Za-z]+[ \t]*=)[ \t]*\Z", text[start:at])
    if found is None or text[at : at + 1] not in ("[", "{"):
        return None
    close = text.find("]" if text[at] == "[" else "}", at, at + LONGEST)
    value = text[at : close + 1] if close > 0 and "\n" not in text[at:close] else f"{text[at]}…"
    return "a default without quotes", f'within brackets, a default that is a list needs quotes: {found[1]}: "{found[2]} {value}"'


def _explain_error(problem: str, text: str, at: int) -> tuple[str, str | None]:
    """Message and hint."""
    line_start = text.rfind("\n", 0, at) + 1
    if text[at : at + 1] == "\t":
        problem = "found character '\\t'"
    elif text[line_start:at].rstrip("{").endswith("$") or "${" in text[line_start : at + 2]:
        return "an expression without quotes", 'inside { } or [ ] an expression needs quotes: "${…}"'
    elif (said := _default(text, max(line_start, at - LONGEST), at)) is not None:
        return said
    elif text[at : at + 1] in ("}", "]"):
        return f"a {text[at]} that closes nothing", "remove it, or open it"
    elif at and text[at - 1] in "'\"" and text[at].isalnum():
        return "text after a closing quote", "write a quote inside quotes twice, or use the other kind around it"
    if "expected key" in problem and (entry := _dash_hint(text, line_start)):
        return "a dash among named entries", f"a chain is a list or a mapping: name it, as in `name: {entry}`"
    for words, message, hint in _SAID:
        if words in problem:
            return message, hint
    return f"not YAML: {problem or 'the text cannot be read'}", None


def _dash_hint(text: str, line_start: int) -> str | None:
    """The entry of a line that begins with a dash, below a key of the same indentation."""
    dash = re.match(r"( *)- +([^\n#]{1,40})", text[line_start:])
    before = text[:line_start].rstrip().rpartition("\n")[2]
    return dash[2].strip() if dash and re.match(rf"{dash[1]}\w+:", before) else None
