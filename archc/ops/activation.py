"""Activations: one value in, one value out, and softmax. Each is the torch.nn module of the same name."""

from __future__ import annotations

from typing import Annotated, Any

from archc.ops.bare import COUNTED, axis_alone, is_number
from archc.ops.facts import INPLACE, INPUT, NEW, OUTPUT, Doubt, Facts, Kept, Module, Weight, Work, given, new, weightless
from archc.ops.layout import CONTIGUOUS, ELEMENTWISE, PRESERVED
from archc.ops.reach import POINT, Along
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.signature import Fault, Index, Positive, Real, one_of
from archc.text.quantity import counted

STEEPEST = 1.0  # slope of negative values that is not steeper than that of positive ones

Approximation = Annotated[str, one_of("none", "tanh")]


def _pointwise(
    x: Shape,
    name: str,
    work: tuple[int, int, int, int],
    keeps: tuple[Kept, ...],
    inplace: bool = False,
    args: tuple[float, ...] = (),
    weights: tuple[Weight, ...] = (),
    layout: str = ELEMENTWISE,
    doubts: tuple[Doubt, ...] = (),
    **options: tuple[Any, Any],
) -> Facts:
    """An activation; `work` is (multiplies, adds, compares, special functions) a value."""
    multiply, add, compare, special = (x.values * each if each else 0 for each in work)
    return Facts(
        x,
        weights=weights,
        macs=0,
        work=Work(multiply, add, compare, special),
        keeps=keeps,
        storage=INPLACE if inplace else NEW,
        reach=POINT,
        torch=Module(f"nn.{name}", args, given(**options, inplace=(inplace, False))),
        classic=name.upper(),
        layout=layout,
        doubts=doubts,
    )


def _clone_keeps(x: Shape, inplace: bool) -> tuple[Kept, ...]:
    """PyTorch clones the input of these when they work in place, and keeps the clone: nothing is saved."""
    return (new(x.values),) if inplace else (INPUT,)


def _result(inplace: bool) -> tuple[Kept, ...]:
    """In place, PyTorch keeps the result of these in the input's stead."""
    return (OUTPUT,) if inplace else (INPUT,)


def _highest(value: Any, x: Shape) -> str | None:
    """Keras's ReLU(6)."""
    return "`relu6` cuts at 6; `hardtanh` with low: 0 cuts anywhere" if is_number(value) else None


@op(bare=_highest)
def relu(x: Shape, *, inplace: bool = False) -> Facts:
    """[*] -> [*]. max(x, 0): one compare a value.

    inplace: whether the result is written over the input
    """
    return _pointwise(x, "ReLU", (0, 0, 1, 0), (OUTPUT,), inplace)


@op
def relu6(x: Shape, *, inplace: bool = False) -> Facts:
    """[*] -> [*]. min(max(x, 0), 6): two compares a value.

    inplace: whether the result is written over the input
    """
    return _pointwise(x, "ReLU6", (0, 0, 2, 0), _clone_keeps(x, inplace), inplace, layout=PRESERVED)


@op
def leaky_relu(x: Shape, *, slope: Real = 0.01, inplace: bool = False) -> Facts:
    """[*] -> [*]. x where positive, else slope*x: a compare and a multiply a value.

    slope: factor of negative values
    inplace: whether the result is written over the input
    """
    doubts: tuple[Doubt, ...] = ()
    if abs(slope) > STEEPEST:
        doubts = (Doubt("slope", f"slope is {slope:g}: negative values grow", "it is 0.01 in PyTorch, 0.3 in Keras unless given"),)
    return _pointwise(x, "LeakyReLU", (1, 0, 1, 0), _result(inplace), inplace, doubts=doubts, negative_slope=(slope, 0.01))


def _slopes(value: Any, x: Shape) -> str | None:
    """PyTorch's PReLU(num_parameters)."""
    if isinstance(value, float):
        return f"the slope at the start is {{prelu: {{start: {value:g}}}}}"
    return "`prelu` has one slope, {prelu: {shared: false}} one for each channel" if is_number(value) else None


@op(bare=_slopes)
def prelu(x: Shape, *, shared: bool = True, start: Real = 0.25) -> Facts:
    """[C, *S] -> [C, *S]. leaky_relu with a learned slope (He et al., 2015).

    shared: one slope for all channels, rather than one for each
    start: the slope at the start
    """
    slopes = 1 if shared else x.channels
    weights = (Weight("weight", (slopes,)),)
    return _pointwise(x, "PReLU", (1, 0, 1, 0), (INPUT,), weights=weights, layout=PRESERVED, num_parameters=(slopes, 1), init=(start, 0.25))


