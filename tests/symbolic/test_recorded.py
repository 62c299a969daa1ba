"""Programs on recorded numbers: the tape gives what plain numbers give wherever its guards hold, and formulas give what the tape does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.symbolic.conditions import read_conditions
from archc.symbolic.forms import Forms, Rest, assume, divisors
from archc.symbolic.recorded import Recorded, identity, plain, step_of, symbol
from archc.symbolic.tape import Program, Tape
from archc.symbolic.writing import text, to_data

SIZES = st.integers(1, 400)
OPERATIONS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a // (b if b != 0 else 1),
    lambda a, b: a % (b if b > 0 else 1),
    lambda a, b: max(a, b),
    lambda a, b: min(a, b),
    lambda a, b: -a if a > b else a + 1,
    lambda a, b: abs(a - b),
    lambda a, b: a**2 - b,
    lambda a, b: -(-a // 3) + b,
    lambda a, b: divmod(a, 7)[1] * b,
    lambda a, b: a + 2 * 3 - 7 if a == b else a + math.floor(b),
    lambda a, b: int(a) + b,
    lambda a, b: (a / 2 > b and 5) or a,
    lambda a, b: sum([a, b, 3]),
]
STEPS = st.lists(st.tuples(st.integers(0, len(OPERATIONS) - 1), st.integers(0, 9), st.integers(0, 9)), max_size=8)
LARGEST = 10**9


def run(steps: list[tuple[int, int, int]], h: Any, w: Any) -> Any:
    """A program of two sizes and some constants, which grows no number without end."""
    values = [h, w, 2, 5, 16]
    for operation, left, right in steps:
        value = OPERATIONS[operation](values[left % len(values)], values[right % len(values)])
        values.append(value if abs(value) < LARGEST else 1)
    return values[-1]


@given(STEPS, SIZES, SIZES, st.lists(st.tuples(SIZES, SIZES), min_size=5, max_size=5))
def test_the_tape_is_the_program_where_guards_hold(
    steps: list[tuple[int, int, int]], h: int, w: int, others: list[tuple[int, int]]
) -> None:
    tape = Tape()
    result = run(steps, symbol(tape, "H", h), symbol(tape, "W", w))
    assert plain(result) == run(steps, h, w)
    forms = Forms(tape)
    step = step_of(tape, result)
    program = Program(tape, [step])
    assert program.run({"H": h, "W": w}) == ([plain(result)], None)
    form = forms.of(step)
    apart = divisors([form], ["H", "W"]) if form is not None else {}
    conditions = read_conditions(tape, forms, {"H": h, "W": w})
    assert all(conditions.least.get(name, 1) <= size <= conditions.most.get(name, size) for name, size in (("H", h), ("W", w)))
    for height, width in others:
        values, broken = program.run({"H": height, "W": width})
        if broken is not None:
            continue
        assert values == [run(steps, height, width)]
        if form is not None:
            assert form.value({"H": height, "W": width}) == values[0]
            rests = {"H": Rest(apart["H"], height % apart["H"]), "W": Rest(apart["W"], width % apart["W"])}
            assert assume(form, rests).value({"H": height, "W": width}) == values[0]


@pytest.mark.parametrize(
    ("program", "written", "simple"),
    [
        (lambda h: (h + 2 * 3 - 7) // 2 + 1, "ceil(H/2)", "H/2"),
        (lambda h: ((h + 6 - 7) // 2 + 1 + 2 - 3) // 2 + 1, "ceil(H/4)", "H/4"),
        (lambda h: (h - 5) // 4 + 1, "ceil(H/4) - 1", "H/4 - 1"),
        (lambda h: h % 4 + 3, "H - 4*floor(H/4) + 3", "3"),
        (lambda h: (h - 6) // 4, "floor((H + 2)/4) - 2", "H/4 - 2"),
        (lambda h: h * h // h + 147 * 64, "H + 9,408", "H + 9,408"),
        (lambda h: h - 3 + 2 + 1, "H", "H"),
        (lambda h: 3 * (h // 2) ** 2, "3*floor(H/2)**2", "3*H**2/4"),
        (lambda h: h.gcd(6), "gcd(H, 6)", "gcd(H, 6)"),
        (lambda h: (4 * h + 6) // 2, "2*H + 3", "2*H + 3"),
        (lambda h: 100 // h, "floor(100/H)", "floor(100/H)"),
    ],
)
def test_formulas_are_what_people_write(program: Callable[[Any], Any], written: str, simple: str) -> None:
    tape = Tape()
    form = Forms(tape).of(program(symbol(tape, "H", 224)).at)
    assert form is not None
    assert text(form) == written
    assert text(assume(form, {name: Rest(divisor, 0) for name, divisor in divisors([form], ["H"]).items()})) == simple


def test_formulas_are_data() -> None:
    tape = Tape()
    form = Forms(tape).of((3 * ((symbol(tape, "H", 8) + 1) // 2) - 4).at)
    assert form is not None
    inner = [{"coefficient": 1, "factors": ["H"]}, {"coefficient": 1, "factors": []}]
    floor = {"floor": [inner, [{"coefficient": 2, "factors": []}]]}
    assert to_data(form) == [{"coefficient": 3, "factors": [floor]}, {"coefficient": -4, "factors": []}]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (lambda h, w: h > 32, ["H from 33"]),
        (lambda h, w: (h + 1) // 2 - 7 >= 0, ["H from 13"]),
        (lambda h, w: h // 32 != 1, ["H from 64"]),
        (lambda h, w: h < 300, ["H from 1 to 299"]),
        (lambda h, w: (h % 16 == 0, w % 16 == 0), ["H and W divisible by 16"]),
        (lambda h, w: (h - 4) % 6 == 4, ["H 2 above a multiple of 6"]),
        (lambda h, w: h == w, ["H = W"]),
        (lambda h, w: (h < 2**53, h * w < 2**53, h // 2 <= h, h >= 1), []),
        (lambda h, w: h * w - h > 0, ["W from 2"]),
        (lambda h, w: h + w > 100, ["H + W >= 101"]),
        (lambda h, w: [0] * int(h), ["H = 224"]),
    ],
)
def test_conditions_are_what_people_say(program: Callable[[Any, Any], object], said: list[str]) -> None:
    tape = Tape()
    program(symbol(tape, "H", 224), symbol(tape, "W", 224))
    assert read_conditions(tape, Forms(tape), {"H": 224, "W": 224}).sentences() == said


def test_whatever_hands_out_the_number_pins_it() -> None:
    for take in (int, float, hash, lambda x: x / 2, lambda x: x * 0.5, lambda x: 2**x, lambda x: {x}, lambda x: round(x, -1)):
        tape = Tape()
        take(symbol(tape, "H", 6))
        assert [guard.holds for guard in tape.guards] == [True]
        assert Program(tape, []).run({"H": 7})[1] is not None


def test_equal_values_of_different_sizes_are_told_apart() -> None:
    tape = Tape()
    h, w = symbol(tape, "H", 8), symbol(tape, "W", 8)
    assert identity((3, (h, h))) != identity((3, (h, w)))
    assert isinstance(h + w, Recorded)
    with tape.at_rest():
        assert h == w
    assert not tape.guards
