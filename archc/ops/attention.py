"""Multi-head attention, and the product of queries, keys and values alone."""

from __future__ import annotations

from typing import Any

from archc.ops.bare import large_part, whole_numbers
from archc.ops.facts import INPUT, OUTPUT, Doubt, Expression, Facts, Kept, Module, Weight, Work, given, new
from archc.ops.layout import CONTIGUOUS, PRESERVED, Axes, Merge
from archc.ops.reach import POINT, WHOLE, Along, Bins, Each, Reach
from archc.ops.registry import op
from archc.ops.shape import Shape, divisors, product
from archc.ops.tracked import plain
from archc.signature import Fault, Positive, Probability, Size, is_int

MANY_FEATURES = 16


def _embedding(value: Any, x: Shape) -> str | None:
    """PyTorch's MultiheadAttention(embed_dim, num_heads)."""
    numbers = whole_numbers(value)
    if len(numbers) == 2 and numbers[0] == x.features:
        return f"the features come from the input: {{attention: {numbers[1]}}}"
    if is_int(value, 2) and value == x.features:
        return f"the {value} features come from the input; name the heads, {{attention: {{heads: …}}}}"
    return None


@op(bare=_embedding)
def attention(x: Shape, memory: Shape | None = None, *, heads: Size, bias: bool = True, dropout: Probability = 0.0) -> Facts:
    """[T, D] -> [T, D], or [T, D], [S, D] -> [T, D]. Multi-head attention (Vaswani et al., 2017): torch.nn.MultiheadAttention.

    With one input, every token asks every token; with two, the first asks the second. MACs: the projections of
    queries, keys, values and output, and the two products of each head.

    heads: how many heads share the features
    bias: whether the projections have biases
    dropout: part of the attention that is dropped in training
    """
    if len(x) != 2:
        raise Fault(None, f"attention needs tokens [T, D]; this has shape {list(x)}", "make a map into tokens with `tokens`")
    tokens, features = x
    if features % heads:
        raise Fault("heads", f"{heads} heads do not divide {features} features", divisors(features, heads, "heads"))
    asked = tokens
    if memory is not None:
        if len(memory) != 2 or memory.features != features:
            raise Fault(None, f"attention of {list(x)} cannot ask {list(memory)}", f"both need {features} features")
        asked = memory[0]
    projections = tokens * features * features * 2 + asked * features * features * 2
    products = 2 * tokens * asked * features
    scores = heads * tokens * asked
    weights = [Weight("in_proj_weight", (3 * features, features)), Weight("out_proj.weight", (features, features))]
    if bias:
        weights[1:1] = [Weight("in_proj_bias", (3 * features,), "bias")]
        weights.append(Weight("out_proj.bias", (features,), "bias"))
    macs = projections + products
    biases = 2 * tokens * features + 2 * asked * features if bias else 0
    return Facts(
        x,
        weights=tuple(weights),
        macs=macs,
        # beside the products: scaling a query, and the softmax of each row of scores
        work=Work(
            multiply=macs + tokens * features,
            add=macs - 2 * (tokens + asked) * features + biases - tokens * features - scores + scores + scores - heads * tokens,
            compare=scores - heads * tokens,
            special=2 * scores,
        ),
        keeps=_keeps(x, memory, heads, dropout),
        keeps_alike=None if memory is None else _keeps(x, None, heads, dropout),
        moves=((_TOKENS_FIRST,),),
        reach=WHOLE if memory is None else Each((Along((1,)), WHOLE)),
        torch=Module(
            "nn.MultiheadAttention",
            (features, heads),
            given(dropout=(float(dropout), 0.0), bias=(bias, True)) | {"batch_first": True},
            "{self}({0}, {0}, {0}, need_weights=False)[0]" if memory is None else "{self}({0}, {1}, {1}, need_weights=False)[0]",
        ),
        classic=f"ATTENTION-{heads}",
        doubts=_heads_doubted(heads, features) + large_part(dropout, "dropout"),
    )


