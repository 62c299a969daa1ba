"""Formulas in a normal form: polynomials over sizes and over whole parts of quotients, so that equal formulas look alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from math import gcd

MOST_TERMS = 400  # of a formula that anyone would read

Number = int | Fraction


class TooLong(Exception):
    """A formula that has more terms than anyone would read."""


class Atom:
    """What formulas are made of: a size, or the whole part of a quotient or a divisor of formulas that do not come apart.

    kind: size (`key` is its name), floor (of `parts[0] / parts[1]`), or gcd (of both parts)
    """

    __slots__ = ("_hash", "key", "kind", "parts")

    def __init__(self, kind: str, parts: tuple[Polynomial, ...] = (), name: str = "") -> None:
        self.kind = kind
        self.parts = parts
        self.key = name or f"{kind}({', '.join(part.key for part in parts)})"
        self._hash = hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Atom) and self.key == other.key

    def __lt__(self, other: Atom) -> bool:
        return self.key < other.key


Monomial = tuple[Atom, ...]  # in order, an atom as often as its power


class Polynomial:
    """A sum of products of atoms, each with a coefficient that is not 0."""

    __slots__ = ("_key", "terms")

    def __init__(self, terms: Mapping[Monomial, Number]) -> None:
        self.terms = {monomial: number for monomial, number in terms.items() if number}
        if len(self.terms) > MOST_TERMS:
            raise TooLong
        self._key = ""

    @property
    def key(self) -> str:
        """A text that is the same for equal formulas."""
        if not self._key:
            parts = (f"{number}*{'*'.join(atom.key for atom in monomial)}" for monomial, number in sorted(self.terms.items()))
            self._key = " + ".join(parts) or "0"
        return self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.key)

    def __add__(self, other: Polynomial) -> Polynomial:
        return Polynomial(_sum((self.terms, other.terms)))

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + other.times(-1)

    def __mul__(self, other: Polynomial) -> Polynomial:
        if len(self.terms) * len(other.terms) > MOST_TERMS * MOST_TERMS:
            raise TooLong
        products: dict[Monomial, Number] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                monomial = tuple(sorted((*left, *right))) if left and right else left or right
                products[monomial] = products.get(monomial, 0) + a * b
        return Polynomial(products)

    def times(self, number: Number) -> Polynomial:
        """Each coefficient times a number."""
        return Polynomial({monomial: own * number for monomial, own in self.terms.items()})

    @property
    def constant(self) -> Number:
        """The term without atoms."""
        return self.terms.get((), 0)

    @property
    def open_terms(self) -> dict[Monomial, Number]:
        """The terms with atoms."""
        return {monomial: number for monomial, number in self.terms.items() if monomial}

    @property
    def atoms(self) -> set[Atom]:
        """Those of the sum itself, not those within others."""
        return {atom for monomial in self.terms for atom in monomial}

    def within(self) -> Iterator[Atom]:
        """All atoms, those within others first."""
        for atom in sorted(self.atoms):
            for part in atom.parts:
                yield from part.within()
            yield atom

    @property
    def symbols(self) -> set[str]:
        """The names of the sizes that it depends on."""
        return {atom.key for atom in self.within() if atom.kind == "size"}

    def value(self, sizes: Mapping[str, int]) -> Number:
        """The number at some sizes."""
        total: Number = 0
        for monomial, number in self.terms.items():
            term = number
            for atom in monomial:
                term = term * _atom_value(atom, sizes)
            total = total + term
        return total


def _sum(several: Iterable[Mapping[Monomial, Number]]) -> dict[Monomial, Number]:
    sums: dict[Monomial, Number] = {}
    for terms in several:
        for monomial, number in terms.items():
            sums[monomial] = sums.get(monomial, 0) + number
    return sums


def _atom_value(atom: Atom, sizes: Mapping[str, int]) -> Number:
    if atom.kind == "size":
        return sizes[atom.key]
    first, second = (part.value(sizes) for part in atom.parts)
    return first // second if atom.kind == "floor" else gcd(int(first), int(second))


def constant(number: Number) -> Polynomial:
    """A number as a formula."""
    return Polynomial({(): number})


def size(name: str) -> Polynomial:
    """A size as a formula."""
    return single(Atom("size", name=name))


def single(atom: Atom) -> Polynomial:
    """An atom as a formula."""
    return Polynomial({(atom,): 1})


def floor(dividend: Polynomial, divisor: Polynomial) -> Polynomial:
    """The whole part of a quotient of formulas with whole coefficients."""
    if not dividend.terms:
        return dividend
    if divisor.open_terms:
        exact = divided(dividend, divisor)
        return exact if exact is not None else single(Atom("floor", (dividend, divisor)))
    by = int(divisor.constant)
    if by < 1:
        return single(Atom("floor", (dividend, divisor))) if not by else floor(dividend.times(-1), divisor.times(-1))
    return _floor_by(dividend, by)


def _floor_by(dividend: Polynomial, by: int) -> Polynomial:
    """What the divisor divides comes out; the rest is reduced, and a quotient in a quotient is one quotient."""
    outside = Polynomial({monomial: number // by for monomial, number in dividend.terms.items()})
    inside = Polynomial({monomial: number % by for monomial, number in dividend.terms.items()})
    if not inside.open_terms:
        return outside
    common = gcd(by, *(int(number) for number in inside.open_terms.values()))
    by = by // common
    inside = Polynomial({monomial: number // common for monomial, number in inside.terms.items()})
    if by == 1:
        return outside + inside
    (monomial, number), *others = inside.open_terms.items()
    if not others and number == 1 and len(monomial) == 1 and monomial[0].kind == "floor" and not monomial[0].parts[1].open_terms:
        first, second = monomial[0].parts  # floor((floor(x / a) + b) / c) = floor((x + a*b) / (a*c))
        inner = int(second.constant)
        return outside + _floor_by(first + constant(inner * inside.constant), inner * by)
    return outside + single(Atom("floor", (inside, constant(by))))


def divided(dividend: Polynomial, divisor: Polynomial) -> Polynomial | None:
    """The quotient by a single product, where every term has it; None where one has not."""
    if len(divisor.terms) != 1:
        return constant(1) if dividend == divisor else None
    ((factors, number),) = divisor.terms.items()
    quotient: dict[Monomial, Number] = {}
    for monomial, own in dividend.terms.items():
        rest = list(monomial)
        for factor in factors:
            if factor not in rest:
                return None
            rest.remove(factor)
        if own % number:
            return None
        quotient[tuple(rest)] = own // number
    return Polynomial(quotient)


def common_factors(formula: Polynomial) -> Monomial:
    """The atoms that all terms have."""
    monomials = list(formula.terms)
    if not monomials:
        return ()
    first = monomials[0]
    return tuple(atom for atom in dict.fromkeys(first) for _ in range(min(monomial.count(atom) for monomial in monomials)))


def common_divisor(first: Polynomial, second: Polynomial) -> Polynomial:
    """The greatest common divisor of two formulas."""
    if not first.open_terms and not second.open_terms:
        return constant(gcd(int(first.constant), int(second.constant)))
    return single(Atom("gcd", (first, second)))
