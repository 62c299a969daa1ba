"""What stands before the classes of a source: its imports, and helpers for layers that run again in backward."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from archc.ops.syntax import names
from archc.ops.template import names_in
from archc.program.classes import Program
from archc.program.constructs import ChainConstruct, Construct, Leaf, TensorConstruct
from archc.program.steps import Step

_RERUN = '''
class Rerun:
    """While layers run again, their batch normalizations leave the statistics alone."""

    def __init__(self, parts):
        self.parts = parts

    def __enter__(self):
        modules = [module for part in self.parts for module in part.modules()]
        self.norms = [one for one in modules if hasattr(one, "num_batches_tracked")]
        self.kept = [(one.momentum, one.num_batches_tracked) for one in self.norms]
        for one in self.norms:
            one.momentum, one.num_batches_tracked = 0.0, None

    def __exit__(self, *error):
        for one, kept in zip(self.norms, self.kept, strict=True):
            one.momentum, one.num_batches_tracked = kept
'''

_CHECKPOINT = '''
def checkpoint(function, *inputs, norms=(), noise=False):
    """Calls a part or method; autograd keeps its inputs alone, and backward runs it again.

    norms: the batch normalizations of a method; noise: whether it draws random numbers.
    """
    part = function if isinstance(function, nn.Module) else function.__self__
    if not (part.training and torch.is_grad_enabled()) or torch.compiler.is_compiling():
        return function(*inputs)
    parts = [part] if part is function else norms
    return torch.utils.checkpoint.checkpoint(
        function,
        *inputs,
        use_reentrant=False,
        preserve_rng_state=noise,
        context_fn=lambda: (nullcontext(), Rerun(parts)),
    )
'''

_PLAIN = '''
def checkpoint(function, *inputs, noise=False):
    """Calls a part or method; autograd keeps its inputs alone, and backward runs it again.

    noise: whether it draws random numbers.
    """
    part = function if isinstance(function, nn.Module) else function.__self__
    if not (part.training and torch.is_grad_enabled()) or torch.compiler.is_compiling():
        return function(*inputs)
    return torch.utils.checkpoint.checkpoint(
        function, *inputs, use_reentrant=False, preserve_rng_state=noise
    )
'''

SINUSOIDS = '''
def sinusoids(tokens, features):
    """The positions of Vaswani et al., 2017: sin(t / 10000^(2i/D)) and its cosine by turns.

    In float64, since angles of thousands lose their last digits in float32.
    """
    steps = torch.arange(features, dtype=torch.float64)
    rates = 10000 ** (steps // 2 * -2 / features)
    angles = torch.outer(torch.arange(tokens, dtype=torch.float64), rates)
    return torch.where(steps % 2 == 0, angles.sin(), angles.cos()).to(
        torch.get_default_dtype()
    )
'''


CENTER_CROP = '''
def center_crop(x, like):
    """The middle of a map, of the size of another."""
    for axis in range(2, x.dim()):
        rest = x.shape[axis] - like.shape[axis]
        x = x.narrow(axis, rest // 2, like.shape[axis]) if rest else x
    return x
'''


def used_names(program: Program) -> set[str]:
    """The names from elsewhere that the classes use, with their attributes: `torch.cat`, `nn.BatchNorm2d`."""
    found: set[str] = set()
    for definition in program.classes:
        for step in _steps(definition.steps[definition.first]):
            found |= names(step.value)
        for made in definition.attributes:
            if made.construct is not None:
                found.update(_names_of(made.construct))
    return found


def _steps(steps: list[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _steps(step.body)


def _names_of(made: Construct) -> Iterator[str]:
    if isinstance(made, Leaf):
        yield made.name
        yield from _names_of_source(made.source)
    elif isinstance(made, TensorConstruct):
        yield from names(made.value)
    elif isinstance(made, ChainConstruct):
        if not made.numbered:
            yield "OrderedDict"
        for _, item in made.items:
            yield from _names_of(item)


def _names_of_source(source: str) -> set[str]:
    """The names that a class uses which a layer brings with it."""
    try:
        return names_in(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()  # it is a plugin's, and says itself what is wrong when it runs


def imports(used: set[str]) -> list[str]:
    """The imports of a source by the names that it uses."""
    first = {name.partition(".")[0] for name in used}
    lines = ["from collections import OrderedDict"] if "OrderedDict" in first else []
    lines += ["from contextlib import nullcontext"] if "nullcontext" in first else []
    lines += ["from fnmatch import fnmatchcase"] if "fnmatchcase" in first else []
    lines += [""] if lines else []
    lines += ["import torch"] if "torch" in first else []
    lines += ["import torch.nn.functional as F"] if "F" in first else []
    lines += ["import torch.utils.checkpoint"] if "torch.utils.checkpoint.checkpoint" in used else []
    return [*lines, "from torch import nn"]


FUNCTIONS = {"sinusoids": SINUSOIDS, "center_crop": CENTER_CROP}  # that forms of operators call


def helpers(used: set[str]) -> list[str]:
    """The functions that classes call, each where one does: for layers that run again, with what it needs, and for positions."""
    found = [text for name, text in FUNCTIONS.items() if name in used]
    if "checkpoint" in used:
        normed = any(name.startswith("nn.BatchNorm") for name in used)
        found += (_RERUN, _CHECKPOINT) if normed else (_PLAIN,)
    return [text.strip("\n") for text in found]
