"""Optimizers: what may be written of each, the class that does it, what it keeps for a weight and what its step makes on the way.

The one table: recipes, the memory analyses and training all read it. A recipe's arguments are those of the class, with its defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType
from typing import Any, NamedTuple

from archc.signature import FLAG, Fault, Signature, Type, shown
from archc.signature.choices import BELOW_ONE, FRACTION, FROM_ZERO, POSITIVE, Choice, number, pair, takes

Arguments = Mapping[str, Any]


class Optimizer(NamedTuple):
    """One optimizer.

    torch: its class in torch.optim; empty for one that torch.optim lacks, and that archc has itself
    fixed: arguments of that class which the name stands for
    keeps: tensors of a weight's shape that are kept for each, by their names in the state; `max?amsgrad` is kept where that
        argument is set
    factored: in place of a whole tensor, one value for each row and column of weights of two axes and more
    counters: tensors of one float32 that are kept for each weight; they lie on the CPU, but for a fused step and where `resident`
    loop, foreach: what a step makes that is as large as a weight: for one weight after the other, or for all at once. Words in
        order: `a` makes a tensor, then drops what `a` was before; `a?` does so where decay is added to the gradient, and `a!b` from
        the first step on where the argument b is 0; `-a` drops it; `#` wraps a number as a tensor of 8 bytes for one operation, and
        `a#` for the one that makes `a`; `a:4` makes one of 4 bytes on the CPU. None where there is no such implementation, or its
        step is not known
    fused: whether there is one kernel for all weights, which makes nothing
    decoupled: whether decay acts on the weights, and not through the gradient
    """

    choice: Choice
    torch: str
    keeps: tuple[str, ...]
    loop: str
    foreach: str | None
    fused: bool = False
    counters: int = 1
    resident: bool = False
    factored: bool = False
    decoupled: bool = False
    fixed: Arguments = MappingProxyType({})

    def with_defaults(self, arguments: Arguments) -> dict[str, Any]:
        """All arguments, of which `arguments` are given."""
        return {**self.choice.defaults(), **arguments}

    def kept(self, shape: tuple[int, ...], arguments: Arguments) -> list[int]:
        """Values of each tensor that is kept for a weight of a shape, counters apart."""
        if self.factored and len(shape) > 1:
            return [prod((*shape[:-1], 1)), prod((*shape[:-2], 1, shape[-1]))]
        names = [name.partition("?") for name in self.keeps]
        return [prod(shape)] * sum(not when or bool(arguments.get(argument)) for _, when, argument in names)

    def made(self, words: str, arguments: Arguments) -> list[str]:
        """The words of `loop` or `foreach` that hold for all of the arguments."""
        into_gradient = arguments.get("weight_decay") and not (self.decoupled or arguments.get("decoupled_weight_decay"))
        found = [word.partition("!") for word in words.split() if into_gradient or not word.endswith("?")]
        return [word for word, until, argument in found if not until or not arguments[argument]]


def _cool(arguments: Arguments) -> Fault | None:
    if not arguments["centered"] or arguments["alpha"] < 1:
        return None
    return Fault("alpha", f"alpha is {shown(arguments['alpha'])}: new gradients would not count at all", "alpha: 0.99", "A404")


_MOMENTUM = number(above=0, below=1)
_BETAS = (pair(BELOW_ONE), (0.9, 0.999), "decays of the running means of gradients and of their squares")
_EPS = (POSITIVE, 1e-8, "added to the divisor")
_DECAY = (FROM_ZERO, 0.0, "factor of the weight that is added to the gradient (L2)")
_DECOUPLED = (FROM_ZERO, 0.01, "decay of weights, times the learning rate")
_EITHER = (FLAG, False, "apply decay to the weights directly, times the learning rate, instead of through the gradient")
_KEPT_STEP = (_MOMENTUM, 0.9, "how much of the previous step is kept")


def _rate(default: float) -> tuple[Type, float, str]:
    return POSITIVE, default, "learning rate"


def _adam(decay: tuple[Type, float, str]) -> Signature:
    amsgrad = (FLAG, False, "divide by the largest of the means so far")
    return takes(lr=_rate(1e-3), betas=_BETAS, eps=_EPS, weight_decay=decay, amsgrad=amsgrad)


_MOMENTS = ("exp_avg", "exp_avg_sq")
_ADAM_KEEPS = (*_MOMENTS, "max_exp_avg_sq?amsgrad")
_ADAM_LOOP = "-grad grad? # root denom# -root"

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(
        Choice("stochastic gradient descent", takes(lr=_rate(0.1), weight_decay=_DECAY)),
        torch="SGD",
        keeps=(),
        counters=0,
        loop="-grad grad?",
        foreach="grad?",
        fused=True,
    ),
    "momentum": Optimizer(
        Choice(
            "gradient descent with momentum (Polyak, 1964), as torch.optim.SGD has it",
            takes(
                lr=_rate(0.01),
                momentum=_KEPT_STEP,
                weight_decay=_DECAY,
                dampening=(BELOW_ONE, 0.0, "how much of the new gradient is left out"),
            ),
        ),
        torch="SGD",
        fixed={"momentum": 0.9},
        keeps=("momentum_buffer",),
        counters=0,
        loop="-grad grad? #",
        foreach="grad?",
        fused=True,
    ),
    "nesterov": Optimizer(
        Choice(
            "gradient descent with Nesterov's momentum (Sutskever et al., 2013)",
            takes(lr=_rate(0.01), momentum=_KEPT_STEP, weight_decay=_DECAY),
        ),
        torch="SGD",
        fixed={"momentum": 0.9, "nesterov": True},
        keeps=("momentum_buffer",),
        counters=0,
        loop="-grad grad? # grad",
        foreach="grad?",
        fused=True,
    ),
    "adam": Optimizer(
        Choice("Adam (Kingma & Ba, 2015)", _adam(_DECAY)),
        torch="Adam",
        keeps=_ADAM_KEEPS,
        loop=_ADAM_LOOP,
        foreach="grad? -grad root",
        fused=True,
    ),
    "adamw": Optimizer(
        Choice("Adam with decoupled weight decay (Loshchilov & Hutter, 2019)", _adam(_DECOUPLED)),
        torch="AdamW",
        keeps=_ADAM_KEEPS,
        loop=_ADAM_LOOP,
        foreach="root",
        fused=True,
        decoupled=True,
    ),
    "nadam": Optimizer(
        Choice(
            "Adam with Nesterov's momentum (Dozat, 2016)",
            takes(
                lr=_rate(2e-3),
                betas=_BETAS,
                eps=_EPS,
                weight_decay=_DECAY,
                momentum_decay=(FROM_ZERO, 4e-3, "how fast the momentum rises to its end"),
                decoupled_weight_decay=_EITHER,
            ),
        ),
        torch="NAdam",
        keeps=_MOMENTS,
        counters=2,
        loop="-grad grad? # quotient# denom -quotient #",
        foreach="grad? root",
    ),
    "radam": Optimizer(
        Choice(
            "Adam whose first steps are rectified (Liu et al., 2020)",
            takes(lr=_rate(1e-3), betas=_BETAS, eps=_EPS, weight_decay=_DECAY, decoupled_weight_decay=_EITHER),
        ),
        torch="RAdam",
        keeps=_MOMENTS,
        loop="-grad grad? # mean# scaled# root # inverse rate# -inverse -root step -scaled -rate rectified# -step -rectified",
        foreach="grad? -grad root",
    ),
    "adamax": Optimizer(
        Choice(
            "Adam with the largest gradient in the place of the squares (Kingma & Ba, 2015)",
            takes(lr=_rate(2e-3), betas=_BETAS, eps=_EPS, weight_decay=_DECAY),
        ),
        torch="Adamax",
        keeps=("exp_avg", "exp_inf"),
        loop="-grad grad? # size # -size",
        foreach="grad",
    ),
    "rmsprop": Optimizer(
        Choice(
            "RMSprop (Hinton, 2012)",
            takes(
                lr=_rate(0.01),
                alpha=(FRACTION, 0.99, "decay of the running mean of squares"),
                eps=_EPS,
                weight_decay=_DECAY,
                momentum=(BELOW_ONE, 0.0, "how much of the previous step is kept"),
                centered=(FLAG, False, "divide by the deviation, not by the root of the squares"),
            ),
            _cool,
        ),
        torch="RMSprop",
        keeps=("square_avg", "momentum_buffer?momentum", "grad_avg?centered"),
        loop="-grad grad? # root #",
        foreach="grad? root",
    ),
    "adagrad": Optimizer(
        Choice(
            "Adagrad (Duchi et al., 2011)",
            takes(
                lr=_rate(0.01),
                lr_decay=(FROM_ZERO, 0.0, "decay of the learning rate"),
                weight_decay=_DECAY,
                initial_accumulator_value=(FROM_ZERO, 0.0, "sum of squares to begin with"),
                eps=(POSITIVE, 1e-10, "added to the divisor"),
            ),
        ),
        torch="Adagrad",
        keeps=("sum",),
        loop="-grad grad? root#",
        foreach="numerator root",
        fused=True,
    ),
    "adadelta": Optimizer(
        Choice(
            "Adadelta, which keeps the sizes of its steps as well (Zeiler, 2012)",
            takes(
                lr=_rate(1.0),
                rho=(BELOW_ONE, 0.9, "decay of the running means of squares"),
                eps=(POSITIVE, 1e-6, "what is added to both of their roots"),
                weight_decay=_DECAY,
            ),
        ),
        torch="Adadelta",
        keeps=("square_avg", "acc_delta"),
        loop="-grad grad? # root# step# #",
        foreach="grad? root step",
    ),
    "adafactor": Optimizer(
        Choice(
            "Adafactor, which keeps rows and columns of squares (Shazeer & Stern, 2018)",
            takes(
                lr=_rate(0.01),
                beta2_decay=(number(most=0), -0.8, "exponent of the decay of the running mean of squares"),
                d=(number(least=1), 1.0, "the largest step, as a root mean square"),
                weight_decay=(FROM_ZERO, 0.0, "decay of weights, times the learning rate"),
            ),
        ),
        torch="Adafactor",
        keeps=("variance",),
        factored=True,
        loop="step square -step -square",
        foreach=None,
        decoupled=True,
    ),
    "asgd": Optimizer(
        Choice(
            "gradient descent that keeps the mean of the weights as well (Polyak & Juditsky, 1992)",
            takes(
                lr=_rate(0.01),
                lambd=(FROM_ZERO, 1e-4, "decay of weights, and of the learning rate"),
                alpha=(FROM_ZERO, 0.75, "exponent of the decay of the learning rate"),
                t0=(FROM_ZERO, 1e6, "the step at which the mean begins"),
                weight_decay=_DECAY,
            ),
        ),
        torch="ASGD",
        keeps=("ax",),
        counters=3,
        resident=True,
        loop="-grad grad? # difference!t0 -difference eta:4 mu:4",
        foreach="sum",
    ),
    "lion": Optimizer(
        Choice(
            "Lion, which steps by the sign of a mean of gradients (Chen et al., 2023)",
            takes(
                lr=_rate(1e-4),
                betas=(pair(BELOW_ONE), (0.9, 0.99), "decays of the mean for the step, and of the one that is kept"),
                weight_decay=(FROM_ZERO, 0.0, "decay of weights, times the learning rate"),
            ),
        ),
        torch="",
        keeps=("exp_avg",),
        counters=0,
        loop="# step -step",
        foreach="step",
        decoupled=True,
    ),
}
