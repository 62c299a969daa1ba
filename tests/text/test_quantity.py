"""One language of quantities: what is written is read back, and every place that takes one reads it alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.analysis.checks.check import check, over
from archc.elaborate.compiler import compile_text
from archc.language.budget import MEMORY, read_limit
from archc.language.citation import leading
from archc.text.quantity import BANDWIDTH, BYTES, COUNT, FLOPS, Quantity, bytes_text, rate_text, read, read_amount, read_size, short
from archc.text.source import Source
from archc.text.tree import Scalar

COUNTS = st.integers(1, 10**17)
SIGNS = st.sampled_from(["", "<=", "<", ">=", ">", "=="])


@given(COUNTS)
def test_what_is_written_is_read(value: int) -> None:
    """Within half of a unit of the last digit of three."""
    for text, units in ((short(value), COUNT), (bytes_text(value), BYTES)):
        found = read_amount(text, units, bare=1.0)
        assert found is not None and abs(found - value) <= 0.005 * value, text
    for unit, units in (("B", BANDWIDTH), ("FLOP", FLOPS)):
        found = read_amount(rate_text(float(value), unit), units)
        assert found is not None and abs(found - value) <= 0.005 * value


@given(COUNTS)
def test_a_count_keeps_what_it_is_written_as(value: int) -> None:
    """`expect: 4.09G` is kept by what 4.09G was written for."""
    found = read(short(value))
    assert found is not None and found.allows(value, value)


@given(st.integers(1, 9_999), st.integers(0, 99), st.sampled_from(["", "K", "m", "G", "t"]), SIGNS, st.sampled_from(["", " +- 1%", "± 5"]))
def test_all_readers_agree(whole: int, part: int, unit: str, sign: str, slack: str) -> None:
    """`expect`, `budget` and `published`, for one text."""
    text = f"{sign}{' ' * bool(sign)}{whole}.{part:02d}{unit}{slack}"
    expected = read(text)
    source = Source("net.yaml", repr(text))
    limit = read_limit("macs", text, Scalar(source, 0, len(text) + 2, text))
    assert expected is not None
    assert limit.value == expected.value and limit.sign == (sign or ("==" if slack else "<="))
    if slack or sign:
        assert limit.slack == expected.slack
    if not sign and not slack:
        assert leading(text) == (expected.value, expected.slack)
        memory = read_limit(MEMORY, f"{text.upper()}{'iB' if unit else 'GiB'}", Scalar(source, 0, 1, text))
        assert round(memory.value) == pytest.approx(read_size(f"{text}{'ib' if unit else ''}") or 0, abs=1)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("5M", (5_499_999, 4_500_000), (5_500_001, 4_499_999)),
        ("5_000_000", (5_000_000,), (5_000_001, 4_999_999)),
        ("<= 5M +- 1%", (1, 5_050_000), (5_050_001,)),
        (">= 5M +- 1%", (4_950_000, 10**9), (4_949_999,)),
        ("< 5M", (4_999_999,), (5_000_000,)),
        ("> 5M", (5_000_001,), (5_000_000,)),
        ("5M +- 1%", (4_950_000, 5_050_000), (4_949_999, 5_050_001)),
        ("5m +/- 50k", (4_950_000, 5_050_000), (4_949_999, 5_050_001)),
        ("3.4e9", (3_449_999_999, 3_350_000_000), (3_460_000_000,)),
    ],
)
def test_bounds(text: str, inside: tuple[int, ...], outside: tuple[int, ...]) -> None:
    bound = read(text)
    assert bound is not None
    assert all(bound.allows(value, value) for value in inside) and not any(bound.allows(value, value) for value in outside)


@pytest.mark.parametrize("text", ["", "five", "5 M M", "=> 5M", "5M +-", "5M +- 1% 2", "5X", "M", "+- 1%", "5M - 1%", "1__e", "٥M"])
def test_what_is_none(text: str) -> None:
    assert read(text) is None


@given(st.text(max_size=30))
def test_any_text_is_read_or_is_none(text: str) -> None:
    assert read(text) is None or isinstance(read(text), Quantity)
    assert read_amount(text, BYTES, 1.0) is None or read_amount(text, BYTES, 1.0) >= 0


@pytest.mark.parametrize(
    ("figure", "kept"), [("44K +- 1%", True), ("43K +- 1%", False), ("<= 43K +- 3%", False), ("<= 43K +- 4%", True), ("44.4K +- 30", True)]
)
def test_a_budget_with_slack_is_an_expectation_with_slack(figure: str, kept: bool) -> None:
    """Both of a network of 44,426 parameters."""
    for key, found in (("budget", over), ("expect", check)):
        model = compile_text(f'extends: lenet5\n{key}: {{parameters: "{figure}"}}\n')
        assert model.graph is not None and found(model.graph) is not kept, key
