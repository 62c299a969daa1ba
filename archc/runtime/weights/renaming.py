"""Rules that rename tensors, written as sed writes them: `s/pattern/replacement/flags`."""

from __future__ import annotations

import re
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from archc.errors import ArchcError
from archc.text.diagnostics import printable
from archc.text.quantity import counted

LONGEST = 2.0  # seconds of processor time for a rule and all names; a pattern such as (a+)+b would take years
MOST = 500  # characters of a rule, and of a name that one is applied to
_WINDOW = 70  # characters of a rule that an error shows
_FORM = "write s/pattern/replacement/"


class WeightsError(ArchcError):
    """Weights that cannot be read, do not fit, or cannot be written. Its text is complete."""


class RenameError(WeightsError):
    """A rule that cannot be read, or that makes one name of two."""


@dataclass(frozen=True, slots=True)
class RenameRule:
    """One rule. `template` is the replacement as Python's `re` writes it; `count` is 1, or 0 for every match."""

    text: str
    pattern: re.Pattern[str]
    template: str
    count: int

    def __call__(self, name: str) -> str:
        return self.pattern.sub(self.template, name, self.count)


def parse_rule(text: str) -> RenameRule:
    r"""A rule from its text; RenameError tells where it is wrong.

    The pattern is Python's `re`. In the replacement `\\1` to `\\9` are groups, `&` and `\\0` the match, `\\&` an ampersand,
    `\\g<name>` a named group. Any character but a backslash delimits, and after a backslash is itself.
    Flags: g, every match and not the first alone; i, without regard to case.
    """
    if len(text) > MOST:
        raise RenameError(f"a rule of {len(text):,} characters, more than the {MOST} that are read")
    if text[:1] != "s" or len(text) < 2 or text[1] in "\\\n":
        raise _wrong(text, 0 if text[:1] != "s" else 1, "not a rule", _FORM)
    delimiter = text[1]
    middle = _end(text, 2, delimiter, "the pattern")
    end = _end(text, middle + 1, delimiter, "the replacement")
    flags = _flags(text, end + 1)
    pattern = _pattern(text, middle, re.IGNORECASE if "i" in flags else re.NOFLAG)
    return RenameRule(text, pattern, _template(text, middle + 1, end, pattern), 0 if "g" in flags else 1)


def rename_tensors(names: Iterable[str], rules: Sequence[RenameRule]) -> tuple[dict[str, str], list[RenameRule]]:
    """The new name of each name, after all rules in their order; and the rules that changed nothing.

    RenameError where two names become one, or one becomes empty.
    """
    new = {name: name for name in names}
    idle = []
    for rule in rules:
        try:
            with within(LONGEST):
                after = {name: _apply_rule(step, rule) for name, step in new.items()}
        except TooLong:
            hint = "a pattern such as (a+)+ tries too many ways: repeat what is simple, as in [^.]+ or \\d+"
            raise RenameError(
                f"the rule {shown(rule.text)} takes longer than {LONGEST:g} s of work on {counted(len(new), 'name')}; {hint}"
            ) from None
        idle += [rule] if after == new else []
        new = after
    _require_distinct(new)
    return new, idle


def shown(name: str, most: int = 60) -> str:
    """A stranger's name, printable and short: its middle is left out."""
    if len(name) > 4 * most:
        name = name[: 2 * most] + name[-2 * most :]
    plain = printable(name)
    return plain if len(plain) <= most else plain[: most // 2] + "…" + plain[len(plain) - most + most // 2 + 1 :]


def _apply_rule(name: str, rule: RenameRule) -> str:
    if len(name) > MOST:
        raise RenameError(f'"{shown(name)}" has {len(name):,} characters: rules are applied to at most {MOST}')
    new = rule(name)
    if not new:
        raise RenameError(f'nothing is left of "{shown(name)}" after {shown(rule.text)}')
    return new


def _require_distinct(new: dict[str, str]) -> None:
    origin: dict[str, str] = {}
    for name, after in new.items():
        if after in origin:
            raise RenameError(f'two names become one: "{shown(origin[after])}" and "{shown(name)}" would both be "{shown(after)}"')
        origin[after] = name


def _end(text: str, start: int, delimiter: str, part: str) -> int:
    """The place of the delimiter that ends a part."""
    at = start
    while at < len(text) and text[at] != delimiter:
        at += 2 if text[at] == "\\" else 1
    if at >= len(text):
        raise _wrong(text, len(text), f'{part} has no "{printable(delimiter)}" at its end', _FORM.replace("/", printable(delimiter)))
    return at


def _flags(text: str, start: int) -> str:
    for at in range(start, len(text)):
        if text[at] not in "giI":
            raise _wrong(
                text, at, f'there is no flag "{printable(text[at])}"', f'g is every match, i any case; "{text[1]}" inside is "\\{text[1]}"'
            )
    return text[start:].lower()


def _pattern(text: str, end: int, flags: re.RegexFlag) -> re.Pattern[str]:
    """The text's pattern compiled; `places` leads from its characters back to those of the rule."""
    delimiter, out, places = text[1], "", [2]
    at = 2
    while at < end:
        size = 2 if text[at] == "\\" else 1
        here = text[at : at + size]
        here = re.escape(delimiter) if here == "\\" + delimiter else here
        out, places, at = out + here, [*places[:-1], *[at] * len(here), at + size], at + size
    if not out:
        raise _wrong(text, 2, "the pattern is empty", "^ matches the start of a name, $ its end")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(out, flags)
    except re.error as error:
        raise _wrong(text, places[min(error.pos or 0, len(places) - 1)], f"the pattern cannot be read: {error.msg}") from None
    except (OverflowError, RecursionError) as error:
        raise _wrong(text, 2, f"the pattern cannot be read: {error}") from None


def _template(text: str, start: int, end: int, pattern: re.Pattern[str]) -> str:
    """The replacement in Python's syntax. Each part is tried alone, so that an error has its place."""
    out, at = "", start
    while at < end:
        size = 1
        if text[at] == "\\":
            size = text.index(">", at, end) + 1 - at if text.startswith("\\g<", at) and ">" in text[at:end] else 2
        part = _part(text[at : at + size], text[1])
        try:
            pattern.sub(part, "")
        except (re.error, IndexError) as error:
            problem = error.msg if isinstance(error, re.error) else str(error)
            raise _wrong(text, at, f"the replacement cannot be read: {problem}", r"\1 is a group, & the match, \\ a backslash") from None
        out, at = out + part, at + size
    return out


def _part(part: str, delimiter: str) -> str:
    if part in ("\\" + delimiter, r"\&"):
        return part[1] if part[1] != "\\" else part
    if part == "&":
        return r"\g<0>"
    if len(part) == 2 and part[1] in "0123456789":
        return rf"\g<{part[1]}>"
    return part


def _wrong(text: str, at: int, message: str, hint: str = "") -> RenameError:
    """The message, the rule, and a marker under the place."""
    start = max(0, at - _WINDOW // 2)
    before, after = printable(text[start:at]), printable(text[at : start + _WINDOW])
    marker = " " * len(before) + "^"
    lines = [message, f"  {before}{after}", f"  {marker}"]
    return RenameError("\n".join([*lines, *([f"  {hint}"] if hint else [])]))


class TooLong(Exception):
    """The time was over."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Processor time for what happens inside; TooLong ends it, also in the midst of a regular expression, which looks for signals.

    Only the main thread of a system with timers is bounded: elsewhere there are no signals, and whoever calls bounds the work.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
