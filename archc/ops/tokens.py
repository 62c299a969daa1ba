"""From maps to sequences of tokens."""

from __future__ import annotations

from archc.ops.facts import VIEW, Expression, Facts, Weight, Work, weightless
from archc.ops.layout import ELEMENTWISE, Axes, Merge
from archc.ops.reach import MOVED, POINT, Joined
from archc.ops.registry import op
from archc.ops.shape import Shape, product
from archc.ops.tracked import plain
from archc.ops.window import spatial
from archc.signature import Fault


@op
def tokens(x: Shape) -> Facts:
    """[C, *S] -> [T, C]. Each position of the map as a token, T = product of S. A view."""
    out = Shape((product(spatial(x, "tokens")), x.channels))
    torch, moves = Expression("{0}.flatten(2).transpose(1, 2)"), ((Merge(2), Axes((0, 2, 1))),)
    return weightless(out, work=Work(), keeps=(), storage=VIEW, reach=MOVED, torch=torch, classic="TOKENS", moves=moves)


@op
def class_token(x: Shape) -> Facts:
    """[T, D] -> [T + 1, D]. A learned token before the others (Dosovitskiy et al., ViT, 2021)."""
    _sequence(x, "class_token")
    tokens, features = x
    return Facts(
        Shape((tokens + 1, features)),
        weights=(Weight("", (1, 1, features)),),
        macs=0,
        work=Work(),
        keeps=(),
        reach=Joined(0, before=1),
        torch=Expression("torch.cat([{self}.expand({0}.shape[0], -1, -1), {0}], 1)", f"torch.zeros(1, 1, {plain(features)})"),
        classic="CLASS TOKEN",
    )


@op
def position_embedding(x: Shape) -> Facts:
    """[T, D] -> [T, D]. A learned vector added to each token."""
    _sequence(x, "position_embedding")
    tokens, features = x
    return Facts(
        x,
        weights=(Weight("", (1, tokens, features)),),
        macs=0,
        work=Work(add=x.values),
        keeps=(),
        reach=POINT,
        torch=Expression("{0} + {self}", f"torch.randn(1, {plain(tokens)}, {plain(features)}) * 0.02"),
        classic="POSITION",
        layout=ELEMENTWISE,
    )


def _sequence(x: Shape, what: str) -> None:
    if len(x) != 2:
        raise Fault(None, f"{what} needs tokens [T, D]; this has shape {list(x)}", "make a map into tokens with `tokens`")
