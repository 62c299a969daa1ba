"""What each operator's output sees of its inputs, axis by axis and position by position, against autograd."""

from __future__ import annotations

from itertools import product

import pytest

from archc.analysis.field.carried import Carried, compose
from archc.analysis.field.positions import Always, Positions
from archc.ops import OPERATORS, Shape
from archc.ops.reach import Along, Bins, Linear, Paired, Reach, Spread, rules_of

torch = pytest.importorskip("torch")

from tests.helpers.gradients import prepared, spans
from tests.helpers.torch_form import Layer

from .cases import CASES, Case, case, each_of

SPREADS = [(2, 3, 0, 1, 1), (1, 4, 0, 1, 3), (3, 2, 1, 3, 1), (4, 6, 2, 4, 1), (2, 3, 1, 2, 0)]  # kernel, stride, padding, dilation, more
SIZES = [(12, 7), (7, 12), (9, 5), (5, 1)]
LINEAR = [*SIZES, (6, 3), (9, 3), (1, 4), (4, 1), (5, 10)]
MORE = [
    *(case("conv_transpose", (2, 7), channels=1, kernel=k, stride=s, padding=p, dilation=d, output_padding=o) for k, s, p, d, o in SPREADS),
    *(case(op, (2, n), size=m) for op in ("adaptive_avgpool", "adaptive_maxpool", "upsample") for n, m in SIZES),
    *(case("upsample", (2, n), size=m, mode="linear", align_corners=corners) for n, m in LINEAR for corners in (False, True)),
    *(case("pad", (2, 9, 8), sides=(3, 2, -1, 4), mode=mode) for mode in ("reflect", "replicate", "zeros")),
    *(
        case("conv", (2, 9, 8), channels=1, kernel=4, stride=2, padding=3, dilation=2, padding_mode=mode)
        for mode in ("reflect", "replicate")
    ),
    case("concat", (2, 3, 4), (2, 3, 5), axis=2),
    case("split", (2, 4, 6), axis=1),
    case("softmax", (2, 4, 6), axis=1),
    case("reshape", (4, 6, 5), shape=(2, 2, 30)),
    case("reshape", (4, 6, 5), shape=(30, 4)),
    case("center_crop", (2, 9, 8), size=(4, 5)),
]


def _given() -> list[Case]:
    """One case of each pointwise operator for each number of axes; none of indices, and none that one image leaves nothing to see."""
    found: dict[object, Case] = {}
    for one in (*CASES, *MORE):
        facts, shape = one.facts(), one.shapes[0]
        alone = any(min(shape[axis] for axis in reach.axes) == 1 for reach in (facts.reach,) if isinstance(reach, Along))
        circular = "circular" in one.args.values()
        alone |= one.op == "batchnorm" and len(shape) == 1
        floats = facts.taken(0) == "same" and not facts.is_integer(0) and not facts.outputs[0].joined and not one.joined
        if (
            floats
            and facts.reach is not None
            and not alone
            and not circular
            and one.shapes[1:] != ((1, 8),)
            and not one.args.get("inplace")
        ):
            found.setdefault((one.op, len(shape), str(facts.reach)) if facts.pointwise and len(one.shapes) == 1 else one.id, one)
    return list(found.values())


@each_of(_given())
def test_positions_are_those_that_autograd_finds(one: Case) -> None:
    """All axes, the channels too: none sees more than is said, and none that carries positions sees less."""
    facts = one.facts()
    layer = prepared(Layer(facts))
    read = len(one.shapes) if facts.reads is None else facts.reads
    takes = [facts.taken(i) for i in range(len(one.shapes))]
    for which, shape in enumerate(one.shapes):
        if takes[which] == "int64":  # which carries no gradient
            continue
        if which >= read:
            assert spans(layer, list(one.shapes), which, [(0, 0)], takes) == [[(0, -1)] * facts.outputs[0][0]]
            continue
        state = tuple(Carried(Positions(tuple(range(n)), tuple(range(n))), axis) for axis, n in enumerate(shape))
        given = [(state if i == which else None, Shape(other)) for i, other in enumerate(one.shapes[:read])]
        said = compose(facts, 0, given, shape)
        pairs = [(i, each.axis if each.axis >= 0 else len(facts.outputs[0]) - 1) for i, each in enumerate(said)]
        for i, (each, column) in enumerate(zip(said, spans(layer, list(one.shapes), which, pairs, takes), strict=True)):
            if one.args.get("causal") and column[0] == (0, -1):
                column[0] = (0, 0)  # the first query asks one key alone: whatever the two are, the answer is its value
            assert_said(each, column, mixed=i == 0 and "C" in OPERATORS[one.op].summary.partition(",")[0])


def assert_said(said: Carried, column: list[tuple[int, int]], mixed: bool) -> None:
    """What is said of an axis of the input against what was found; of channels, which groups may part, no more than is said."""
    if isinstance(said.seen, Positions):
        told = [said.seen.span(i // said.stride % said.seen.positions) for i in range(len(column))]
    else:
        told = [said.seen.span(0)] * len(column)
    told = [(first, last) if first <= last else (0, -1) for first, last in told]
    if mixed or not said.exact:
        assert all(a[0] <= b[0] and b[1] <= a[1] for a, b in zip(told, column, strict=True) if b != (0, -1))
    else:
        assert told == column


BY_VALUES = ("roi_pool", "roi_align", "nms", "deform_conv")  # the values of their inputs say where they look
RULES = [
    *(Reach(s, low, low + d * (k - 1), d) for s, low, k, d in product((1, 2, 3), (-2, 0, 1), (1, 2, 3), (1, 2))),
    *(Spread(s, p, k, d) for s, p, k, d in product((1, 2, 3, 4), (0, 1), (1, 2, 3), (1, 2, 3))),
    *(Bins(n, m, nearest) for n, m in product((1, 2, 3, 4, 6, 9), repeat=2) for nearest in (True, False)),
    *map(Paired, (1, 2, 3)),
    *(Linear(n, m, corners) for n, m in product((1, 2, 3, 4, 6, 9), repeat=2) for corners in (False, True)),
]  # fmt: skip


def test_a_rule_repeats_itself() -> None:
    for rule, i in product(RULES, range(-9, 9)):
        assert [j + rule.shift for j in rule.at(i)] == list(rule.at(i + rule.period)), rule


def test_a_transposed_window_is_found_by_trying_every_tap() -> None:
    for s, p, k, d, i in product((1, 2, 3, 4, 6), (0, 1, 2), (1, 2, 3, 4), (1, 2, 3, 4), range(-6, 12)):
        wanted = sorted({(i + p - t * d) // s for t in range(k) if (i + p - t * d) % s == 0})
        assert list(Spread(s, p, k, d).at(i)) == wanted


def test_every_operator_says_what_it_sees() -> None:
    assert all((one.facts().reach is None) == (one.op in BY_VALUES) for one in CASES)
    assert rules_of("point") is None and Always(0, 3).covers(4)
