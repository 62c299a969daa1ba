"""The comparison itself, on a clock that is part of the test."""

from __future__ import annotations

import gc
from itertools import combinations, product

import pytest

torch = pytest.importorskip("torch")

from .measuring import compare, interval, threads


class Machine:
    """A clock that calls move on; `slower` is what each call adds to the cost of all later ones."""

    def __init__(self, slower: float = 0.0) -> None:
        self.now, self.pace, self.slower = 0.0, 1.0, slower
        self.log: list[str] = []

    def call(self, name: str, seconds: float) -> None:
        assert not self.log or len(self.log) < 4 or not gc.isenabled()
        self.now += seconds * self.pace
        self.pace += self.slower
        self.log.append(name)

    def clock(self) -> float:
        return self.now


def test_calls_are_interleaved_in_alternating_order() -> None:
    machine = Machine()
    calls = {name: lambda name=name: machine.call(name, 1.0) for name in "AB"}
    compare(calls, rounds=4, warm=2, clock=machine.clock)
    assert "".join(machine.log) == "AABB" + "ABBAABBA"
    assert gc.isenabled()


def test_ratios_of_a_machine_that_slows_down() -> None:
    """The times of the last round are several times those of the first; the ratio stays."""
    machine = Machine(slower=0.1)
    timings = compare({"A": lambda: machine.call("A", 1.0), "B": lambda: machine.call("B", 3.0)}, rounds=12, clock=machine.clock)
    assert timings["A"].seconds[-1] > 2 * timings["A"].seconds[0]
    assert timings["A"].ratios == [1.0] * 12
    assert timings["B"].ratio.median == pytest.approx(3.0, rel=0.05)


def test_a_short_call_is_repeated() -> None:
    machine = Machine()
    timings = compare({"A": lambda: machine.call("A", 0.002)}, rounds=3, warm=1, at_least=0.03, clock=machine.clock)
    assert len(machine.log) == 1 + 3 * 15
    assert timings["A"].time.median == pytest.approx(0.002)


def test_the_device_is_waited_for_around_each_go() -> None:
    machine = Machine()
    compare({"A": lambda: machine.call("A", 1.0)}, rounds=1, warm=1, sync=lambda: machine.log.append("|"), clock=machine.clock)
    assert "".join(machine.log) == "|A||A|"


@pytest.mark.parametrize("count", range(1, 12))
def test_confidence_of_an_interval_by_counting(count: int) -> None:
    """Every way in which `count` values can lie below (-1) or above (1) the true median, each as likely."""
    found = interval(list(range(count)))
    held = 0
    for sides in product((-1, 1), repeat=count):
        ordered = sorted(sides)
        held += ordered[int(found.low)] < 0 < ordered[int(found.high)]
    assert found.confidence == pytest.approx(held / 2**count)
    assert found.confidence >= 0.95 or (found.low, found.high) == (0, count - 1)


def test_an_interval_is_as_narrow_as_its_confidence_allows() -> None:
    assert [interval(range(n)).low for n in (5, 6, 8, 9, 12, 17)] == [0, 0, 0, 1, 2, 4]
    assert {interval(order).median for order in ([3, 1, 2], [2, 3, 1])} == {2}
    assert all(interval([a, b]).low == min(a, b) for a, b in combinations(range(4), 2))


def test_threads_are_as_they_were() -> None:
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