@op(bare="it needs no number: write `scaled_dot_product_attention`, with queries, keys and values in `from`")
def scaled_dot_product_attention(
    q: Shape, k: Shape, v: Shape, mask: Shape | None = None, *, causal: bool = False, dropout: Probability = 0.0,
    scale: Positive | None = None,
) -> Facts:  # fmt: skip
    """[H, T, D], [G, S, D], [G, S, E] -> [H, T, E]. Values by how well their keys fit the queries, without any weights.

    torch.nn.functional.scaled_dot_product_attention: softmax(scale q k^T) v for each head. A fourth input [T, S] or [H, T, S] is added
    to the products before the softmax: a bias, or a mask with -inf where nothing is asked; an axis of it may be 1. Where there are
    fewer keys and values than queries (G divides H), H/G heads share each (Ainslie et al., GQA, 2023). Counts are of all pairs, also
    where `causal` leaves out half of them, as torch's kernels and counters have it. The fused kernel, which keeps no scores, takes
    three axes, features side by side in memory, values as wide as keys, no dropout, and a mask that needs no gradient.

    causal: whether a token asks only itself and those before it
    dropout: part of the attention that is dropped in training
    scale: factor of the products, 1 / sqrt(D) unless it is given
    """
    _check_asked(q, k, v)
    if mask is not None:
        _check_mask(q, k, mask, causal)
    heads, tokens, asked, features, width = product(q[:-2]), q[-2], k[-2], q[-1], v[-1]
    grouped = q[:-2] != k[:-2]
    scores = heads * tokens * asked
    macs = scores * features + scores * width
    alone, asks = (POINT,) * (len(q) - 2), Reach(1, 1 - max(plain(tokens), plain(asked)), 0) if causal else WHOLE
    groups = (Bins(plain(k[0]), plain(q[0]), nearest=True),) if grouped else alone
    rules = ((*alone, POINT, WHOLE), (*groups, asks, WHOLE), (*groups, asks, POINT))
    fused = len(q) == 3 and features == width and not dropout
    # of the kernel: what goes in and out, and a sum for each row of scores
    inputs = (INPUT, Kept("input", 1), Kept("input", 2), *((Kept("input", 3),) if mask is not None else ()))
    apart = _keeps_apart(q, k, v, mask is not None, dropout)
    return Facts(
        Shape((*q[:-1], width)),
        weights=(),
        macs=macs,
        # beside the products: scaling a query, adding the mask, and the softmax of each row of scores
        work=Work(
            multiply=macs + q.values,
            add=macs - scores - heads * tokens * width + (scores if mask is not None else 0) + scores + scores - heads * tokens,
            compare=scores - heads * tokens,
            special=2 * scores,
        ),
        keeps=(*inputs, OUTPUT, new(heads * tokens, "float32")) if fused else apart,
        unfused=apart if fused else None,
        layout=PRESERVED if fused else CONTIGUOUS,
        reach=Each(rules if mask is None else (*rules, WHOLE)),
        torch=_asking(dropout, causal, scale, grouped, "" if mask is None else "{3}" + ".unsqueeze(1)" * (len(q) - len(mask))),
        classic="ATTENTION",
        doubts=large_part(dropout, "dropout"),
    )


def _asking(dropout: float, causal: bool, scale: float | None, grouped: bool, mask: str) -> Expression | Module:
    """The function, or with dropout a module that drops in training alone."""
    options = {"is_causal": causal} | ({"scale": float(scale)} if scale is not None else {}) | {"enable_gqa": grouped}
    written = {name: value for name, value in options.items() if value is not False}
    masked = f", attn_mask={mask}" * bool(mask)
    if dropout:
        call = "{self}({0}, {1}, {2}" + masked + ")"
        return Module("DotProductAttention", (float(dropout),), written, call, _DOT_PRODUCT_ATTENTION)
    told = "".join(f", {name}={value}" for name, value in written.items())
    return Expression("F.scaled_dot_product_attention({0}, {1}, {2}" + masked + told + ")")


_DOT_PRODUCT_ATTENTION = '''
class DotProductAttention(nn.Module):
    """Scaled dot-product attention that drops some of it in training."""

    def __init__(self, dropout, **options):
        super().__init__()
        self.dropout, self.options = dropout, options

    def forward(self, q, k, v, attn_mask=None):
        dropout = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, attn_mask, dropout, **self.options)
'''


