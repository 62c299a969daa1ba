"""The memory timeline for any batch, dtype and optimizer: what is allocated and freed, with sizes as formulas.

Every block takes a + b*item + c*batch + d*item*batch + (e + f*batch)*max(item, 4) bytes, where `item` is the bytes of a value and
the last are statistics, which half precision has in float32. Six simulations say which, a seventh proves it. Blocks and their
order are the same for all batches from 2 on; a batch of 1 makes more tensors contiguous, so where its blocks differ it has a tape
of its own. Optimizers differ in what is there all the time and in their own step alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.analysis.memory.timeline import Options, inference, training
from archc.analysis.memory.timeline.optimizers import state_bytes, step_bytes, usual
from archc.analysis.memory.timeline.tape import KINDS, Block, Tape
from archc.catalog.optimizers import OPTIMIZERS
from archc.graph import Graph, Node
from archc.html.network import Interned

Size = tuple[int, int, int, int, int, int]
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

    def run(batch: int, dtype: str) -> Raw:
        options = Options(batch, dtype=dtype, device=DEVICE, amp="bfloat16" if amp else "")
        return _raw((training if learning else inference)(graph, options).tape)

    dtypes = ("float32",) if amp else ("float32", "float64", "float16")
    four = [run(batch, dtype) for batch in (2, 3) for dtype in dtypes[:2]]
    fitted = _fit(four, run(_CHECK, dtypes[-1]), [] if amp else [run(batch, "float16") for batch in (2, 3)])
    base = four[0]
    many = _record(base, fitted, graph.positions)
    ones = [run(1, dtype) for dtype in dtypes]
    if _alike(base, ones[0]) and all(_predicts(fitted, run, 1, ITEMS[dtype]) for run, dtype in zip(ones, dtypes, strict=True)):
        return [many]
    return [many, _record(ones[0], _fit_alone(ones), graph.positions)]


ITEMS = {"float16": 2, "float32": 4, "float64": 8}
STATISTICS = 4  # bytes of a value at least


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


def _alike(first: Raw, other: Raw) -> bool:
    """Whether the same is made and freed in the same order."""
    return first[1] == other[1] and all(a.kind == b.kind and a.of is b.of for a, b in zip(first[0], other[0], strict=True))


def _fit(four: list[Raw], check: Raw, half: list[Raw]) -> list[Size]:
    """The formula of each block, from batches of 2 and 3 with items of 4 and 8 bytes, then of 2; without `half` the item is always 4."""
    if not all(_alike(four[0], run) for run in (*four[1:], check, *half)):
        raise NotLinear
    columns = [[block.bytes for block in run[0]] for run in (*four, *half)]
    if half:
        found = [_size(*sizes) for sizes in zip(*columns, strict=True)]
    else:
        found = [(at2 - 2 * (at3 - at2), 0, at3 - at2, 0, 0, 0) for at2, at3 in zip(*columns, strict=True)]
    if not _predicts(found, check, _CHECK, 2 if half else 4):
        raise NotLinear
    return found


def _size(b2i4: int, b2i8: int, b3i4: int, b3i8: int, b2i2: int, b3i2: int) -> Size:
    """The formula through six points. What in half precision is more than its part is there in float32."""
    d = (b3i8 - b3i4 - b2i8 + b2i4) // 4
    c = b3i4 - b2i4 - 4 * d
    b = (b2i8 - b2i4) // 4 - 2 * d
    a = b2i4 - 4 * b - 2 * c - 8 * d
    more = [(size - (a + 2 * b + (c + 2 * d) * batch)) // 2 for size, batch in ((b2i2, 2), (b3i2, 3))]
    f = more[1] - more[0]
    e = more[0] - 2 * f
    return a, b - e, c, d - f, e, f


def _fit_alone(ones: list[Raw]) -> list[Size]:
    """The formulas at a batch of 1."""
    if len(ones) == 1:
        return [(block.bytes, 0, 0, 0, 0, 0) for block in ones[0][0]]
    if not all(_alike(ones[0], run) for run in ones[1:]):
        raise NotLinear
    found = []
    for at4, at8, at2 in zip(*(run[0] for run in ones), strict=True):
        b = (at8.bytes - at4.bytes) // 4
        a = at4.bytes - 4 * b
        e = (at2.bytes - a - 2 * b) // 2
        found.append((a, b - e, 0, 0, e, 0))
    return found


def bytes_of(size: Size, batch: int, item: int) -> int:
    """A block's bytes by its formula, as the page works them out."""
    a, b, c, d, e, f = size
    return a + b * item + (c + d * item) * batch + (e + f * batch) * max(item, STATISTICS)


def _predicts(sizes: list[Size], run: Raw, batch: int, item: int) -> bool:
    return all(bytes_of(size, batch, item) == block.bytes for size, block in zip(sizes, run[0], strict=True))


def _record(raw: Raw, sizes: list[Size], nodes: Mapping[Node, int]) -> dict[str, Any]:
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
        step = step_bytes(name, shapes, 1, DEVICE, how)
        found.append({"name": name, "how": how, "state": [2 * two - four, (four - two) // 2], "step": step})
    return found
