"""Operators of others: from a Python file named on the command line, or from installed packages. Never from a spec.

A package offers operators through the entry point group `archc.ops`: each entry is named as the operator and points at
its function, or at the module whose import registers it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from archc.ops.registry import OPERATORS, Op

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class PluginError(Exception):
    """A plugin that cannot be loaded, in words for who named it."""


def load_file(path: str) -> list[str]:
    """Runs a Python file that registers operators with `@op`; the names that it added. Loaded once a process."""
    from importlib.util import module_from_spec, spec_from_file_location

    file = Path(path)
    if file.suffix != ".py" or not file.is_file():
        raise PluginError(f"no plugin at {path}: expected a Python file")
    name = f"archc_plugin_{file.resolve().as_posix().replace('/', '_').removesuffix('.py')}"
    if name in sys.modules:
        return []
    spec = spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    before = set(OPERATORS)
    try:
        spec.loader.exec_module(module)
        added = [one for one in OPERATORS if one not in before]
        for one in added:
            OPERATORS.get(one)  # reads its signature, so that a wrong one shows here
    except Exception as error:
        del sys.modules[name]
        for one in set(OPERATORS) - before:
            OPERATORS.remove(one)
        raise PluginError(f"the plugin {path} failed: {type(error).__name__}: {error}{_line(error, path)}") from None
    return added


def _line(error: Exception, path: str) -> str:
    """The line of the plugin where it failed."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(Path(path).name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""


@lru_cache(maxsize=1)
def _offers(path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """What installed packages offer, by name. Looked for once: a spec may hold hundreds of unknown names."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group="archc.ops"):
        found.setdefault(entry.name, []).append(entry)
    return found


def find_installed(name: str) -> Op | None:
    """The operator of a name, if an installed package offers it."""
    for entry in _offers(tuple(sys.path)).get(name, ()):
        try:
            loaded = entry.load()
        except Exception as error:
            raise PluginError(f"the operator {name} of {entry.value} failed to load: {type(error).__name__}: {error}") from None
        if name not in OPERATORS and callable(loaded):
            OPERATORS.add(loaded, name)
    return OPERATORS.get(name)


def load_installed() -> None:
    """All operators that installed packages offer."""
    for name in _offers(tuple(sys.path)):
        find_installed(name)
