"""Source text as a module that runs: shown in tracebacks, and pickled with its source, so that another process can read it."""

from __future__ import annotations

import copyreg
import functools
import hashlib
import linecache
import sys
import threading
from types import ModuleType
from typing import Any, cast

import torch
from torch import nn

from archc.errors import ArgumentError

Reduced = tuple[Any, tuple[Any, ...], Any]

_LOCK = threading.RLock()


def class_of(source: str, name: str, autocast: str = "") -> type[nn.Module]:
    """A class of a source; with `autocast`, one whose forward runs under torch.autocast in that dtype."""
    with _LOCK:
        made = cast(type[nn.Module], getattr(_load_source(source), name))
        return _autocast_class(made, autocast) if autocast else made


def _load_source(source: str) -> ModuleType:
    """The source as a Python module, named by its hash: made once, and known to tracebacks."""
    name = "archc_" + hashlib.sha256(source.encode()).hexdigest()[:16]
    known = sys.modules.get(name)
    if known is not None:
        return known
    module = ModuleType(name, "A network that archc built.")
    file = f"<archc {name}>"
    module.__file__ = file
    module.__dict__["__source__"] = source
    # with no time of change, linecache.checkcache() leaves the entry alone
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), module.__dict__)
    sys.modules[name] = module
    for made in list(module.__dict__.values()):
        if isinstance(made, type) and made.__module__ == name:
            copyreg.pickle(cast(Any, made), _reduce)
    return module


def _reduce(module: nn.Module) -> Reduced:
    """What pickle and copy keep of a module: its source, its class and its state."""
    kind = type(module)
    autocast = str(getattr(kind, "__autocast__", ""))
    # the class under autocast is made anew where it is read: only its base stands in the source
    plain = kind.__mro__[1] if autocast else kind
    return _rebuilt, (source_of(module), plain.__name__, autocast), cast(Any, module).__getstate__()


def _rebuilt(source: str, name: str, autocast: str = "") -> nn.Module:
    """An empty module of a class: its state comes after it."""
    kind = class_of(source, name, autocast)
    return kind.__new__(kind)


def source_of(module: nn.Module) -> str:
    """The source that a module was built from. Raises ValueError for another one."""
    text = getattr(sys.modules.get(type(module).__module__), "__source__", None)
    if text is None:
        raise ArgumentError(f"{type(module).__name__} was not built by archc")
    return str(text)


def _autocast_class(made: type[nn.Module], dtype: str) -> type[nn.Module]:
    """The class, its forward under autocast; one for each class and dtype. Layers cannot have names with two underscores before."""
    known = made.__dict__.get(f"__under_{dtype}__")
    if known is not None:
        return cast(type[nn.Module], known)

    @functools.wraps(made.forward)
    def forward(self: nn.Module, *inputs: torch.Tensor, **named: torch.Tensor) -> Any:
        device = next((value.device.type for value in (*inputs, *named.values())), "cpu")
        with torch.autocast(device, dtype=getattr(torch, dtype)):
            return made.forward(self, *inputs, **named)

    kind = type(made.__name__, (made,), {"forward": forward, "__autocast__": dtype, "__module__": made.__module__})
    copyreg.pickle(cast(Any, kind), _reduce)
    setattr(made, f"__under_{dtype}__", kind)
    return kind
