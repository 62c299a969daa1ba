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
    """Window by window, and pair by pair of its tokens: a row of the table for how far they are apart, and -100 where rolling the map has
    brought them together."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads))

    def forward(self, x: Tensor) -> Tensor:
        size, step = x.shape[1], self.window
        y = self.n1(x).roll((-self.shift, -self.shift), (1, 2))
        rows = []
        for top in range(0, size, step):
            row = [self.attend(y[:, top : top + step, left : left + step], top, left, size) for left in range(0, size, step)]
            rows.append(torch.cat(row, 2))
        x = x + torch.cat(rows, 1).roll((self.shift, self.shift), (1, 2))
        return x + self.down(F.gelu(self.up(self.n2(x))))

    def attend(self, x: Tensor, top: int, left: int, size: int) -> Tensor:
        n, step, width = x.shape[0], self.window, x.shape[3]
        q, k, v = self.qkv(x.reshape(n, step * step, width)).reshape(n, step * step, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        places = [(i, j) for i in range(step) for j in range(step)]
        origins = [((top + i + self.shift) % size, (left + j + self.shift) % size) for i, j in places]
        bias = []
        for (i, j), (a, b) in zip(places, origins, strict=True):
            for (down, right), (c, d) in zip(places, origins, strict=True):
                row = self.table[(i - down + step - 1) * (2 * step - 1) + j - right + step - 1]
                bias.append(row - 100.0 * ((a - c, b - d) != (i - down, j - right)))
        scores = q * (width // self.heads) ** -0.5 @ k.transpose(2, 3) + torch.stack(bias, 1).view(-1, step * step, step * step)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, step * step, width)).view(n, step, step, width)


def swin(shift: int) -> dict[str, Any]:
    return {"last": {"permute": [1, 2, 0]}, "it": {"swin_block": {"heads": 4, "window": 2, "shift": shift}}}


LLAMA = {"it": {"llama_block": {"heads": 4, "kv_heads": 2, "hidden": 24}}}
DETR = {"it": {"from": ["x", "place", "memory", "where"], "detr_decoder": {"heads": 4, "hidden": 24}}}
CASES: dict[str, tuple[dict[str, list[int]], dict[str, Any], Any]] = {
    "gpt2": ({"x": [6, 16]}, {"it": {"gpt2_block": {"heads": 4}}}, lambda: Gpt2(16, 4)),
    "llama": ({"x": [6, 16]}, LLAMA, lambda: Llama(16, 4, 2, 24)),
    "detr": ({"x": [6, 16], "place": [6, 16], "memory": [5, 16], "where": [5, 16]}, DETR, lambda: Detr(16, 4, 24)),
    "swin": ({"x": [8, 4, 4]}, swin(0), lambda: Swin(8, 4, 2, 0)),
    "shifted": ({"x": [8, 4, 4]}, swin(1), lambda: Swin(8, 4, 2, 1)),
}  # fmt: skip


ORDER = {
    "gpt2": "ln_1 c_attn c_proj ln_2 up down",
    "llama": "n1 q k v o n2 gate up down",
    "detr": "a n1 b n2 up down n3",
    "swin": "n1 qkv table proj n2 up down",
    "shifted": "n1 qkv table proj n2 up down",
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
        turned = [one.permute(0, 2, 3, 1) if isinstance(module, Swin) else one for one in inputs]
        out = module(*turned)
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
