"""Expressions as trees: what is parsed is printed as the same expression, and a form as it is written."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.ops.facts import Expression, Module
from archc.ops.syntax import Call, Input, Name, Own, bound, calls, flat, names, number, replace_leaves, walk
from archc.ops.template import parse, parse_plain

from .cases import CASES

FORMS = [case.facts().torch for case in CASES]
TEMPLATES = sorted({form.text if isinstance(form, Expression) else form.call for form in FORMS if form is not None})
STARTS = sorted({form.start for form in FORMS if isinstance(form, Expression) and form.start})
_BETWEEN = ["+", "-", "*", "/", "//", "%", "@", "**", "<<", ">>", "|", "^", "&", "and", "or", "<", ">=", "==", "is not", "not in"]
_AROUND = [
    *("-{}", "not {}", "~{}", "({})", "{}.shape", "{}.mean(1)", "{}[0]", "{}[:, None, 1:2]", "f({})", "torch.cat([{}], 1)", "({},)"),
    *("g(*{}, key={})", "{} if {} else {}", "[t for t in {}]", "(lambda t: {})(1)", "{{'k': {}}}", "h({}, **{})", "{}(1)", "f'{{{}}}'"),
]  # fmt: skip


def _around(text: str, parts: list[str]) -> str:
    values = iter(parts)
    return text.format(*[f"({next(values)})" for _ in range(text.replace("{{", "").count("{}"))])


EXPRESSIONS = st.recursive(
    st.sampled_from(["x0", "x1", "own", "2", "1e-05", '"a b"', "nn.ReLU", "True"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(_BETWEEN), inner).map(" ".join),
        st.tuples(inner, st.sampled_from(_BETWEEN), inner).map(lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"),
        st.tuples(st.sampled_from(_AROUND), st.lists(inner, min_size=3, max_size=3)).map(lambda parts: _around(*parts)),
    ),
    max_leaves=12,
)


def _same(text: str, other: str) -> bool:
    return ast.dump(ast.parse(text, mode="eval")) == ast.dump(ast.parse(other, mode="eval"))


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
def test_what_is_printed_means_what_was_parsed(text: str) -> None:
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        with pytest.raises(ValueError):
            parse_plain(text)
        return
    tree = parse_plain(text)
    assert _same(flat(tree), text)
    assert flat(parse_plain(flat(tree))) == flat(tree)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS)
def test_inputs_take_what_stands_for_them(text: str) -> None:
    """A template with names filled in is the expression with these names."""
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return
    template = text.replace("{", "{{").replace("}", "}}").replace("x0", "{0}").replace("x1", "{1}").replace("own", "{self}")
    assert _same(flat(bound(parse(template), [Name("a"), Name("b")], Name("c"))), template.format("a", "b", self="c"))


@pytest.mark.parametrize("text", [*TEMPLATES, *STARTS])
def test_forms_of_operators_are_printed_as_they_are_written(text: str) -> None:
    assert flat(parse(text)) == text


def test_long_chains_are_no_deep_trees() -> None:
    for text in ("{0}" + ".add_({1})" * 900, " + ".join(["{0}"] * 900)):
        tree = parse(text)
        assert flat(tree) == text
        assert flat(bound(tree, [Name("x"), Name("y")])) == text.format("x", "y")


def test_what_is_too_deep_for_python_stands_as_it_is_written() -> None:
    text = "{0}" + ".add_({1})" * 5000
    assert flat(bound(parse(text), [Name("x"), Name("y")])) == text.format("x", "y")
    assert names(parse("torch.f(" + "-" * 5000 + "{0})")) == {"torch.f"}


def test_questions_about_an_expression() -> None:
    tree = parse("{self}(F.pad({0}, (1, -1))) / {self}(F.pad(torch.ones_like({0}), (1, -1))) + (lambda x: torch.nn.relu(x))({1})")
    assert [one.arguments[0] for one in calls(tree, "F.pad")] == [Input(0), parse("torch.ones_like({0})")]
    assert {"F.pad", "torch.ones_like", "torch.nn.relu"} <= names(tree)
    assert sum(isinstance(one, Call) and one.value == Own() for one in walk(tree)) == 2
    assert [number(one) for one in walk(parse_plain("f(64, 1e-05, -2, 'a 3')")) if number(one) is not None] == [64, 1e-05, 2]
    assert flat(replace_leaves(tree, lambda leaf: Name("y") if isinstance(leaf, Input) else leaf)).count("y") == 3


def test_a_module_says_what_its_call_adds_around_the_input() -> None:
    padded = Module("nn.Conv2d", (3, 8, 3), call="{self}(F.pad({0}, (0, 1, -2, 3)))")
    assert (padded.added_border, padded.pads_before, padded.pads_apart) == ((0, 1, -2, 3), True, True)
    mirrored = Module("nn.Conv2d", (3, 8, 3), {"padding_mode": "reflect"})
    assert (mirrored.added_border, mirrored.pads_before, mirrored.pads_apart) == ((), False, True)
    assert not Module("nn.Conv2d", (3, 8, 3)).pads_apart


@pytest.mark.parametrize("text", ["{0!r}", "{0:>3}", "{}", "{0.shape}", "{0} +", "{0", "{other}"])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)
