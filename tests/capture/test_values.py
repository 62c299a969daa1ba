"""Models that decide by values, and transforms of functions: worked out, refused with their place, or kept whole."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.tracing import CaptureError, capture
from tests.helpers.captured import Of, conv, kinds, numel, of


def test_a_branch_by_values_needs_a_tensor() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.a(x) if x.mean() > 0 else m.b(x)

    with pytest.raises(CaptureError, match="give a tensor"):
        of(forward, a=conv(), b=conv(3, 9))
    assert archc.analyze(of(forward, torch.ones(2, 3, 8, 8), a=conv(), b=conv(3, 9))).parameters == numel(conv())
    assert archc.analyze(of(forward, -torch.ones(2, 3, 8, 8), a=conv(), b=conv(3, 9))).parameters == numel(conv(3, 9))


def test_values_that_no_input_bears_on_are_worked_out() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        mask = torch.ones(x.shape[0], 6, dtype=torch.bool, device=x.device)
        mask[:, 4:] = False
        many = int(mask[0].sum())  # 4
        kept = torch.arange(6, device=x.device)[mask[0]]
        return m.b(m.a(x)[:, :, :many]) if not mask.all() and kept.tolist() == [0, 1, 2, 3] else m.a(x)

    graph = of(forward, a=conv(), b=conv(4, 5))
    assert [value.shape for value in graph.outputs.values()] == [(5, 4, 8)]


def test_values_of_the_model_decide_and_stay() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        if m.made == 0:
            m.made.add_(1)
            return m.a(x).relu() if m.made.item() == 1 else m.a(x).tanh()
        return m.a(x)

    for made, found in ((0, ["conv", "relu"]), (1, ["conv"])):
        module = Of(forward, a=conv(), made=torch.tensor(made))
        assert kinds(capture(module, (3, 8, 8))) == found and module.made == made


def test_random_values_are_unknown() -> None:
    with pytest.raises(CaptureError, match="give a tensor"):
        of(lambda m, x: m.a(x) if torch.rand(1) > 0.5 else x, a=conv())
    assert kinds(of(lambda m, x: m.a(x) if torch.rand(1) > 2 else x.relu(), torch.ones(2, 3, 8, 8), a=conv())) == ["relu"]


@pytest.mark.parametrize("message", ["the meta data is missing", "Tensor.item() is what the meta data says", "no tensor on meta"])
def test_an_error_that_speaks_of_meta_is_the_modules_own(message: str) -> None:
    def fails(m: Any, x: Tensor) -> Any:
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match=message.partition("(")[0]) as caught:
        of(fails)
    assert not isinstance(caught.value, archc.ArchcError)


ASKS: dict[str, Any] = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool(x.sum() > 0),
    "int": lambda x: int(x.sum()),
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "cpu": lambda x: x.cpu(),
    "nonzero": lambda x: x.nonzero(),
    "unique": lambda x: x.unique(),
    "mask": lambda x: x[x > 0],
    "where": lambda x: torch.where(x > 0),
    "masked_select": lambda x: x.masked_select(x > 0),
    "equal": lambda x: torch.equal(x, x),
    "one_hot": lambda x: F.one_hot(x.long()),
    "device": lambda x: x + torch.ones(8, device="cpu"),
}


@pytest.mark.parametrize("name", ASKS)
def test_what_torch_says_of_tensors_without_values_is_understood(name: str) -> None:
    with pytest.raises(CaptureError, match="give a tensor"):
        of(lambda m, x: (ASKS[name](x), m.a(x))[1], a=conv())
    graph = of(lambda m, x: (ASKS[name](x.detach()), m.a(x))[1], torch.ones(2, 3, 8, 8), a=conv())
    assert "conv" in kinds(graph)


TRANSFORMS: dict[str, Any] = {
    "vmap": lambda m, x: torch.vmap(lambda y: m.a(y[None])[0])(x),
    "vmap of a function": lambda m, x: torch.vmap(torch.sin)(m.a(x)),
    "grad": lambda m, x: torch.func.grad(lambda y: m.a(y).sum())(x),
    "jacrev": lambda m, x: torch.func.jacrev(lambda y: m.a(y).sum((1, 2, 3)))(x),
    "autograd": lambda m, x: torch.autograd.grad(m.a(x.requires_grad_()).sum(), x, create_graph=True)[0],
    "backward": lambda m, x: (m.a(x).sum().backward(), m.a(x))[1],
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_of_functions_are_refused_with_their_place(name: str) -> None:
    with pytest.raises(CaptureError, match=r"test_values\.py:\d+ (runs under torch\.vmap|takes gradients within forward).*leaves="):
        of(TRANSFORMS[name], a=conv())


def test_a_part_that_transforms_is_kept_whole() -> None:
    class Mapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Any:
            return torch.vmap(self.a)(x)

    graph = capture(Of(lambda m, x: m.b(m.part(x)), part=Mapped(), b=nn.Linear(4, 2)), (8,), leaves=["Mapped"])
    assert kinds(graph) == ["Mapped?", "linear"] and archc.analyze(graph).parameters == 36 + 10
