"""Formulas as they are written: as text, as Python, and as data."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from archc.symbolic.polynomial import Atom, Monomial, Number, Polynomial


def text(formula: Polynomial) -> str:
    """`2,352*H*W + ceil(H/2)`: the products of most factors first."""
    if not formula.terms:
        return "0"
    written = ""
    for monomial, number in _sorted(formula):
        sign = "-" if number < 0 else "+"
        term = _term(monomial, -number if number < 0 else number)
        written = f"{written} {sign} {term}" if written else f"{'-' * (sign == '-')}{term}"
    return written


def factor(formula: Polynomial) -> str:
    """The same, in brackets where it is a sum."""
    return f"({text(formula)})" if len(formula.terms) > 1 else text(formula)


def _sorted(formula: Polynomial) -> list[tuple[Monomial, Number]]:
    return sorted(formula.terms.items(), key=_rank)


def _rank(term: tuple[Monomial, Number]) -> tuple[int, list[tuple[float, str]]]:
    """Products of most factors first; of quotients those by the least divisors."""
    return -len(term[0]), [(float(atom.parts[1].constant) if atom.parts else 0.0, atom.key) for atom in term[0]]


def _term(monomial: Monomial, number: Number) -> str:
    above, below = (number.numerator, number.denominator) if isinstance(number, Fraction) else (number, 1)
    factors = [_power(atom, monomial.count(atom)) for atom in dict.fromkeys(monomial)]
    if above != 1 or not factors:
        factors.insert(0, f"{above:,}")
    return "*".join(factors) + (f"/{below:,}" if below != 1 else "")


def _power(atom: Atom, times: int) -> str:
    return _atom(atom) if times == 1 else f"{_atom(atom)}**{times}"


def _atom(atom: Atom) -> str:
    if atom.kind == "size":
        return atom.key
    first, second = atom.parts
    if atom.kind == "gcd":
        return f"gcd({text(first)}, {text(second)})"
    if not second.open_terms and first.constant == second.constant - 1 and first.constant:
        return f"ceil({factor(Polynomial(first.open_terms))}/{text(second)})"
    below = text(second) if len(second.terms) == 1 and all(len(monomial) < 2 for monomial in second.terms) else f"({text(second)})"
    return f"floor({factor(first)}/{below})"


def to_data(formula: Polynomial) -> list[dict[str, Any]]:
    """The terms: a coefficient, over a divisor unless that is 1, and factors, each a name or a function of formulas."""
    terms = []
    for monomial, number in _sorted(formula):
        above, below = (number.numerator, number.denominator) if isinstance(number, Fraction) else (number, 1)
        term: dict[str, Any] = {"coefficient": above, "factors": [_atom_data(atom) for atom in monomial]}
        terms.append(term | ({"divisor": below} if below != 1 else {}))
    return terms


def _atom_data(atom: Atom) -> Any:
    if atom.kind == "size":
        return atom.key
    return {atom.kind: [to_data(part) for part in atom.parts]}