@op
def elu(x: Shape, *, alpha: Real = 1.0, inplace: bool = False) -> Facts:
    """[*] -> [*]. x where positive, else alpha*(exp(x) - 1): a compare, exp, subtraction and multiply a value.

    alpha: how far negative values reach
    inplace: whether the result is written over the input
    """
    return _pointwise(x, "ELU", (1, 1, 1, 1), _result(inplace), inplace, alpha=(alpha, 1.0))


@op
def selu(x: Shape, *, inplace: bool = False) -> Facts:
    """[*] -> [*]. 1.0507 * elu(x, 1.6733) (Klambauer et al., 2017).

    inplace: whether the result is written over the input
    """
    return _pointwise(x, "SELU", (2, 1, 1, 1), _result(inplace), inplace)


@op
def celu(x: Shape, *, alpha: Real = 1.0, inplace: bool = False) -> Facts:
    """[*] -> [*]. x where positive, else alpha*(exp(x/alpha) - 1).

    alpha: how far negative values reach
    inplace: whether the result is written over the input
    """
    if not alpha:
        raise Fault("alpha", "celu divides by alpha, so that it cannot be 0")
    return _pointwise(x, "CELU", (1, 1, 1, 2), _result(inplace), inplace, alpha=(alpha, 1.0))


def _approximate_hint(value: Any, x: Shape) -> str | None:
    """Keras's gelu(approximate=True)."""
    return ("write {gelu: tanh}" if value else "write `gelu`") if isinstance(value, bool) else None


@op(bare=_approximate_hint)
def gelu(x: Shape, *, approximate: Approximation = "none") -> Facts:
    """[*] -> [*]. x * normal distribution(x) (Hendrycks & Gimpel, 2016): 0.5*x*(1 + erf(x*0.7071)).

    approximate: `tanh` for the approximation 0.5*x*(1 + tanh(0.7979*(x + 0.0447*x^3)))
    """
    work = (3, 1, 0, 1) if approximate == "none" else (6, 2, 0, 1)
    return _pointwise(x, "GELU", work, (INPUT,), approximate=(approximate, "none"))


@op
def silu(x: Shape, *, inplace: bool = False) -> Facts:
    """[*] -> [*]. x * sigmoid(x), also called swish: exp, add, division and multiply a value.

    inplace: whether the result is written over the input
    """
    return _pointwise(x, "SiLU", (1, 1, 0, 2), _clone_keeps(x, inplace), inplace)


@op
def mish(x: Shape, *, inplace: bool = False) -> Facts:
    """[*] -> [*]. x * tanh(log(1 + exp(x))) (Misra, 2019).

    inplace: whether the result is written over the input
    """
    return _pointwise(x, "Mish", (1, 1, 0, 3), _clone_keeps(x, inplace), inplace)


@op
def sigmoid(x: Shape) -> Facts:
    """[*] -> [*]. 1/(1 + exp(-x)): exp, add and division a value."""
    return _pointwise(x, "Sigmoid", (0, 1, 0, 2), (OUTPUT,))


@op
def tanh(x: Shape) -> Facts:
    """[*] -> [*]. The hyperbolic tangent: one special function a value."""
    return _pointwise(x, "Tanh", (0, 0, 0, 1), (OUTPUT,))


@op
def hardswish(x: Shape, *, inplace: bool = False) -> Facts:
    """[*] -> [*]. x * relu6(x + 3) / 6 (Howard et al., MobileNetV3, 2019).

    inplace: whether the result is written over the input
    """
    return _pointwise(x, "Hardswish", (2, 1, 2, 0), _clone_keeps(x, inplace), inplace)


@op
def hardsigmoid(x: Shape, *, inplace: bool = False) -> Facts:
    """[*] -> [*]. relu6(x + 3) / 6.

    inplace: whether the result is written over the input
    """
    return _pointwise(x, "Hardsigmoid", (1, 1, 2, 0), _clone_keeps(x, inplace), inplace)


@op
def hardtanh(x: Shape, *, low: Real = -1.0, high: Real = 1.0, inplace: bool = False) -> Facts:
    """[*] -> [*]. x, cut to low and high.

    low: the least value
    high: the greatest value
    inplace: whether the result is written over the input
    """
    if low >= high:
        raise Fault("low", f"low, {low:g}, must be less than high, {high:g}")
    return _pointwise(x, "Hardtanh", (0, 0, 2, 0), _clone_keeps(x, inplace), inplace, layout=PRESERVED,
                      min_val=(low, -1.0), max_val=(high, 1.0))  # fmt: skip


