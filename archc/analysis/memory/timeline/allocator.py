"""The caching allocator of torch.cuda, replayed over a tape: blocks cut from segments, best fit, joined again when freed.

Sizes and rules are those of c10/cuda/CUDACachingAllocator.cpp with its default settings, on one stream.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

from archc.analysis.memory.timeline.tape import Block, Tape
from archc.graph.graph import growing

UNIT = 512
SMALL = 2**20  # what is not larger comes from small segments
SMALL_SEGMENT, MIDDLE_SEGMENT, LARGE = 2 * 2**20, 20 * 2**20, 10 * 2**20
ROUND_LARGE = 2 * 2**20


@dataclass(eq=False, slots=True)
class _Piece:
    """A part of a segment, with its neighbours."""

    size: int
    small: bool
    order: int
    before: _Piece | None = None
    after: _Piece | None = None
    free: bool = False


class OutOfMemory(Exception):
    """What is asked for does not fit the limit, with all cached segments given back. `allocated` bytes were in use, that included."""

    def __init__(self, allocated: int) -> None:
        super().__init__(f"{allocated:,} bytes in use")
        self.allocated = allocated


@dataclass(slots=True)
class Pool:
    """`limit`: bytes that may be reserved, if there is one. Segments that nobody uses are given back before it is exceeded."""

    limit: int | None = None
    allocated: int = 0
    reserved: int = 0
    peak_allocated: int = 0
    peak_reserved: int = 0
    gave_back: bool = False
    _free: dict[bool, list[tuple[int, int, _Piece]]] = field(default_factory=lambda: {True: [], False: []})
    _count: int = 0

    def take(self, wanted: int) -> _Piece:
        size = -(-wanted // UNIT) * UNIT or UNIT
        small = size <= SMALL
        free = self._free[small]
        # before every block of this size: of equal ones the oldest is taken, which stands for the lowest address
        at = bisect_left(free, (size, -1))
        if at < len(free):
            piece = free.pop(at)[2]
            piece.free = False
        else:
            piece = self._segment(size, small)
        # as should_split() has it: what would be left of a large block must be of use to another large one
        rest = piece.size - size
        if rest >= UNIT if small else rest > SMALL:
            self._count += 1
            left = _Piece(rest, small, self._count, piece, piece.after, True)
            if piece.after is not None:
                piece.after.before = left
            piece.after, piece.size = left, size
            insort(free, (rest, left.order, left))
        self.allocated += piece.size
        if self.allocated > self.peak_allocated:
            self.peak_allocated = self.allocated
        return piece

    def give(self, piece: _Piece) -> None:
        free = self._free[piece.small]
        self.allocated -= piece.size
        piece.free = True
        for other in (piece.before, piece.after):
            if other is not None and other.free:
                del free[bisect_left(free, (other.size, other.order))]
                self._join(piece, other)
        insort(free, (piece.size, piece.order, piece))

    def _segment(self, size: int, small: bool) -> _Piece:
        segment = SMALL_SEGMENT if small else MIDDLE_SEGMENT if size < LARGE else -(-size // ROUND_LARGE) * ROUND_LARGE
        if self.limit is not None and self.reserved + segment > self.limit:
            self._give_back()
            if self.reserved + segment > self.limit:
                raise OutOfMemory(self.allocated + size)
        self.reserved += segment
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        self._count += 1
        return _Piece(segment, small, self._count)

    def _give_back(self) -> None:
        self.gave_back = True
        for free in self._free.values():
            # cudaFree takes segments as they were made: one of which a part is in use stays
            empty = [entry for entry in free if entry[2].before is None and entry[2].after is None]
            self.reserved -= sum(entry[0] for entry in empty)
            free[:] = [entry for entry in free if entry[2].before is not None or entry[2].after is not None]

    def _join(self, piece: _Piece, other: _Piece) -> None:
        """Makes the neighbour a part of the piece."""
        if other is piece.before:
            piece.before = other.before
            if other.before is not None:
                other.before.after = piece
            piece.order = other.order
        else:
            piece.after = other.after
            if other.after is not None:
                other.after.before = piece
        piece.size += other.size


def replay(tape: Tape, limit: int | None = None) -> Pool:
    """The allocator's peaks over two steps one after the other, as the second finds what the first left. Raises OutOfMemory."""
    with growing():
        return _replay(tape, limit)


def _replay(tape: Tape, limit: int | None) -> Pool:
    pool, pieces = Pool(limit), dict[Block, _Piece]()
    begin = next(mark.event for mark in tape.marks)
    for event, (block, made) in enumerate([*tape.events, *tape.events[begin:]]):
        if event == len(tape.events):
            _carry_over(tape, begin, pool, pieces)
        if made:
            pieces[block] = pool.take(block.bytes)
        elif block in pieces:
            pool.give(pieces.pop(block))
    return pool


def _carry_over(tape: Tape, begin: int, pool: Pool, pieces: dict[Block, _Piece]) -> None:
    """What the first step left takes the place of what the second step frees."""
    # the tape is of one step: its second turn frees, by their old names, blocks that the first has replaced
    left = [block for block in tape.alive(len(tape.events)) if block in pieces]
    started = list(tape.alive(begin))
    freed = [block for block in started if block not in pieces]
    old_ones = set(started)
    news = [block for block in left if block not in old_ones]
    for old, new in zip(freed, news, strict=False):
        pieces[old] = pieces.pop(new)
