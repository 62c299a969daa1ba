"""The guards of a tape in words: bounds of sizes, divisors, and what is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any

from archc.symbolic.forms import Forms, Rest, assume, divisors
from archc.symbolic.polynomial import Atom, Number, Polynomial, TooLong, common_factors, constant, divided
from archc.symbolic.tape import Guard, Tape
from archc.symbolic.writing import text

LARGE = 2**30  # bounds above this are those of what can be counted, and no news
MOST_SEARCHED = 10_000
FACTORS = (2, 3)  # by which sizes are made larger to see whether an equation allows another


@dataclass(slots=True)
class Equation:
    """A formula that must be 0, and the place where a program asked for it."""

    formula: Polynomial
    left: Polynomial
    right: Polynomial
    place: Any


@dataclass(slots=True)
class Conditions:
    """Where a tape is good: sizes from `least` to `most`, that leave `rests`, under which `others` hold. `fixing` leave no other sizes."""

    least: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    rests: dict[str, Rest] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    fixing: list[Equation] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """Each condition as text: `H from 33`, `W divisible by 4`."""
        least = {name: self.least.get(name, 1) for name in {**self.least, **self.most}}
        for name, rest in self.rests.items():
            if least.get(name, 1) <= (rest.rest or rest.divisor):  # the first that leaves this rest
                least[name] = 1
        found = [_range(name, size, self.most.get(name)) for name, size in least.items()]
        return [*(one for one in found if one), *rest_texts(self.rests), *self.others]


def _range(name: str, least: int, most: int | None) -> str:
    if most is not None:
        return f"{name} from {least:,} to {most:,}" if most > least else f"{name} = {most:,}"
    return f"{name} from {least:,}" if least > 1 else ""


def rest_texts(rests: Mapping[str, Rest]) -> list[str]:
    """`H and W divisible by 32`: names of one rest together."""
    alike: dict[Rest, list[str]] = {}
    for name, rest in rests.items():
        if rest.divisor > 1:
            alike.setdefault(rest, []).append(name)
    return [
        f"{_listed(names)} divisible by {one.divisor:,}"
        if not one.rest
        else f"{_listed(names)} {one.rest:,} above a multiple of {one.divisor:,}"
        for one, names in alike.items()
    ]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def read_conditions(tape: Tape, forms: Forms, witness: Mapping[str, int]) -> Conditions:
    """What the guards of a tape ask for, that was recorded at `witness`."""
    found = Conditions()
    several: list[Polynomial] = []
    unequal: list[Polynomial] = []
    unwritten = 0
    for guard, place in tape.guards.items():
        left, right = forms.of(guard.left), forms.of(guard.right)
        try:
            if left is None or right is None:
                raise TooLong
            kind, formula = _normal(guard, left, right)
        except TooLong:
            unwritten += 1
            continue
        if kind != "=":
            formula = _reduced(formula, strict=kind == ">=")
        if not formula.open_terms:
            continue
        if kind == ">=":
            several += [] if _bound(found, formula) else [formula]
        elif kind == "!=":
            above = formula.value(witness) > 0
            apart = formula - constant(1) if above else formula.times(-1) - constant(1)
            unequal += [] if _bound(found, apart) else [apart]
        elif not _divides(found, formula, witness):
            _equate(found, Equation(formula, left, right, place), witness)
    _tell(found, several, unequal)
    if unwritten:
        found.others.append(f"{unwritten} comparisons of formulas that are too long to write")
    return found


def _normal(guard: Guard, left: Polynomial, right: Polynomial) -> tuple[str, Polynomial]:
    """A guard as a formula that is at least 0, is 0, or is not."""
    if guard.comparison == "==":
        return ("=" if guard.holds else "!="), left - right
    strict = constant(1 if (guard.comparison == "<") is guard.holds else 0)
    return ">=", (right - left if guard.holds else left - right) - strict


def _reduced(formula: Polynomial, strict: bool) -> Polynomial:
    """Without a product that all terms have, which is 1 or more: of `a*b - a - 1 >= 0` there is left `b - 2 >= 0`."""
    for less in (1, 0) if strict else (0,):
        whole = formula + constant(less)
        factors = common_factors(whole)
        if factors and not whole.constant:
            shorter = divided(whole, Polynomial({factors: 1}))
            return formula if shorter is None else shorter - constant(less)
    return formula


def _bound(found: Conditions, formula: Polynomial) -> bool:
    """Whether `formula >= 0` bounds one size, or nothing; then it is noted."""
    open_ = formula.open_terms
    if all(number > 0 for number in open_.values()) and formula.constant >= 0:
        return True
    if formula.constant >= LARGE:
        return True
    (monomial, number), *others = open_.items()
    if others or len(monomial) != 1:
        return False
    limit = Fraction(-formula.constant) / number  # the atom is at least this, or at most
    solved = _solve(
        monomial[0], -(-limit.numerator // limit.denominator) if number > 0 else limit.numerator // limit.denominator, number > 0
    )
    if solved is None:
        return False
    name, size = solved
    if number > 0:
        found.least[name] = max(found.least.get(name, 1), size)
    elif size < LARGE:
        found.most[name] = min(found.most.get(name, size), size)
    return True


def _solve(atom: Atom, limit: int, lower: bool) -> tuple[str, int] | None:
    """The size for which an atom is at least a limit, or the last for which it is at most that."""
    if atom.kind == "size":
        return atom.key, limit
    first, second = atom.parts
    if atom.kind != "floor" or second.open_terms or second.constant < 1 or len(first.open_terms) != 1:
        return None
    ((monomial, number),) = first.open_terms.items()
    if len(monomial) != 1 or number < 1:
        return None
    reach = limit * second.constant if lower else (limit + 1) * second.constant - 1  # of the dividend
    room = Fraction(reach - first.constant) / number
    return _solve(monomial[0], -(-room.numerator // room.denominator) if lower else room.numerator // room.denominator, lower)


def _divides(found: Conditions, formula: Polynomial, witness: Mapping[str, int]) -> bool:
    """Whether an equation says what sizes leave when they are divided; then that is noted."""
    symbols = formula.symbols
    apart = divisors([formula], symbols)
    rests = {name: Rest(divisor, witness[name] % divisor) for name, divisor in apart.items()}
    if max(apart.values(), default=1) == 1 or assume(formula, rests).terms:
        return False
    for name, rest in rests.items():
        divisor = lcm(rest.divisor, found.rests[name].divisor if name in found.rests else 1)
        found.rests[name] = Rest(divisor, witness[name] % divisor)
    return True


def _equate(found: Conditions, equation: Equation, witness: Mapping[str, int]) -> None:
    """An equation that is no matter of divisors: does it leave any other sizes?"""
    names = sorted(equation.formula.symbols)
    groups = [names, *([name] for name in names)]
    trials = [{**witness, **{name: witness[name] * factor for name in group}} for factor in FACTORS for group in groups]
    if all(_differs(equation.formula, sizes) for sizes in trials):
        found.fixing.append(equation)
    found.others.append(f"{text(equation.left)} = {text(equation.right)}")


def _differs(formula: Polynomial, sizes: Mapping[str, int]) -> bool:
    try:
        return formula.value(sizes) != 0
    except ZeroDivisionError:
        return True


def _tell(found: Conditions, several: Iterable[Polynomial], unequal: Iterable[Polynomial]) -> None:
    """Inequations of several sizes, but for those that follow from what is known."""
    for formula in dict.fromkeys([*several, *unequal]):
        least = _least(formula, found.least)
        if (least is not None and least > -1) or _sure(formula, found.least):  # it is a whole number
            continue
        if (solved := _search(formula, found.least)) is not None:
            name, size = solved
            found.least[name] = max(found.least.get(name, 1), size)
            continue
        right = Polynomial({monomial: -number for monomial, number in formula.terms.items() if number < 0})
        left = Polynomial({monomial: number for monomial, number in formula.terms.items() if number > 0})
        said = f"{text(left)} >= {text(right)}"
        if said not in found.others:
            found.others.append(said)


def _sure(formula: Polynomial, known: Mapping[str, int]) -> bool:
    """Whether a formula is at least 0 since each of its products is, and they are large enough at the least sizes."""
    sizes = {name: known.get(name, 1) for name in formula.symbols}
    rising = all(number > 0 for number in formula.open_terms.values()) and all(
        number > 0 for atom in formula.within() if atom.kind == "floor" for number in atom.parts[0].open_terms.values()
    )
    return rising and not any(atom.parts[1].open_terms for atom in formula.within() if atom.parts) and formula.value(sizes) >= 0


def _search(formula: Polynomial, known: Mapping[str, int]) -> tuple[str, int] | None:
    """The least size from which on a formula of one size is at least 0, where a line says so of all but a few sizes."""
    slopes, low, _ = _straight(formula)
    if slopes is None or len(slopes) != 1:
        return None
    ((name, slope),) = slopes.items()
    if slope <= 0:
        return None
    beyond = int((-1 - low) / Fraction(slope)) + 2
    first = known.get(name, 1)
    if beyond - first > MOST_SEARCHED:
        return None
    failing = [size for size in range(first, beyond) if formula.value({name: size}) < 0]
    return name, max(failing, default=first - 1) + 1


def _least(formula: Polynomial, known: Mapping[str, int]) -> Number | None:
    """A number below which a formula cannot be, by the least sizes; None where nothing is known."""
    slopes, low, _ = _straight(formula)
    if slopes is None or any(number < 0 for number in slopes.values()):
        return None
    return low + sum(number * known.get(name, 1) for name, number in slopes.items())


def _straight(formula: Polynomial) -> tuple[dict[str, Number] | None, Number, Number]:
    """A line below and above which a formula stays: slopes by size, and how far it may be from the line on both sides."""
    slopes: dict[str, Number] = {}
    low: Number = formula.constant
    high: Number = formula.constant
    for monomial, number in formula.open_terms.items():
        if len(monomial) > 1:
            return None, 0, 0
        own, down, up = _straight_atom(monomial[0])
        if own is None:
            return None, 0, 0
        for name, slope in own.items():
            slopes[name] = slopes.get(name, 0) + slope * number
        low += min(down * number, up * number)
        high += max(down * number, up * number)
    return slopes, low, high


def _straight_atom(atom: Atom) -> tuple[dict[str, Number] | None, Number, Number]:
    if atom.kind == "size":
        return {atom.key: 1}, 0, 0
    first, second = atom.parts
    if atom.kind != "floor" or second.open_terms or second.constant < 1:
        return None, 0, 0
    slopes, low, high = _straight(first)
    by = Fraction(second.constant)
    return None if slopes is None else {name: slope / by for name, slope in slopes.items()}, (low - by + 1) / by, high / by
