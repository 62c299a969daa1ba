"""Products of two values over named axes: torch.einsum."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from archc.ops.facts import Expression, Facts, Kept, Work
from archc.ops.layout import Axes, Merge, Move, move_strides
from archc.ops.reach import Along, Each
from archc.ops.registry import op
from archc.ops.shape import Shape, product
from archc.ops.strides import contiguous
from archc.signature import Fault

_EXAMPLE = "as in hqd,hkd->hqk, a letter for each axis, none for the batch"


class Roles(NamedTuple):
    """The letters of an equation by what becomes of them: of both inputs and the output, of one input and the output, of both inputs alone.

    left, right: which input stands on either side: PyTorch puts the one first whose letters come first in the output
    """

    shared: str
    rows: str
    columns: str
    summed: str
    left: int
    right: int

    @property
    def sides(self) -> tuple[tuple[int, tuple[str, str, str]], tuple[int, tuple[str, str, str]]]:
        """Either input with its letters as those of rows of matrices."""
        return (self.left, (self.shared, self.rows, self.summed + self.columns)), (self.right, (self.shared, self.summed, self.columns))


def read_equation(equation: str) -> tuple[str, str, str]:
    """The letters of both inputs and of the output."""
    found = re.fullmatch(r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)", equation.replace(" ", ""))
    if found is None:
        raise Fault("equation", f"{equation[:60]} is no product of two values", _EXAMPLE)
    return found[1], found[2], found[3]


def roles(a: str, b: str, out: str, sizes: Mapping[str, int]) -> Roles:
    """The letters by what becomes of them, each group in the order of the output, the summed ones in that of the alphabet.

    As PyTorch does it, a letter of size 1 counts as one of the columns, whichever input has it.
    """
    wide = [letter for letter in out if sizes[letter] != 1]
    both = [letter for letter in wide if letter in a and letter in b]
    turned = next((letter in b for letter in wide if letter not in both), False)
    left, right = (1, 0) if turned else (0, 1)
    rows = [letter for letter in wide if letter in (a, b)[left] and letter not in both]
    columns = [letter for letter in out if letter not in both and letter not in rows]
    summed = sorted(letter for letter in a if letter in b and letter not in out)
    return Roles("".join(both), "".join(rows), "".join(columns), "".join(summed), left, right)


@op
def einsum(x: Shape, y: Shape, *, equation: str) -> Facts:
    """[*], [*] -> [*]. The product of two values, summed over axes, which letters name: torch.einsum.

    A letter of both inputs that the output lacks is summed over; the batch has no letter.

    equation: letters of both inputs and of the output: hqd,hkd->hqk for scores of attention
    """
    a, b, out = read_equation(equation)
    for letters, shape, what in ((a, x, "first"), (b, y, "second")):
        if len(letters) != len(shape):
            raise Fault("equation", f"the {what} input, {list(shape)}, is no {letters}", "a letter for each axis, none for the batch")
    for letters in (a, b, out):
        if len(set(letters)) < len(letters):
            raise Fault("equation", f"{letters} has a letter twice", "diagonals are not taken")
    sizes = dict(zip(a, x, strict=True))
    for letter, size in zip(b, y, strict=True):
        if sizes.setdefault(letter, size) != size:
            raise Fault("equation", f"{letter} is {int(sizes[letter])} in the first input and {int(size)} in the second")
    if lost := (set(a) ^ set(b)) - set(out):
        raise Fault("equation", f"{min(lost)} is in one input alone, and not in the output", "`sum` that axis of the input before")
    if made := set(out) - set(sizes):
        raise Fault("equation", f"{min(made)} of the output is in no input", _EXAMPLE)
    groups = roles(a, b, out, sizes)
    if not groups.summed:
        raise Fault("equation", f"{equation} sums over nothing", "`mul` multiplies, and stretches axes of size 1")
    macs = product(sizes[letter] for letter in dict.fromkeys(a + b))
    result = Shape(sizes[letter] for letter in out)
    order = groups.shared + groups.rows + groups.columns
    text = f"torch.einsum({_with_batch(a, b, out)!r}, {{0}}, {{1}})".replace("'", '"')
    return Facts(
        result,
        weights=(),
        macs=macs,
        work=Work(multiply=macs, add=macs - result.values),
        keeps=tuple(_kept(i, (x, y)[i], 1 - i, matrix((a, b)[i], letters)) for i, letters in groups.sides),
        reach=Each((_seen(a, groups, out), _seen(b, groups, out))),
        torch=Expression(text),
        classic="EINSUM",
        moves=((Axes((0, *(order.index(letter) + 1 for letter in out))),),),
    )


def _kept(which: int, x: Shape, wanted_by: int, moves: tuple[Move, ...]) -> Kept:
    """A factor as rows of matrices: the input itself, or a copy where its axes lie in another order."""
    block, copies = contiguous((2, *map(int, x))), False
    for move in moves:
        block, copied = move_strides(block, move)
        copies |= copied
    return Kept("new" if copies else "input", which, x.values if copies else 0, wanted_by=(wanted_by,), moves=moves)


def matrix(letters: str, groups: tuple[str, ...]) -> tuple[Move, ...]:
    """What makes a row of matrices of a value: its axes in the order of the groups, each group then one axis, the first with the batch."""
    own = ["".join(letter for letter in group if letter in letters) for group in groups]
    moves: list[Move] = [Axes((0, *(letters.index(letter) + 1 for group in own for letter in group)))]
    first, second, third = map(len, own)
    for start, count in ((1 + first + second, third), (1 + first, second), (0, 1 + first)):
        if count > 1:
            moves.append(Merge(start, start + count - 1))
    return tuple(moves)


def _seen(letters: str, groups: Roles, out: str) -> Along | None:
    """Summed axes are read whole, the others position by position, where they keep their places."""
    gone = tuple(i for i, letter in enumerate(letters) if letter in groups.summed)
    left = [letter for letter in letters if letter not in groups.summed]
    return Along(gone, gone=True) if list(out[: len(left)]) == left else None


def _with_batch(a: str, b: str, out: str) -> str:
    batch = next(letter for letter in "bnzyxwvutsrqponmlkjihgfedcaABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in a + b)
    return f"{batch}{a},{batch}{b}->{batch}{out}"