def _check_asked(q: Shape, k: Shape, v: Shape) -> None:
    """Whether keys and values are those of the queries' heads, or of groups of them."""
    if len(q) < 2 or len(k) != len(q) or len(v) != len(q):
        raise Fault(
            None,
            f"queries, keys and values of {list(q)}, {list(k)} and {list(v)}",
            "all three have the same axes: [heads, tokens, features]",
        )
    shared = len(q) == 3 and q[0] % k[0] == 0
    if (q[:-2] != k[:-2] and not shared) or k[:-1] != v[:-1] or q[-1] != k[-1]:
        fits = f"keys {list(q[:-2])} + [S, {q[-1]}] and values {list(q[:-2])} + [S, E]"
        raise Fault(None, f"queries {list(q)} do not fit keys {list(k)} and values {list(v)}", fits)


def _check_mask(q: Shape, k: Shape, mask: Shape, causal: bool) -> None:
    """Whether a mask is as the scores are, or is stretched to them."""
    scores = (*q[:-1], k[-2])
    wanted = scores[-len(mask) :] if 2 <= len(mask) <= len(q) else ()
    if len(wanted) != len(mask) or mask[-1] != wanted[-1] or any(one not in (1, size) for one, size in zip(mask, wanted, strict=True)):
        hint = f"it is added to the products of queries and keys: {list(scores[-2:])} or {list(scores)}"
        raise Fault(None, f"a mask of {list(mask)} does not fit scores of {list(scores)}", hint)
    if causal:
        raise Fault("causal", "PyTorch takes a mask or `causal`, not both", "leave out `causal`, and let the mask say it")


def _keeps_apart(q: Shape, k: Shape, v: Shape, masked: bool, dropout: float) -> tuple[Kept, ...]:
    """Of torch's steps without a fused kernel: scaled queries and keys, the scores, what dropout leaves of them, and the values."""
    heads, scores = product(q[:-2]), product(q[:-1]) * k[-2]
    repeats = heads // product(k[:-2])
    by = (0, 1, 3) if masked else (0, 1)
    weights = [new(scores)]
    if dropout:
        weights = [*(one._replace(wanted_by=by) for one in (new(scores), new(scores, "mask"))), new(scores)._replace(wanted_by=(2,))]
    merge = (Merge(0, len(v) - 2),) if len(v) > 2 else ()
    values = new(repeats * v.values) if repeats > 1 else Kept("input", 2, v.values, moves=merge)
    return (
        new(q.values)._replace(wanted_by=(1,)),
        new(repeats * k.values)._replace(wanted_by=(0,)),
        *weights,
        values._replace(wanted_by=by),
    )


def _heads_doubted(heads: int, features: int) -> tuple[Doubt, ...]:
    """As many heads as features, the number that PyTorch calls embed_dim."""
    if heads < features or features < MANY_FEATURES:
        return ()
    return (Doubt("heads", f"{heads} heads share {features} features: each has one", "the features come from the input"),)


_TOKENS_FIRST = Axes((1, 0, 2))


def _fold_tokens(which: int, x: Shape) -> Kept:
    """PyTorch puts the tokens before the batch: a copy, unless there is one token or the input lies so already."""
    kept = Kept("input", which) if x[0] == 1 else Kept("new", which, x.values)
    return kept._replace(moves=(_TOKENS_FIRST, Merge(0, 1)))


def _keeps(x: Shape, memory: Shape | None, heads: int, dropout: float) -> tuple[Kept, ...]:
    """The inputs, their queries, keys and values, the result before its projection, and a sum for each row of scores.

    PyTorch puts the tokens before the batch, which copies them unless there is one. With dropout there is no fused kernel on
    the CPU: scaled queries and keys, the scores, their mask and what it leaves are kept in the place of queries and sums.
    """
    tokens, features = x
    asked = tokens if memory is None else memory[0]
    inputs = [_fold_tokens(i, shape) for i, shape in enumerate((x, memory)) if shape is not None]
    queries, scores = new(tokens * features), heads * tokens * asked
    projected = [new(3 * tokens * features)] if memory is None else [new(2 * asked * features)]
    if dropout:
        parts = (queries, new(asked * features), new(scores), new(scores, "mask"), new(scores))
    else:
        parts = (*(() if memory is None else (queries,)), new(heads * tokens))
    return (*inputs, *projected, *parts, new(tokens * features))
