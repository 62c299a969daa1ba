"""Multi-head attention, and the product of queries, keys and values alone."""

from __future__ import annotations

from typing import Any

from archc.ops.bare import large_part, whole_numbers
from archc.ops.facts import INPUT, OUTPUT, Doubt, Expression, Facts, Kept, Module, Weight, Work, given, new
from archc.ops.layout import CONTIGUOUS, PRESERVED, Axes, Merge
from archc.ops.reach import POINT, WHOLE, Along, Each, Reach
from archc.ops.registry import op
from archc.ops.shape import Shape, divisors, product
from archc.signature import Fault, Probability, Size, is_int

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
def scaled_dot_product_attention(q: Shape, k: Shape, v: Shape, *, causal: bool = False, dropout: Probability = 0.0) -> Facts:
    """[H, T, D], [H, S, D], [H, S, E] -> [H, T, E]. Values by how well their keys fit the queries, without any weights.

    torch.nn.functional.scaled_dot_product_attention: softmax(q k^T / sqrt(D)) v for each head. Counts are of all pairs, also where
    `causal` leaves out half of them, as torch's kernels and counters have it. What backward keeps is that of the fused kernel, which
    takes three axes, features that lie side by side in memory, values as wide as keys, and no dropout.

    causal: whether a token asks only itself and those before it
    dropout: part of the attention that is dropped in training
    """
    if len(q) < 2 or len(k) != len(q) or len(v) != len(q):
        raise Fault(
            None,
            f"queries, keys and values of {list(q)}, {list(k)} and {list(v)}",
            "all three have the same axes: [heads, tokens, features]",
        )
    if q[:-2] != k[:-2] or k[:-1] != v[:-1] or q[-1] != k[-1]:
        fits = f"keys {list(q[:-2])} + [S, {q[-1]}] and values {list(q[:-2])} + [S, E]"
        raise Fault(None, f"queries {list(q)} do not fit keys {list(k)} and values {list(v)}", fits)
    heads, tokens, asked, features, width = product(q[:-2]), q[-2], k[-2], q[-1], v[-1]
    scores = heads * tokens * asked
    macs = scores * features + scores * width
    alone, asks = (POINT,) * (len(q) - 2), Reach(1, 1 - max(int(tokens), int(asked)), 0) if causal else WHOLE
    fused = len(q) == 3 and features == width and not dropout
    return Facts(
        Shape((*q[:-1], width)),
        weights=(),
        macs=macs,
        # beside the products: scaling a query, and the softmax of each row of scores
        work=Work(
            multiply=macs + q.values,
            add=macs - scores - heads * tokens * width + scores + scores - heads * tokens,
            compare=scores - heads * tokens,
            special=2 * scores,
        ),
        # of the kernel: what goes in and out, and a sum for each row of scores. Where there is none, torch's steps and their copies vary
        keeps=(INPUT, Kept("input", 1), Kept("input", 2), OUTPUT, new(heads * tokens, "float32")) if fused else None,
        layout=PRESERVED if fused else CONTIGUOUS,
        reach=Each(((*alone, POINT, WHOLE), (*alone, asks, WHOLE), (*alone, asks, POINT))),
        torch=Expression(
            "F.scaled_dot_product_attention({0}, {1}, {2}"
            + f", dropout_p={float(dropout)}" * bool(dropout)
            + ", is_causal=True" * causal
            + ")"
        ),
        classic="ATTENTION",
        doubts=large_part(dropout, "dropout"),
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
