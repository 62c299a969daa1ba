"""Blocks of transformers against modules written by hand: values, gradients, and the memory of a training step."""

from __future__ import annotations

import json
from typing import Any

import pytest

import archc
from archc.analysis.memory.timeline import Options, training

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn

from tests.analysis.memory.test_saved import agrees as keeps_as_said
from tests.analysis.memory.test_timeline import agrees as peaks_as_said
from tests.helpers.autograd import trained


class Gpt2(nn.Module):
    """The scores of what comes later are -inf before the softmax."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.c_attn(self.ln_1(x)).split(width, 2)
        q, k, v = (one.view(n, tokens, self.heads, -1).transpose(1, 2) for one in (q, k, v))
        scores = q @ k.transpose(2, 3) / (width // self.heads) ** 0.5
        scores = scores.masked_fill(torch.ones(tokens, tokens).tril() == 0, -torch.inf)
        x = x + self.c_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, tokens, width))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class Llama(nn.Module):
    """The second half of features, negated, before the first, times sines; each head of keys is repeated for its queries."""

    def __init__(self, width: int, heads: int, groups: int, hidden: int) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.n1, self.n2 = nn.Parameter(torch.rand(width)), nn.Parameter(torch.rand(width))
        self.q, self.o = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.k, self.v = (nn.Linear(width, groups * self.size, bias=False) for _ in "kv")
        self.gate, self.up = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        y = self.norm(x, self.n1)
        q, k, v = (f(y).view(n, tokens, -1, self.size).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = self.turn(q), self.turn(k)
        k, v = (one.repeat_interleave(self.heads // self.groups, 1) for one in (k, v))
        scores = q @ k.transpose(2, 3) * self.size**-0.5 + torch.full((tokens, tokens), -torch.inf).triu(1)
        x = x + self.o((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, tokens, width))
        y = self.norm(x, self.n2)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))

    def norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight

    def turn(self, x: Tensor) -> Tensor:
        angles = torch.arange(x.shape[2])[:, None] * 10000.0 ** (-torch.arange(0, self.size, 2) / self.size)
        angles = torch.cat([angles, angles], 1)
        a, b = x[..., : self.size // 2], x[..., self.size // 2 :]
        return x * angles.cos() + torch.cat([-b, a], -1) * angles.sin()


class Detr(nn.Module):
    """Of torch's own attention, whose one matrix for queries, keys and values is in three parts here."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.a, self.b = (nn.MultiheadAttention(width, heads, batch_first=True) for _ in "ab")
        self.n1, self.n2, self.n3 = (nn.LayerNorm(width) for _ in "123")
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor, place: Tensor, memory: Tensor, where: Tensor) -> Tensor:
        x = self.n1(x + self.a(x + place, x + place, x)[0])
        x = self.n2(x + self.b(x + place, memory + where, memory)[0])
        return self.n3(x + self.down(F.relu(self.up(x))))


class Swin(nn.Module):
    """The table is looked up by the offsets of rows and columns, pair by pair."""

    def __init__(self, width: int, heads: int, window: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.table = nn.Parameter(torch.randn((2 * window[0] - 1) * (2 * window[1] - 1), heads))

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.n1(x)).reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        rows, columns = self.window
        bias = x.new_zeros(self.heads, tokens, tokens)
        for i in range(tokens):
            for j in range(tokens):
                down, right = i // columns - j // columns + rows - 1, i % columns - j % columns + columns - 1
                bias[:, i, j] = self.table[down * (2 * columns - 1) + right]
        y = (q * (width // self.heads) ** -0.5 @ k.transpose(2, 3) + bias).softmax(-1) @ v
        x = x + self.proj(y.transpose(1, 2).reshape(n, tokens, width))
        return x + self.down(F.gelu(self.up(self.n2(x))))


SWIN = {
    "norm1": "layernorm",
    "attn": {"window_attention": {"heads": 4, "window": [2, 3]}},
    "add_1": {"from": ["attn", "x"], "add": None},
    "norm2": "layernorm",
    "mlp": {"layers": [{"linear": 64}, "gelu", {"linear": 16}]},
    "add_2": {"from": ["mlp", "add_1"], "add": None},
}
LLAMA = {"it": {"llama_block": {"heads": 4, "kv_heads": 2, "hidden": 24}}}
DETR = {"it": {"from": ["x", "place", "memory", "where"], "detr_decoder": {"heads": 4, "hidden": 24}}}
CASES: dict[str, tuple[dict[str, list[int]], dict[str, Any], Any]] = {
    "gpt2": ({"x": [6, 16]}, {"it": {"gpt2_block": {"heads": 4}}}, lambda: Gpt2(16, 4)),
    "llama": ({"x": [6, 16]}, LLAMA, lambda: Llama(16, 4, 2, 24)),
    "detr": ({"x": [6, 16], "place": [6, 16], "memory": [5, 16], "where": [5, 16]}, DETR, lambda: Detr(16, 4, 24)),
    "swin": ({"x": [6, 16]}, SWIN, lambda: Swin(16, 4, (2, 3))),
}  # fmt: skip


ORDER = {
    "gpt2": "ln_1 c_attn c_proj ln_2 up down",
    "llama": "n1 q k v o n2 gate up down",
    "detr": "a n1 b n2 up down n3",
    "swin": "n1 qkv table proj n2 up down",
}  # of the parts, as the blocks have them


def weights_of(part: nn.Module | Tensor) -> list[Tensor]:
    """The weights of a part; of torch's attention a third of its first matrix and bias for each projection."""
    if isinstance(part, Tensor):
        return [part]
    if not isinstance(part, nn.MultiheadAttention):
        return list(part.parameters())
    thirds = zip(part.in_proj_weight.chunk(3), part.in_proj_bias.chunk(3), strict=True)
    return [*(one for pair in thirds for one in pair), part.out_proj.weight, part.out_proj.bias]


@pytest.mark.parametrize("name", CASES)
def test_a_block_is_the_one_that_was_written_by_hand(name: str) -> None:
    shapes, layers, by_hand = CASES[name]
    torch.manual_seed(1)
    theirs, ours = by_hand(), archc.build(archc.loads(json.dumps({"input": shapes, "layers": layers})))
    wanted = [one for part in ORDER[name].split() for one in weights_of(getattr(theirs, part))]
    with torch.no_grad():
        for mine, yours in zip(ours.parameters(), wanted, strict=True):
            mine.copy_(yours)
    results = []
    given = [torch.randn(2, *shape) for shape in shapes.values()]
    for module in (theirs, ours):
        inputs = [one.clone().requires_grad_() for one in given]
        out = module(*inputs)
        out.square().sum().backward()
        results.append([out, *(one.grad for one in inputs)])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_its_memory_is_known_to_the_byte(name: str) -> None:
    shapes, layers, _ = CASES[name]
    graph = archc.loads(json.dumps({"input": shapes, "layers": layers}))
    options = Options(2, optimizer="adam")
    assert training(graph, options).bound.reasons == ()
    peaks_as_said(graph, options)
    keeps_as_said(graph, trained(graph, 2), 2)


def test_an_encoder_is_that_of_torch() -> None:
    """By the names of its weights, too."""
    theirs = nn.TransformerEncoderLayer(16, 4, 24, dropout=0.0, batch_first=True)
    spec = "{input: [6, 16], layers: {it: {transformer_encoder_post_norm: {heads: 4, hidden: 24}}}}"
    ours = archc.build(archc.loads(spec))
    ours.load_state_dict({f"it.{name}": one for name, one in theirs.state_dict().items()})
    x = torch.randn(2, 6, 16)
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)
