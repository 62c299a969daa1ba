"""How weights begin: the initializers of torch.nn.init by name, and the rules that say which tensor takes which.

The one table: the language binds a spec's arguments with it, and emitted source calls what it names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, get_args

from archc.signature import MISSING, NAMED, Fault, Param, Positive, Signature, Size, Type, one_of, shown

Target = TypeVar("Target")
Number = Annotated[float, NAMED["float"]]
Mode = Annotated[str, one_of("fan_in", "fan_out")]
Nonlinearity = Annotated[str, one_of("leaky_relu", "relu", "linear", "sigmoid", "tanh", "selu")]
Check = Callable[[Mapping[str, Any]], Fault | None]


class Initializer(NamedTuple):
    """A function of torch.nn.init, without its trailing underscore.

    signature: what a spec may write, with torch's defaults; the first argument is the main one
    torch: what torch calls an argument, where it has another name
    least, most: how many axes the tensor may have
    check: a Fault where arguments that are each right do not go together
    """

    doc: str
    signature: Signature
    torch: Mapping[str, str] = MappingProxyType({})
    least: int = 0
    most: int | None = None
    check: Check = lambda arguments: None

    def options(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that differ from torch's defaults, under torch's names."""
        params = self.signature.params
        return {self.torch.get(name, name): value for name, value in arguments.items() if value != params[name].default}

    def arguments(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The same the other way: options as a spec writes them."""
        names = {torch_name: here for here, torch_name in self.torch.items()}
        return {names.get(name, name): value for name, value in options.items()}

    def refusal(self, shape: tuple[int, ...], options: Mapping[str, Any]) -> Fault | None:
        """Why a tensor of this shape cannot begin so; None where it can."""
        rank = len(shape)
        if rank < self.least or (self.most is not None and rank > self.most):
            wanted = f"{self.least} to {self.most} axes" if self.most else f"{self.least} axes or more"
            return Fault(None, f"needs {wanted}", "normal, uniform, constant, zeros and ones take any shape")
        groups = options.get("groups", 1)
        return Fault(None, f"needs a number of filters that {groups} groups divide") if shape and shape[0] % groups else None


class InitRule(NamedTuple, Generic[Target]):
    """A rule of `init`, and the tensors that it decides: those that no later rule takes.

    by: `op`, the tensors of an operator's layers, or `pattern`, over the names of tensors (an exact name is one)
    key: the pattern or the operator, as written
    op, tensor: for `op`, the operator and the tensor's name in it; an empty `tensor` is its weights
    function, options: the initializer, and what differs from torch's defaults under torch's names
    """

    by: str
    key: str
    op: str
    tensor: str
    function: str
    options: Mapping[str, Any]
    targets: tuple[Target, ...]

    @property
    def call(self) -> tuple[str, dict[str, Any]]:
        """The function of torch.nn.init, `kaiming_normal_`, and its options: numbers and words."""
        return f"{self.function}_", dict(self.options)

    @property
    def how(self) -> str | dict[str, dict[str, Any]]:
        """As a spec writes it: a name, or a name with its arguments."""
        arguments = INITIALIZERS[self.function].arguments(self.options)
        return {self.function: arguments} if arguments else self.function


def _takes(**params: tuple[Any, Any, str]) -> Signature:
    """A signature from (type, default, meaning)."""
    types = {name: next(arg for arg in get_args(annotation) if isinstance(arg, Type)) for name, (annotation, _, _) in params.items()}
    return Signature({name: Param(name, types[name], default, doc) for name, (_, default, doc) in params.items()})


def _slope(arguments: Mapping[str, Any]) -> Fault | None:
    if arguments["a"] == 0 or arguments["nonlinearity"] == "leaky_relu":
        return None
    return Fault("a", f"a is the slope of leaky_relu; the nonlinearity is {arguments['nonlinearity']}", "leave one of them out", "A404")


def _bounds(arguments: Mapping[str, Any]) -> Fault | None:
    low, high = arguments["low"], arguments["high"]
    if low < high:
        return None
    return Fault("high", f"high is {shown(high)}, which is not above low, {shown(low)}", "low: -0.1, high: 0.1", "A404")


_KAIMING = _takes(
    mode=(Mode, "fan_in", "whose size keeps its variance: fan_in forwards, fan_out backwards"),
    nonlinearity=(Nonlinearity, "leaky_relu", "what follows the layer"),
    a=(Number, 0, "slope of leaky_relu below 0"),
)
_XAVIER = _takes(gain=(Number, 1, "factor of the spread"))
_NONE = Signature({})

INITIALIZERS: dict[str, Initializer] = {
    "kaiming_normal": Initializer("normal, by the fan and what follows (He et al., 2015)", _KAIMING, least=2, check=_slope),
    "kaiming_uniform": Initializer("uniform, by the fan and what follows (He et al., 2015)", _KAIMING, least=2, check=_slope),
    "xavier_normal": Initializer("normal, by both fans (Glorot & Bengio, 2010)", _XAVIER, least=2),
    "xavier_uniform": Initializer("uniform, by both fans (Glorot & Bengio, 2010)", _XAVIER, least=2),
    "normal": Initializer("normal", _takes(std=(Positive, 1, "standard deviation"), mean=(Number, 0, "mean"))),
    "trunc_normal": Initializer(
        "normal, redrawn outside the bounds",
        _takes(
            std=(Positive, 1, "standard deviation"),
            mean=(Number, 0, "mean"),
            low=(Number, -2, "the least value, not in standard deviations"),
            high=(Number, 2, "the largest value"),
        ),
        {"low": "a", "high": "b"},
        check=_bounds,
    ),
    "uniform": Initializer(
        "uniform between two bounds",
        _takes(low=(Number, MISSING, "the least value"), high=(Number, MISSING, "the largest value")),
        {"low": "a", "high": "b"},
        check=_bounds,
    ),
    "constant": Initializer("one value", _takes(value=(Number, MISSING, "the value")), {"value": "val"}),
    "zeros": Initializer("zeros", _NONE),
    "ones": Initializer("ones", _NONE),
    "orthogonal": Initializer("orthogonal rows or columns (Saxe et al., 2013)", _XAVIER, least=2),
    "dirac": Initializer(
        "a convolution that passes its input on", _takes(groups=(Size, 1, "parts that are convolved separately")), least=3, most=5
    ),
}
