"""A group of experts, of which each token asks a few."""

from __future__ import annotations

from typing import Annotated

from archc.ops.facts import Facts, Kept, Module, Weight, Work, given, new
from archc.ops.layout import CONTIGUOUS, PRESERVED, Merge
from archc.ops.reach import Along
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.signature import Fault, Size, one_of

Activation = Annotated[str, one_of("swiglu", "gelu", "relu")]


@op(bare="name the arguments: {experts: {count: 8, hidden: 256, top: 2}}")
def experts(x: Shape, *, count: Size, hidden: Size, top: Size = 2, activation: Activation = "swiglu", renormalize: bool = True) -> Facts:
    """[T, D] -> [T, D]. Each token goes to the `top` of several small networks that a router prefers (Shazeer et al., 2017).

    An expert is two matrices with an activation between them, or with `swiglu` three, down(silu(gate x) * up x), without biases. Their
    results are added, by the router's softmax. As each token asks as many experts, and none is turned away, all counts are exact for
    any routing: T*top times an expert's, and the router's. How long it takes depends on the routing, which no count shows.

    count: how many experts there are
    hidden: features between an expert's matrices
    top: how many experts each token asks
    activation: swiglu as in Mixtral (Jiang et al., 2024), gelu, or relu as in Switch Transformers (Fedus et al., 2021)
    renormalize: whether the softmax is over the chosen experts, whose parts then sum to 1, as in Mixtral; else over all, as in Switch
    """
    if len(x) != 2:
        hint = "make a map into tokens with `tokens`, or `reshape` it"
        raise Fault(None, f"experts work on tokens [T, D]; this has shape {list(x)}", hint)
    if top > count:
        raise Fault("top", f"a token cannot ask {top} experts of {count}", f"top: {count} at most")
    tokens, features = x
    gated, asked = activation == "swiglu", tokens * top
    widened = 2 * hidden if gated else hidden
    router, inside = tokens * count * features, asked * features * (widened + hidden)
    return Facts(
        x,
        weights=(
            Weight("up", (count, widened, features)),
            Weight("down", (count, features, hidden)),
            Weight("router.weight", (count, features)),
        ),
        macs=router + inside,
        work=_work(x, count=count, hidden=hidden, top=top, activation=activation, renormalize=renormalize),
        keeps=(
            Kept("input", moves=(Merge(0, 1),)),
            new(tokens * (top if renormalize else count)),  # the softmax
            new(asked, "int64"),  # which experts
            new(2 * asked, "int64"),  # which tokens each of them reads, and as which of their choices
            new(asked * features),  # these tokens
            new(asked * {"swiglu": 4 * hidden, "gelu": 2 * hidden, "relu": hidden}[activation]),
            new(asked * features),  # what comes out of an expert
            new(asked),  # its part
            new(asked * features),  # and the two multiplied
        ),
        reach=Along((1,)),
        layout=PRESERVED if features == 1 else CONTIGUOUS,
        torch=Module(
            "Experts" if gated else f"{activation.upper() if activation == 'gelu' else 'ReLU'}Experts",
            (features, hidden, count, top),
            given(renormalize=(renormalize, True)),
            source=_SOURCE.format(
                name="Experts" if gated else f"{activation.upper() if activation == 'gelu' else 'ReLU'}Experts",
                widened="2 * hidden" if gated else "hidden",
                between=_GATED if gated else f"y = F.{activation}(F.linear(tokens[rows], self.up[expert]))",
            ),
        ),
        classic=f"EXPERTS-{count}",
    )


def _work(x: Shape, *, count: int, hidden: int, top: int, activation: str, renormalize: bool) -> Work:
    """The router, the largest `top` of its values one after another, a softmax, the experts, and the sum of what they say."""
    tokens, features = x
    asked, units = tokens * top, tokens * top * hidden
    widened = 2 * hidden if activation == "swiglu" else hidden
    macs = tokens * count * features + asked * features * (widened + hidden)
    row = top if renormalize else count
    multiply, add, compare, special = {"swiglu": (2, 1, 0, 2), "gelu": (3, 1, 0, 1), "relu": (0, 0, 1, 0)}[activation]
    return Work(
        multiply=macs + units * multiply + asked * features,
        add=macs - tokens * count - asked * (widened + features) + units * add + tokens * (2 * row - 1) + asked * features,
        compare=tokens * (top * count - top * (top + 1) // 2) + tokens * (row - 1) + units * compare,
        special=2 * tokens * row + units * special,
    )


_GATED = """gate, up = F.linear(tokens[rows], self.up[expert]).chunk(2, dim=-1)
            y = F.silu(gate) * up"""
_SOURCE = '''
class {name}(nn.Module):
    """Each token goes to the `top` experts that the router prefers; what they say is added, by its softmax."""

    def __init__(self, features, hidden, experts, top, renormalize=True):
        super().__init__()
        self.top = top
        self.renormalize = renormalize
        self.router = nn.Linear(features, experts, bias=False)
        self.up = nn.Parameter(torch.empty(experts, {widened}, features).uniform_(-(features**-0.5), features**-0.5))
        self.down = nn.Parameter(torch.empty(experts, features, hidden).uniform_(-(hidden**-0.5), hidden**-0.5))

    def forward(self, x):
        tokens = x.flatten(0, 1)
        parts = self.router(tokens)
        if self.renormalize:
            parts, chosen = parts.topk(self.top, -1)
            parts = parts.softmax(-1)
        else:
            parts, chosen = parts.softmax(-1).topk(self.top, -1)
        out = torch.zeros_like(tokens)
        for expert in range(len(self.up)):
            rows, places = torch.where(chosen == expert)
            {between}
            y = F.linear(y, self.down[expert]) * parts[rows, places, None]
            out.index_add_(0, rows, y.to(out.dtype))
        return out.view(x.shape)
'''
