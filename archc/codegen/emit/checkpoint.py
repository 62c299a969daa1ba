"""What a source with regions that run again brings with it."""

from __future__ import annotations

import re

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


def helpers(code: str) -> list[str]:
    """The function that the classes of a source call, and what it needs: nothing of it where none of them does."""
    if not re.search(r"\bcheckpoint\(", code):
        return []
    return [one.strip("\n") for one in ((_RERUN, _CHECKPOINT) if "nn.BatchNorm" in code else (_PLAIN,))]
