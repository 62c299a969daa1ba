"""Recurrent layers: a state that is carried along a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from archc.ops.bare import large_part, positional
from archc.ops.facts import OUTPUT, Doubt, Facts, Kept, Module, Weight, Work, given, new
from archc.ops.layout import Axes, Merge, Packed
from archc.ops.reach import WHOLE, Behavior, Each, EachOutput, Reach
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.ops.tracked import plain
from archc.signature import Fault, Probability, Size, one_of

Nonlinearity = Annotated[str, one_of("tanh", "relu")]
MOST_STACKED = 1_024  # layers of one stack, each with tensors of its own
_BATCH_SECOND = Axes((1, 0, 2))


@op(bare=positional("rnn", -1, "hidden", "layers"))
def rnn(
    x: Shape,
    start: Shape | None = None,
    *,
    hidden: Size,
    layers: Size = 1,
    bidirectional: bool = False,
    nonlinearity: Nonlinearity = "tanh",
    bias: bool = True,
    dropout: Probability = 0.0,
    states: bool = False,
) -> Facts:
    """[T, D] -> [T, hidden]. h' = tanh(W x + b + U h + c) along a sequence (Elman, 1990): torch.nn.RNN, the batch first.

    A second input is the state at the start, [layers, hidden], zeros unless given. With `states`, `rnn.1` is that at the end.

    hidden: size of the state
    layers: how many, each over the sequence of the one before
    bidirectional: whether each layer has a second half that goes backwards; a token then has 2*hidden features
    nonlinearity: tanh or relu
    bias: whether the products have biases
    dropout: part of the sequence between layers that is dropped in training
    states: whether the last states are a further output, [layers, hidden], or [2*layers, hidden] both ways
    """
    stack = _Stack("rnn", x, hidden=int(hidden), layers=int(layers), bidirectional=bidirectional, bias=bias, dropout=float(dropout))
    each = Work(compare=1) if nonlinearity == "relu" else Work(special=1)
    return stack.facts((start,), states, each, given(nonlinearity=(nonlinearity, "tanh")))


@op(bare=positional("gru", -1, "hidden", "layers"))
def gru(
    x: Shape,
    start: Shape | None = None,
    *,
    hidden: Size,
    layers: Size = 1,
    bidirectional: bool = False,
    bias: bool = True,
    dropout: Probability = 0.0,
    states: bool = False,
) -> Facts:
    """[T, D] -> [T, hidden]. A state with a gate that resets and one that updates it (Cho et al., 2014): torch.nn.GRU, the batch first.

    A second input is the state at the start, [layers, hidden], zeros unless given. With `states`, `gru.1` is that at the end.

    hidden: size of the state
    layers: how many, each over the sequence of the one before
    bidirectional: whether each layer has a second half that goes backwards; a token then has 2*hidden features
    bias: whether the products have biases
    dropout: part of the sequence between layers that is dropped in training
    states: whether the last states are a further output, [layers, hidden], or [2*layers, hidden] both ways
    """
    stack = _Stack("gru", x, hidden=int(hidden), layers=int(layers), bidirectional=bidirectional, bias=bias, dropout=float(dropout))
    # two sigmoids of three operations and a tanh; r*(U h), then n + z*(h - n)
    return stack.facts((start,), states, Work(multiply=2, add=4, special=5), given())


@op(bare=positional("lstm", -1, "hidden", "layers"))
def lstm(
    x: Shape,
    start: Shape | None = None,
    cell: Shape | None = None,
    *,
    hidden: Size,
    layers: Size = 1,
    bidirectional: bool = False,
    projection: Size | None = None,
    bias: bool = True,
    dropout: Probability = 0.0,
    states: bool = False,
) -> Facts:
    """[T, D] -> [T, hidden]. A state and a cell behind three gates (Hochreiter & Schmidhuber, 1997): torch.nn.LSTM, the batch first.

    Two further inputs are state and cell at the start, [layers, hidden], zeros unless given. With `states`, `lstm.1` and `lstm.2` are
    those at the end. The CPU's kernel keeps a workspace whose size PyTorch does not tell: what backward keeps is a bound from below,
    but for projected states, which have no such kernel. Nor does torch's FLOP counter see into it, though it counts them on `meta`.

    hidden: size of the cell, and of the state
    layers: how many, each over the sequence of the one before
    bidirectional: whether each layer has a second half that goes backwards; a token then has twice as many features
    projection: size of the state where it is projected to fewer values than the cell has (Sak et al., 2014)
    bias: whether the products have biases
    dropout: part of the sequence between layers that is dropped in training
    states: whether the last states are further outputs, [layers, hidden], or [2*layers, hidden] both ways
    """
    if projection is not None and projection >= hidden:
        raise Fault("projection", f"a projection to {projection} values of {hidden}", f"from 1 to {hidden - 1}, or leave it out")
    if (start is None) != (cell is None):
        raise Fault(None, "an lstm starts from a state and a cell, and one is given", "name both in `from`, after the sequence")
    stack = _Stack(
        "lstm",
        x,
        hidden=int(hidden),
        layers=int(layers),
        bidirectional=bidirectional,
        bias=bias,
        dropout=float(dropout),
        projection=int(projection or 0),
    )
    # three sigmoids of three operations and two tanh; f*c + i*g, o*tanh(c)
    return stack.facts((start, cell), states, Work(multiply=3, add=4, special=8), given(proj_size=(stack.projection, 0)))


class _Stack(NamedTuple):
    """Layers of cells over a sequence. Their tensors go by the names and in the order of torch.nn."""

    kind: str
    x: Shape
    hidden: int
    layers: int
    bidirectional: bool
    bias: bool
    dropout: float
    projection: int = 0

    @property
    def gates(self) -> int:
        return {"rnn": 1, "gru": 3, "lstm": 4}[self.kind]

    @property
    def width(self) -> int:
        """Of the state."""
        return self.projection or self.hidden

    @property
    def ways(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def fused(self) -> bool:
        """Whether it is one kernel on the CPU, that of oneDNN."""
        return self.kind == "lstm" and not self.projection

    def inputs(self) -> Iterator[int]:
        """The features that each layer reads."""
        yield self.x[1]
        yield from (self.ways * self.width,) * (self.layers - 1)

    def facts(self, starts: tuple[Shape | None, ...], states: bool, each: Work, options: Any) -> Facts:
        """each: operations of a unit in a step beside its products"""
        if self.layers > MOST_STACKED:
            hint = f"at most {MOST_STACKED:,} in one; the next reads what comes out"
            raise Fault("layers", f"a stack of {self.layers:,} layers", hint)
        if len(self.x) != 2:
            hint = "make a map into tokens with `tokens`, or `reshape` it"
            raise Fault(None, f"{self.kind} needs a sequence [T, D]; this has shape {list(self.x)}", hint)
        shapes = (Shape((self.layers * self.ways, self.width)), Shape((self.layers * self.ways, self.hidden)))
        for have, wanted in zip(starts, shapes, strict=False):
            if have is not None and have != wanted:
                raise Fault(None, f"{self.kind} cannot start from {list(have)}", f"its states are {list(wanted)}")
        out = Shape((self.x[0], self.ways * self.width))
        ends = shapes[: len(starts)] if states else ()
        return Facts(
            (out, *ends) if states else out,
            weights=tuple(self.weights()),
            macs=self.macs(),
            work=self.work(each),
            keeps=tuple(self.keeps(starts)),
            keeps_more=self.fused,
            moves=((_BATCH_SECOND,),) * (1 + len(ends)),
            reach=self.reach(starts, len(ends)),
            torch=self.form(starts, states, options),
            classic=f"{self.kind.upper()}-{self.hidden}",
            doubts=self.doubts(),
        )

    def weights(self) -> Iterator[Weight]:
        rows = self.gates * self.hidden
        for layer, size in enumerate(self.inputs()):
            for way in ("", "_reverse")[: self.ways]:
                end = f"l{layer}{way}"
                yield Weight(f"weight_ih_{end}", (rows, size))
                yield Weight(f"weight_hh_{end}", (rows, self.width))
                if self.bias:
                    yield Weight(f"bias_ih_{end}", (rows,), "bias")
                    yield Weight(f"bias_hh_{end}", (rows,), "bias")
                if self.projection:
                    yield Weight(f"weight_hr_{end}", (self.projection, self.hidden))

    def macs(self) -> int:
        """For each token, layer and way: every gate by the input and by the state; and the projection."""
        cell = self.layers * self.projection * self.hidden
        for size in self.inputs():
            cell = cell + self.gates * self.hidden * (size + self.width)
        return self.x[0] * self.ways * cell

    def work(self, each: Work) -> Work:
        macs, cells = self.macs(), self.x[0] * self.ways * self.layers
        units = cells * self.hidden
        # of a gate's row: one addition less than products for each of its two sums, one to join them, two of biases
        adds = macs + units * self.gates * (1 if self.bias else -1) - cells * self.projection
        return Work(macs + units * each.multiply, adds + units * each.add, units * each.compare, units * each.special)

    def keeps(self, starts: tuple[Shape | None, ...]) -> Iterator[Kept]:
        """The first layer's input with tokens before the batch, once for each way; states at the start; then what cells make, step by step.

        Of gru: the gates, the candidate, two values that are written over, and the states but for the last. Of a projected lstm: the
        gates, the tanh of the cell, the state before its projection; states and cells but for the last. Of rnn: the states.
        """
        tokens, every = self.x[0], self.layers * self.ways
        for _ in range(1 if self.fused else self.ways):
            kept = Kept("input") if tokens == 1 else new(self.x.values)
            yield kept._replace(moves=(_BATCH_SECOND, Merge(0, 1)))
        yield from self.keeps_of_starts(starts)
        if self.fused:  # gates at the least; what comes out; states and cells at the end
            yield new(every * (4 * tokens * self.hidden + 2 * self.hidden))
            yield from [OUTPUT] if not self.bidirectional else [new(self.layers * 2 * tokens * self.hidden)]
        else:
            states = {"rnn": tokens * self.hidden, "gru": (7 * tokens - 1) * self.hidden}
            projected = (7 * tokens - 1) * self.hidden + (tokens - 1) * self.width
            yield new(every * states.get(self.kind, projected))
        if between := self.layers - 1:
            masks = between * tokens * self.ways * self.width
            yield new(masks if not 0 < self.dropout < 1 else 2 * masks)
            if self.dropout == 1:
                yield new(between, per_image=False)

    def keeps_of_starts(self, starts: tuple[Shape | None, ...]) -> Iterator[Kept]:
        every = self.layers * self.ways
        for which, size in enumerate((self.width, self.hidden)[: len(starts)]):
            if starts[which] is None:
                yield new(every * size)
            else:
                kept = Kept("input", 1 + which) if every == 1 else new(every * size)._replace(which=1 + which)
                yield kept._replace(moves=(_BATCH_SECOND, Packed()))

    def reach(self, starts: tuple[Shape | None, ...], ends: int) -> Behavior:
        """A token of one way sees those before it; states, and both ways, see all."""
        tokens = plain(self.x[0])
        before: Behavior = WHOLE if self.bidirectional else (Reach(1, 1 - tokens, 0), WHOLE)
        given = sum(start is not None for start in starts)
        of_start = None if self.bidirectional else WHOLE  # a half of the last layer sees its own rows: no more than a bound
        of_sequence = before if not given else Each((before, *(of_start,) * given))
        return EachOutput((of_sequence, *(WHOLE,) * ends)) if ends and not self.bidirectional else of_sequence

    def form(self, starts: tuple[Shape | None, ...], states: bool, options: Any) -> Module:
        name = self.kind.upper()
        first = given(num_layers=(self.layers, 1))
        last = given(bias=(self.bias, True)) | {"batch_first": True}
        last = last | given(dropout=(self.dropout, 0.0), bidirectional=(self.bidirectional, False))
        args, options = (self.x[1], self.hidden), first | options | last
        inputs = "".join(f", {{{i}}}" for i, start in enumerate(starts, 1) if start is not None)
        call = f"{{self}}({{0}}{inputs})"
        if not inputs and not states:
            return Module(f"nn.{name}", args, options, call + "[0]")
        source = _WITH_STATES[self.kind == "lstm"].format(name=name)
        return Module(f"{name}WithStates", args, options, call if states else call + "[0]", source)

    def doubts(self) -> tuple[Doubt, ...]:
        if self.dropout and self.layers == 1:
            return (Doubt("dropout", "dropout acts between layers, and there is one", "`dropout` as a layer of its own, or layers: 2"),)
        return large_part(self.dropout, "dropout")


_WITH_STATES = (
    '''
class {name}WithStates(nn.{name}):
    """{name} whose states have the batch as their first axis: [batch, layers, hidden]."""

    def forward(self, x, start=None):
        if start is not None:
            start = start.transpose(0, 1).contiguous()
        x, state = super().forward(x, start)
        return x, state.transpose(0, 1)
''',
    '''
class {name}WithStates(nn.{name}):
    """{name} whose states and cells have the batch as their first axis: [batch, layers, hidden]."""

    def forward(self, x, start=None, cell=None):
        if start is not None:
            start = start.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous()
        x, (state, cell) = super().forward(x, start)
        return x, state.transpose(0, 1), cell.transpose(0, 1)
''',
)
