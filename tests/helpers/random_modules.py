"""Random PyTorch modules, as people write them: branches, functions and modules, in place or not, parts used twice, heads of training."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Step(NamedTuple):
    """What a forward does next: a function of the module and of earlier values."""

    text: str
    reads: tuple[int, ...]
    call: Callable[..., Tensor]
    head: bool = False  # of training alone; nothing reads it


class Drawn(nn.Module):
    """A module whose forward is a list of steps; each value may be read later, and those that nothing reads are its outputs."""

    def __init__(self, random: Random, channels: int, size: int) -> None:
        super().__init__()
        self.random = random
        self.parts = nn.ModuleDict()
        self.tables = nn.ParameterDict()
        self.steps: list[Step] = []
        self.shape = (channels, size, size)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        values: list[Tensor] = [x]
        heads: list[Tensor] = []
        for step in self.steps:
            if not step.head:
                values.append(step.call(self, *(values[at] for at in step.reads)))
            elif self.training:
                heads.append(step.call(self, *(values[at] for at in step.reads)))
        read = {at for step in self.steps if not step.head for at in step.reads}
        named = {f"value{at}": one for at, one in enumerate(values) if at not in read}
        return named | {f"head{at}": one for at, one in enumerate(heads)}

    def __repr__(self) -> str:
        return "\n".join([f"x: {self.shape}", *(f"{step.text} of {step.reads}" for step in self.steps), *map(str, self.parts.items())])

    __str__ = __repr__


CONVOLUTIONS: tuple[dict[str, Any], ...] = (
    {"kernel_size": 1}, {"kernel_size": 3, "padding": 1}, {"kernel_size": 3, "padding": "same", "dilation": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": (1, 3), "padding": (0, 1), "bias": False},
    {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"}, {"kernel_size": 2, "padding": "same"},
)  # fmt: skip
NORMS: tuple[Callable[[int], nn.Module], ...] = (
    nn.BatchNorm2d, lambda c: nn.BatchNorm2d(c, affine=False), lambda c: nn.BatchNorm2d(c, track_running_stats=False),
    lambda c: nn.GroupNorm(2, c), nn.InstanceNorm2d, lambda c: nn.InstanceNorm2d(c, affine=True), lambda c: nn.LocalResponseNorm(3),
)  # fmt: skip
ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU, lambda: nn.ReLU(inplace=True), nn.ReLU6, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Hardswish, lambda: nn.LeakyReLU(0.2, inplace=True),
    lambda: nn.ELU(0.5), nn.PReLU, nn.Tanh, lambda: nn.Softmax(dim=1), nn.Mish, nn.Softplus, nn.Dropout, lambda: nn.Dropout(0.0),
    lambda: nn.Dropout2d(0.2), nn.Identity, lambda: nn.Softmax2d(), lambda: nn.Hardtanh(-2, 2), nn.LogSigmoid, nn.CELU,
)  # fmt: skip
POOLS: tuple[Callable[[], nn.Module], ...] = (
    lambda: nn.MaxPool2d(2), lambda: nn.MaxPool2d(3, 2, 1), lambda: nn.MaxPool2d(3, 1, 1), lambda: nn.AvgPool2d(2),
    lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False), lambda: nn.AdaptiveAvgPool2d(1), lambda: nn.AdaptiveAvgPool2d((2, 3)),
    lambda: nn.AdaptiveMaxPool2d(2), lambda: nn.Upsample(scale_factor=2), lambda: nn.ZeroPad2d(1), lambda: nn.ReflectionPad2d((1, 0, 0, 1)),
    lambda: nn.MaxPool2d(2, ceil_mode=True), lambda: nn.Upsample(scale_factor=2, mode="bilinear"), lambda: nn.LPPool2d(2, 2),
    lambda: nn.PixelShuffle(2), lambda: nn.UpsamplingNearest2d(scale_factor=2), lambda: nn.Dropout2d(0.0),
)  # fmt: skip
# Functions of one value, as they are called by position, by name, as a method, in place.
FUNCTIONS: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
    ("F.relu(x)", lambda x: F.relu(x)),
    ("F.relu(input=x, inplace=True)", lambda x: F.relu(input=x, inplace=True)),
    ("x.relu_()", lambda x: x.relu_()),
    ("torch.sigmoid(x)", lambda x: torch.sigmoid(x)),
    ("x.tanh()", lambda x: x.tanh()),
    ("x.clamp(0, 6)", lambda x: x.clamp(0, 6)),
    ("F.avg_pool2d(x, kernel_size=2)", lambda x: F.avg_pool2d(x, kernel_size=2)),
    ("F.max_pool2d(x, stride=1, kernel_size=3, padding=1)", lambda x: F.max_pool2d(x, stride=1, kernel_size=3, padding=1)),
    ("F.adaptive_avg_pool2d(x, 1)", lambda x: F.adaptive_avg_pool2d(x, 1)),
    ("F.interpolate(x, scale_factor=2)", lambda x: F.interpolate(x, scale_factor=2)),
    ("F.pad(x, (1, 1))", lambda x: F.pad(x, (1, 1))),
    ("x.mean((2, 3), keepdim=True)", lambda x: x.mean((2, 3), keepdim=True)),
    ("x.mean(dim=-1, keepdim=True)", lambda x: x.mean(dim=-1, keepdim=True)),
    ("x * 0.5", lambda x: x * 0.5),
    ("2 * x", lambda x: 2 * x),
    ("x / 4", lambda x: x / 4),
    ("-x", lambda x: -x),
    ("x + 1", lambda x: x + 1),
    ("x.mul_(2)", lambda x: x.mul_(2)),
    ("x ** 2", lambda x: x**2),
    ("x.exp()", lambda x: x.exp()),
    ("x.abs().sqrt()", lambda x: x.abs().sqrt()),
    ("x[:, :2]", lambda x: x[:, :2]),
    ("x[..., 1:]", lambda x: x[..., 1:]),
    ("x.chunk(2, 1)[1]", lambda x: x.chunk(2, 1)[1]),
    ("x.split(1, dim=1)[0]", lambda x: x.split(1, dim=1)[0]),
    ("x.transpose(2, 3)", lambda x: x.transpose(2, 3)),
    ("x.permute(0, 1, 3, 2).contiguous()", lambda x: x.permute(0, 1, 3, 2).contiguous()),
    ("x.clone()", lambda x: x.clone()),
    ("x.contiguous()", lambda x: x.contiguous()),
    ("x.flatten(2).softmax(-1).view_as(x)", lambda x: x.flatten(2).softmax(-1).view_as(x)),
    ("x.detach()", lambda x: x.detach()),
    ("x.sum(1, keepdim=True)", lambda x: x.sum(1, keepdim=True)),
    ("x.amax((2, 3), keepdim=True)", lambda x: x.amax((2, 3), keepdim=True)),
    ("F.normalize(x)", lambda x: F.normalize(x)),
    ("x.roll(1, 2)", lambda x: x.roll(1, 2)),
    ("x[:, 0:1].mul_(2)", lambda x: x[:, 0:1].mul_(2)),
    ("x.unsqueeze(1).squeeze(1)", lambda x: x.unsqueeze(1).squeeze(1)),
    ("x.flip(3)", lambda x: x.flip(3)),
    ("F.hardtanh(x, 0, 1)", lambda x: F.hardtanh(x, 0, 1)),
    ("F.softmax(x, dim=1)", lambda x: F.softmax(x, dim=1)),
    ("F.gelu(x, approximate='tanh')", lambda x: F.gelu(x, approximate="tanh")),
)
JOINS: tuple[tuple[str, Callable[[Tensor, Tensor], Tensor]], ...] = (
    ("a + b", lambda a, b: a + b),
    ("a.add_(b)", lambda a, b: a.add_(b)),
    ("torch.add(a, other=b)", lambda a, b: torch.add(a, other=b)),
    ("a * b", lambda a, b: a * b),
    ("a - b", lambda a, b: a - b),
    ("torch.cat([a, b], 1)", lambda a, b: torch.cat([a, b], 1)),
    ("torch.cat((b, a, b), dim=1)", lambda a, b: torch.cat((b, a, b), dim=1)),
    ("a * b.sigmoid()", lambda a, b: a * b.sigmoid()),
    ("torch.maximum(a, b)", lambda a, b: torch.maximum(a, b)),
    ("(a + b) / 2", lambda a, b: (a + b) / 2),
    ("a += b", lambda a, b: a.__iadd__(b)),
    ("torch.stack([a, b]).sum(0)", lambda a, b: torch.stack([a, b]).sum(0)),
)


class Builder:
    """Draws steps. A step that torch refuses on these shapes is passed over."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.module = Drawn(random, random.choice([2, 3, 4]), random.choice([5, 6, 8]))
        self.shapes: list[tuple[int, ...]] = [self.module.shape]
        self.count = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def own(self, module: nn.Module) -> str:
        name = self.name(type(module).__name__.lower())
        self.module.parts[name] = module
        return name

    def value(self) -> int:
        last = len(self.shapes) - 1
        return last - min(self.random.randint(0, 2), last) if self.random.random() < 0.4 else last

    def convolution(self, channels: int) -> nn.Module:
        options = dict(self.random.choice(CONVOLUTIONS))
        outputs = self.random.choice([2, 4, 6])
        groups = self.random.choice([1, 1, 2])
        if channels % groups:
            groups = 1
        if self.random.random() < 0.1:
            return nn.ConvTranspose2d(channels, outputs, 2, stride=2, groups=groups)
        return nn.Conv2d(channels, outputs, groups=groups, **options)

    def step(self) -> Step:
        random, at = self.random, self.value()
        channels = self.shapes[at][0]
        pick = random.random()
        if pick < 0.3:
            return self.of_module(self.own(self.convolution(channels)), at)
        if pick < 0.4:
            return self.of_module(self.own(random.choice(NORMS)(channels)), at)
        if pick < 0.52:
            return self.of_module(self.own(random.choice(ACTIVATIONS)()), at)
        if pick < 0.6:
            return self.of_module(self.own(random.choice(POOLS)()), at)
        if pick < 0.63 and self.module.parts:
            return self.of_module(random.choice(list(self.module.parts)), at)  # used twice
        if pick < 0.66:
            return self.functional(at, channels)
        if pick < 0.69:
            return self.block(at, channels)
        if pick < 0.86:
            text, function = random.choice(FUNCTIONS)
            return Step(text, (at,), lambda m, x: function(x))
        other = random.randrange(len(self.shapes))
        text, join = random.choice(JOINS)
        return Step(text, (at, other), lambda m, a, b: join(a, b))

    def of_module(self, name: str, at: int) -> Step:
        return Step(name, (at,), lambda m, x: m.parts[name](x))

    def functional(self, at: int, channels: int) -> Step:
        """A convolution or a linear map with a parameter of the model itself; the weight computed now and then."""
        name, outputs, computed = self.name("table"), self.random.choice([2, 4]), self.random.random() < 0.3
        self.module.tables[name] = nn.Parameter(torch.randn(outputs, channels, 3, 3))
        return Step(
            f"conv2d by {name}{' computed' if computed else ''}",
            (at,),
            lambda m, x: F.conv2d(x, m.tables[name] * 2 if computed else m.tables[name], padding=1),
        )

    def block(self, at: int, channels: int) -> Step:
        """A residual or a recalibrated branch, in a module of its own."""
        inner = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        if self.random.random() < 0.5:
            name = self.own(inner)
            return Step(f"x + {name}", (at,), lambda m, x: x + m.parts[name](x))
        name = self.own(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Hardsigmoid()))
        return Step(f"x * {name}", (at,), lambda m, x: x * m.parts[name](x))

    def head(self) -> Step:
        at = self.value()
        name = self.own(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(self.shapes[at][0], 3)))
        return Step(f"head {name}", (at,), lambda m, x: m.parts[name](x), head=True)

    def grow(self, steps: int) -> None:
        """Tries a step on images of zeros; keeps it where torch takes it."""
        for _ in range(steps):
            parts, tables = set(self.module.parts), set(self.module.tables)
            try:
                step = self.head() if self.random.random() < 0.08 else self.step()
                with torch.no_grad():
                    made = step.call(self.module, *(torch.zeros(2, *self.shapes[at]) for at in step.reads))
                fits = step.head or (made.dim() == 4 and made.shape[0] == 2 and 0 < made[0].numel() < 4000)
            except (RuntimeError, ValueError, IndexError, TypeError):
                fits = False
            if fits:
                self.module.steps.append(step)
                if not step.head:
                    self.shapes.append(tuple(made.shape[1:]))
                continue
            for name in set(self.module.parts) - parts:
                del self.module.parts[name]
            for name in set(self.module.tables) - tables:
                del self.module.tables[name]


def draw(seed: int, steps: int = 8) -> Drawn:
    """A module by a seed."""
    builder = Builder(Random(seed))
    builder.grow(steps)
    return builder.module
