"""The memory timeline for any batch, dtype and optimizer: what is allocated and freed, with sizes as formulas.

Every block takes a + b*item + c*batch + d*item*batch bytes, where `item` is the bytes of a value: four simulations say which, a
fifth proves it. Blocks and their order are the same for all batches from 2 on; a batch of 1 makes more tensors contiguous, so where
its blocks differ it has a tape of its own. Optimizers differ in what is there all the time and in their own step alone.
"""

from __future__ import annotations

from typing import Any

from archc.analysis.timeline import OPTIMIZERS, Options, inference, training
from archc.analysis.timeline.optimizers import state_bytes, transient_values, usual
from archc.analysis.timeline.tape import KINDS, Block, Tape
from archc.graph import Graph
from archc.reporting.intern import Interned

Size = tuple[int, int, int, int]
Raw = tuple[list[Block], list[tuple[int, bool]], Tape]
DEVICE = "cuda"
PHASES = ("start", "forward", "loss", "backward", "optimizer", "end")
_CHECK = 7


class NotLinear(Exception):
    """Sizes that are no such formula."""


def memory(graph: Graph) -> dict[str, Any] | None:
    """The tapes of training and inference, each with and without autocast; None where sizes follow no formula."""
    try:
        tapes = {name: _tapes(graph, name.startswith("training"), name.endswith("amp")) for name in NAMES}
    except NotLinear:
        return None
    return {"kinds": KINDS, "phases": PHASES, "tapes": tapes, "bounds": _bounds(graph), "optimizers": _optimizers(graph)}


NAMES = ("training", "training amp", "inference", "inference amp")


def _bounds(graph: Graph) -> dict[str, Any]:
    """Of each tape, the sign of its figures where they are not exact, and why."""
    found = {}
    for name in NAMES:
        options = Options(2, device=DEVICE, amp="bfloat16" if name.endswith("amp") else "")
        bound = (training if name.startswith("training") else inference)(graph, options).bound
        found[name] = {"sign": bound.sign, "why": bound.text}
    return found


def _tapes(graph: Graph, learning: bool, amp: bool) -> list[dict[str, Any]]:
    """The tape from a batch of 2 on, and that of a batch of 1 where it differs."""
    nodes = {node: i for i, node in enumerate(graph.nodes)}

    def run(batch: int, dtype: str) -> Raw:
        options = Options(batch, dtype, device=DEVICE, amp="bfloat16" if amp else "")
        return _raw((training if learning else inference)(graph, options).tape)

    dtypes = ("float32",) if amp else ("float16", "float32", "float64")
    whole = _fitted([run(batch, dtype) for batch in (2, 3) for dtype in dtypes[:2]], run(_CHECK, dtypes[-1]), amp)
    base = run(2, dtypes[0])
    many = _record(base, whole, nodes)
    ones = [run(1, dtype) for dtype in dtypes[:2]]
    if _alike(base, ones[0]) and all(_predicts(whole, one, 1, item) for one, item in zip(ones, _items(amp), strict=True)):
        return [many]
    return [many, _record(ones[0], _fitted_alone(ones), nodes)]


def _items(amp: bool) -> tuple[int, ...]:
    return (4,) if amp else (2, 4)


def _raw(tape: Tape) -> Raw:
    """Blocks in the order of their making, and events by the number of their block. What is freed at once is freed in that order."""
    numbers: dict[Block, int] = {}
    marks = {mark.event for mark in tape.marks}
    events: list[tuple[int, bool]] = []
    freed: list[int] = []
    for at, (block, made) in enumerate(tape.events):
        if made or at in marks:
            events += [(number, False) for number in sorted(freed)]
            freed = []
        number = numbers.setdefault(block, len(numbers))
        if made:
            events.append((number, True))
        else:
            freed.append(number)
    events += [(number, False) for number in sorted(freed)]
    return list(numbers), events, tape


def _alike(one: Raw, other: Raw) -> bool:
    """Whether the same is made and freed in the same order."""
    return one[1] == other[1] and all(a.kind == b.kind and a.of is b.of for a, b in zip(one[0], other[0], strict=True))


def _fitted(four: list[Raw], check: Raw, amp: bool) -> list[Size]:
    """The formula of each block, from batches of 2 and 3 with items of 2 and 4 bytes; under autocast the item is always 4."""
    if not all(_alike(four[0], one) for one in (*four[1:], check)):
        raise NotLinear
    columns = [[block.bytes for block in one[0]] for one in four]
    if amp:
        found = [(at2 - 2 * (at3 - at2), 0, at3 - at2, 0) for at2, at3 in zip(*columns, strict=True)]
    else:
        found = [_size(*sizes) for sizes in zip(*columns, strict=True)]
    if not _predicts(found, check, _CHECK, 4 if amp else 8):
        raise NotLinear
    return found


def _size(b2i2: int, b2i4: int, b3i2: int, b3i4: int) -> Size:
    """The formula through four points."""
    d = (b3i4 - b3i2 - b2i4 + b2i2) // 2
    c = b3i2 - b2i2 - 2 * d
    b = (b2i4 - b2i2) // 2 - 2 * d
    return b2i2 - 2 * b - 2 * c - 4 * d, b, c, d


def _fitted_alone(ones: list[Raw]) -> list[Size]:
    """The formulas at a batch of 1."""
    if len(ones) == 1:
        return [(block.bytes, 0, 0, 0) for block in ones[0][0]]
    if not _alike(*ones):
        raise NotLinear
    pairs = zip(ones[0][0], ones[1][0], strict=True)
    return [(2 * at2.bytes - at4.bytes, (at4.bytes - at2.bytes) // 2, 0, 0) for at2, at4 in pairs]


def _predicts(sizes: list[Size], run: Raw, batch: int, item: int) -> bool:
    found = (a + b * item + (c + d * item) * batch for a, b, c, d in sizes)
    return all(size == block.bytes for size, block in zip(found, run[0], strict=True))


def _record(raw: Raw, sizes: list[Size], nodes: dict[Any, int]) -> dict[str, Any]:
    """`events`: 0 makes the next block, n frees block n - 1. `marks`: events so far, phase, layer or -1."""
    blocks, events, tape = raw
    different = Interned[Size]()
    return {
        "size": [different(size) for size in sizes],
        "sizes": different.things,
        "kind": [KINDS.index(block.kind) for block in blocks],
        "of": [-1 if block.of is None else nodes[block.of] for block in blocks],
        "events": [0 if made else number + 1 for number, made in events],
        "marks": [[mark.event, PHASES.index(mark.phase), -1 if mark.layer is None else nodes[mark.layer]] for mark in tape.marks],
    }


def _optimizers(graph: Graph) -> list[dict[str, Any]]:
    """What each keeps, a + b*item bytes, and what its step takes on the way, in values."""
    owners = [node for node in graph.nodes if node.shared is None]
    shapes = [weight.shape for node in owners for weight in node.facts.owned if weight.role != "buffer"]
    found = []
    for name in OPTIMIZERS:
        how = usual(name, DEVICE)
        two, four = (sum(state_bytes(name, shapes, item, DEVICE, how)) for item in (2, 4))
        found.append({"name": name, "how": how, "state": [2 * two - four, (four - two) // 2], "step": transient_values(name, shapes, how)})
    return found