@op
def softplus(x: Shape, *, beta: Positive = 1.0, threshold: Real = 20.0) -> Facts:
    """[*] -> [*]. log(1 + exp(beta*x))/beta, and x where beta*x is above the threshold.

    beta: sharpness
    threshold: above it, the function is linear
    """
    if not beta:
        raise Fault("beta", "softplus divides by beta, so that it cannot be 0")
    return _pointwise(x, "Softplus", (1, 1, 1, 3), (INPUT,), beta=(beta, 1.0), threshold=(threshold, 20.0))


@op
def softsign(x: Shape) -> Facts:
    """[*] -> [*]. x/(1 + |x|): a compare, an add and a division a value."""
    return _pointwise(x, "Softsign", (0, 1, 1, 1), (INPUT, new(x.values)))


@op
def logsigmoid(x: Shape) -> Facts:
    """[*] -> [*]. log(1/(1 + exp(-x)))."""
    return _pointwise(x, "LogSigmoid", (0, 1, 0, 3), (INPUT, new(x.values)), layout=CONTIGUOUS)


@op
def tanhshrink(x: Shape) -> Facts:
    """[*] -> [*]. x - tanh(x)."""
    return _pointwise(x, "Tanhshrink", (0, 1, 0, 1), (new(x.values),))


@op
def hardshrink(x: Shape, *, threshold: Positive = 0.5) -> Facts:
    """[*] -> [*]. 0 between -threshold and threshold, else x.

    threshold: what is cut
    """
    return _pointwise(x, "Hardshrink", (0, 0, 2, 0), (INPUT,), lambd=(threshold, 0.5))


@op
def softshrink(x: Shape, *, threshold: Positive = 0.5) -> Facts:
    """[*] -> [*]. 0 between -threshold and threshold, else x moved towards 0 by it.

    threshold: what is cut
    """
    return _pointwise(x, "Softshrink", (0, 1, 2, 0), (INPUT,), lambd=(threshold, 0.5))


@op
def threshold(x: Shape, *, threshold: Real, value: Real, inplace: bool = False) -> Facts:
    """[*] -> [*]. x where above the threshold, else the value.

    threshold: what x must exceed
    value: what stands in its place
    inplace: whether the result is written over the input
    """
    return _pointwise(x, "Threshold", (0, 0, 1, 0), _clone_keeps(x, inplace), inplace, args=(threshold, value))


@op(bare="it halves the first axis, PyTorch's dim=1")
def glu(x: Shape) -> Facts:
    """[2*C, *S] -> [C, *S]. The first half times the sigmoid of the second (Dauphin et al., 2017), along the first axis."""
    if x.channels % 2:
        raise Fault(None, f"glu halves the first axis; this has shape {list(x)}")
    out = Shape((x.channels // 2, *x.space))
    n = out.values
    return weightless(out, work=Work(multiply=n, add=n, special=2 * n), keeps=(INPUT,), reach=Along((0,)),
                 torch=Module("nn.GLU", (1,)), classic="GLU", layout=ELEMENTWISE)  # fmt: skip


@op(bare=axis_alone("softmax"))
def softmax(x: Shape, *, axis: Index = 0) -> Facts:
    """[*] -> [*]. exp(x)/sum(exp(x)) along an axis, after subtracting the largest value: torch.nn.Softmax.

    axis: the axis that sums to 1; 0 is the classes of a vector or the channels of a map, -1 the last
    """
    return _softmax(x, axis, "Softmax", log=False)


@op(bare=axis_alone("log_softmax"))
def log_softmax(x: Shape, *, axis: Index = 0) -> Facts:
    """[*] -> [*]. log(softmax(x)): torch.nn.LogSoftmax.

    axis: the axis whose exponentials sum to 1
    """
    return _softmax(x, axis, "LogSoftmax", log=True)


def _softmax(x: Shape, axis: int, name: str, log: bool) -> Facts:
    if not -len(x) <= axis < len(x):
        raise Fault("axis", f"axis {axis} of a shape with {counted(len(x), 'axis', 'axes')}", COUNTED)
    n, size = x.values, x[axis]
    rows = n // size
    # the largest of a row, its subtraction, exp, the sum; then a division a value, or a logarithm a row and a subtraction a value
    special = n + rows if log else 2 * n
    adds = n + n - rows + (n if log else 0)
    return weightless(
        x,
        work=Work(add=adds, compare=n - rows, special=special),
        keeps=(OUTPUT,),
        reach=Along((axis % len(x),)),
        torch=Module(f"nn.{name}", (), {"dim": axis + 1 if axis >= 0 else axis}),
        classic=name.upper(),
    )
