"""Regularization that acts in training alone. In the deployed network these layers are the identity and cost nothing."""

from __future__ import annotations

from archc.ops.bare import large_part
from archc.ops.facts import INPLACE, NEW, VIEW, Facts, Kept, Module, Work, given, new, weightless
from archc.ops.layout import ELEMENTWISE, SCALED
from archc.ops.reach import POINT
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.ops.window import spatial
from archc.signature import Probability


@op
def dropout(x: Shape, *, p: Probability = 0.5, inplace: bool = False) -> Facts:
    """[*] -> [*]. In training, values are zeroed with probability p (Srivastava et al., 2014): torch.nn.Dropout.

    p: the probability
    inplace: whether the result is written over the input
    """
    return _dropping(x, p, "nn.Dropout", _noise(p, new(x.values, "mask")), None, inplace)


@op
def spatial_dropout(x: Shape, *, p: Probability = 0.5) -> Facts:
    """[C, *S] -> [C, *S]. In training, whole channels are zeroed (Tompson et al., 2015): torch.nn.Dropout1d, 2d, 3d.

    p: the probability
    """
    rank = len(spatial(x, "spatial_dropout"))
    return _dropping(x, p, f"nn.Dropout{rank}d", _noise(p, new(x.channels)), (x.channels, *(1,) * rank))


@op
def drop_path(x: Shape, *, p: Probability = 0.0) -> Facts:
    """[*] -> [*]. In training, the whole value of an image is zeroed: stochastic depth (Huang et al., 2016).

    p: the probability
    """
    return _dropping(x, p, "DropPath", (new(1),) if p < 1 else (), (1,) * len(x), source=_DROP_PATH)


def _noise(p: float, mask: Kept) -> tuple[Kept, ...]:
    """With p = 1, PyTorch multiplies by a single zero."""
    return (mask,) if p < 1 else (new(1, per_image=False),)


def _dropping(
    x: Shape, p: float, name: str, keeps: tuple[Kept, ...], noise: tuple[int, ...] | None, inplace: bool = False, source: str = ""
) -> Facts:
    """With p = 0, PyTorch hands the input on."""
    return weightless(
        x,
        work=Work(),
        keeps=keeps if p > 0 else (),
        storage=VIEW if p == 0 else INPLACE if inplace else NEW,
        reach=POINT,
        torch=Module(name, (float(p),), given(inplace=(inplace, False)), source=source),
        classic="DROPOUT",
        identity_in_eval=True,
        layout=SCALED if p == 1 else ELEMENTWISE,
        operand_shape=noise if p < 1 else None,
        doubts=large_part(p),
    )


_DROP_PATH = '''
class DropPath(nn.Module):
    """Stochastic depth: in training, an image's value is zeroed with probability p, else scaled by 1/(1 - p)."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0.0:
            return x
        if self.p == 1.0:
            return x * 0.0
        keep = x.new_empty([x.shape[0]] + [1] * (x.dim() - 1)).bernoulli_(1.0 - self.p)
        return x * keep.div_(1.0 - self.p)
'''
