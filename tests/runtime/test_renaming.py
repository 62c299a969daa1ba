"""Rules that rename: against `re.sub` and against sed itself, and every mistake with its place."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from archc.runtime.weights.renaming import MOST, RenameError, parse_rule, rename_tensors

NAMES = st.text("abAB01._", min_size=1, max_size=12)
# Patterns without a delimiter, an empty alternative or a match of nothing, in which sed -E and Python agree.
ATOMS = st.sampled_from(["a", "b", "A", "0", r"\.", "_", "[ab]", "[0-9]", ".", "(a)", "(b|0)", "a+", "(ab)", "[^.]"])
PATTERNS = st.builds(lambda start, atoms, end: start + "".join(atoms) + end, st.sampled_from(["", "^"]),
                     st.lists(ATOMS, min_size=1, max_size=4), st.sampled_from(["", "$"]))  # fmt: skip
LITERALS = st.text("abX01._", max_size=5)


@given(PATTERNS, LITERALS, NAMES, st.sampled_from("/|,#:!"), st.sampled_from(["", "g", "i", "gi", "ig", "I"]))
def test_as_re_sub(pattern: str, replacement: str, name: str, delimiter: str, flags: str) -> None:
    """Escaping the delimiter and reading it again changes nothing."""
    written = pattern.replace(delimiter, "\\" + delimiter)
    rule = parse_rule(f"s{delimiter}{written}{delimiter}{replacement}{delimiter}{flags}")
    if delimiter == "|" and "|" in pattern:
        pattern = pattern.replace("|", r"\|")  # escaped, it stands for itself
    count, ignore = (0 if "g" in flags else 1), re.IGNORECASE if "i" in flags.lower() else 0
    assert rule(name) == re.sub(pattern, replacement, name, count=count, flags=ignore)


@given(PATTERNS, st.lists(st.sampled_from(["&", "x", ".", r"\&", r"\0", r"\/", r"\\"]), max_size=4), NAMES)
def test_parts_of_the_match(pattern: str, parts: list[str], name: str) -> None:
    rule = parse_rule(f"s/{pattern}/{''.join(parts)}/g")

    def replaced(match: re.Match[str]) -> str:
        return "".join(match[0] if part in ("&", r"\0") else part[-1] for part in parts)

    assert rule(name) == re.sub(pattern, replaced, name)


SED = shutil.which("sed")
GNU = bool(SED) and b"GNU" in subprocess.run([SED or "sed", "--version"], capture_output=True).stdout


@pytest.mark.skipif(not GNU, reason="no GNU sed")
@settings(max_examples=40, deadline=None)
@given(PATTERNS, st.lists(st.sampled_from(["&", "x", ".", r"\&", r"\0", r"\/"]), max_size=4), st.sampled_from(["", "g", "i", "gi"]),
       st.lists(NAMES, min_size=1, max_size=5))  # fmt: skip
def test_as_sed(pattern: str, parts: list[str], flags: str, names: list[str]) -> None:
    rule = f"s/{pattern}/{''.join(parts)}/{flags}"
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([SED or "sed", "-E", rule], input="\n".join(names) + "\n", capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert [parse_rule(rule)(name) for name in names] == done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("rule", "name", "new"),
    [
        (r"s/^backbone\.//", "backbone.a.b", "a.b"),
        (r"s/([a-z]+)\.([0-9]+)/\2.\1/", "layer.3.conv", "3.layer.conv"),
        (r"s/(?P<n>\d+)/x\g<n>/g", "1.2", "x1.x2"),
        (r"s/(a)(b)?/\2\1/", "a", "a"),
        (r"s/(1)/\10/", "1", "10"),
        ("s|a/b|c|", "a/b", "c"),
        (r"s/a\/b/c\/d/", "a/b", "c/d"),
        (r"s.a\.b.c.", "axb", "axb"),
        (r"s.a\.b.c.", "a.b", "c"),
        ("s/A/b/gi", "aAa", "bbb"),
        ("s/$/.weight/", "a", "a.weight"),
    ],
)
def test_rules(rule: str, name: str, new: str) -> None:
    assert parse_rule(rule)(name) == new


FORM = "write s/pattern/replacement/"
GROUPS = r"\1 is a group, & the match, \\ a backslash"


@pytest.mark.parametrize(
    ("rule", "message", "place", "hint"),
    [
        ("a=b", "not a rule", 0, FORM),
        ("", "not a rule", 0, FORM),
        (r"s\a\b\\"[:-1], "not a rule", 1, FORM),
        ("s/a", 'the pattern has no "/" at its end', 3, FORM),
        ("s|a|b", 'the replacement has no "|" at its end', 5, "write s|pattern|replacement|"),
        (r"s/a\/b\/", 'the pattern has no "/" at its end', 8, FORM),
        ("s/a/b/x", 'there is no flag "x"', 6, r'g is every match, i any case; "/" inside is "\/"'),
        ("s/a/b/c/", 'there is no flag "c"', 6, r'g is every match, i any case; "/" inside is "\/"'),
        ("s//b/", "the pattern is empty", 2, "^ matches the start of a name, $ its end"),
        ("s/ab(c/b/", "the pattern cannot be read: missing ), unterminated subpattern", 4, ""),
        (r"s,\,a[,b,", "the pattern cannot be read: unterminated character set", 5, ""),
        ("s/a**/b/", "the pattern cannot be read: multiple repeat", 4, ""),
        (r"s/(a)/x\2/", "the replacement cannot be read: invalid group reference 2", 7, GROUPS),
        (r"s/a/x\q/", r"the replacement cannot be read: bad escape \q", 5, GROUPS),
        (r"s/a/\g<m>/", "the replacement cannot be read: unknown group name 'm'", 4, GROUPS),
    ],
)
def test_mistakes(rule: str, message: str, place: int, hint: str) -> None:
    with pytest.raises(RenameError) as caught:
        parse_rule(rule)
    assert str(caught.value).split("\n") == [message, f"  {rule}", f"  {' ' * place}^", *([f"  {hint}"] if hint else [])]


def test_long_rules() -> None:
    with pytest.raises(RenameError) as caught:
        parse_rule("s/" + "x" * 200 + "(/b/")
    lines = str(caught.value).split("\n")
    assert lines[1][lines[2].index("^")] == "(" and all(len(line) <= 80 for line in lines)
    with pytest.raises(RenameError, match="a rule of 504 characters, more than the 500"):
        parse_rule(f"s/{'x' * 500}//")


@given(st.text(max_size=30))
@example("s\x1f")
def test_any_text_is_a_rule_or_a_mistake(text: str) -> None:
    for rule in (text, f"s/{text}", f"s/{text}/", f"s/a/{text}/", f"s/{text}/b/"):
        try:
            parse_rule(rule)("abc")
        except RenameError as error:
            assert all(line.isprintable() and len(line) <= 120 for line in str(error).split("\n"))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)(.*)(.*)(.*)(.*)(.*)x"])
def test_a_pattern_that_would_not_end(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does is bounded in processor time, and the timer is gone afterwards."""
    monkeypatch.setattr("archc.runtime.weights.renaming.LONGEST", 0.2)
    handler = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(RenameError, match=r"takes longer than 0\.2 s"):
        rename_tensors(["a" * 400 + "!"], [parse_rule(f"s/{pattern}/y/")])
    assert signal.getsignal(signal.SIGVTALRM) is handler
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_in_order_and_idle() -> None:
    rules = [parse_rule(text) for text in ("s/a/b/", "s/b/c/", "s/a/d/")]
    new, idle = rename_tensors(["a", "x"], rules)
    assert new == {"a": "c", "x": "x"} and idle == [rules[2]]


def test_two_names_that_become_one() -> None:
    with pytest.raises(RenameError) as caught:
        rename_tensors(["a.0.w", "b", "a.1.w"], [parse_rule("s/[01]/x/")])
    assert str(caught.value) == 'two names become one: "a.0.w" and "a.1.w" would both be "a.x.w"'
    assert rename_tensors(["a", "b"], [parse_rule(f"s/^{x}$/{y}/") for x, y in ("at", "ba", "tb")])[0] == {"a": "b", "b": "a"}


def test_bounds() -> None:
    with pytest.raises(RenameError, match=r'^nothing is left of "a" after s/a//$'):
        rename_tensors(["a"], [parse_rule("s/a//")])
    with pytest.raises(RenameError, match=f"has 501 characters: rules are applied to at most {MOST}"):
        rename_tensors(["a" * 501], [parse_rule("s/b/c/")])
    rules = [parse_rule("s/.*/&&/")] * 40  # would be 10^12 characters
    with pytest.raises(RenameError, match="rules are applied to at most"):
        rename_tensors(["a"], rules)
