"""The operators, by name: an operator is one function from shapes and arguments to Facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple, get_args, get_origin, overload

from archc.errors import ArgumentError
from archc.ops.facts import Facts
from archc.ops.per_entry import facts_of_each
from archc.ops.shape import Shape
from archc.signature import MISSING, NAMED, Param, Signature, Type
from archc.text.suggest import did_you_mean

Function = Callable[..., Facts]
Bare = Callable[[Any, Shape], str | None]  # of a value without a name, and the first input: what to write instead


class Op(NamedTuple):
    """A registered operator."""

    name: str
    function: Function
    signature: Signature
    least_inputs: int
    most_inputs: int | None
    merges: bool
    transparent: bool
    summary: str
    doc: str
    module: str
    bare: Bare | None = None
    whole: bool = False

    @property
    def built_in(self) -> bool:
        """Whether it is archc's own, and no plugin's."""
        return self.module.startswith("archc.ops.")

    def __call__(self, *shapes: Any, **arguments: Any) -> Facts:
        return self.facts(self.function, shapes, arguments)

    def facts(self, function: Function, shapes: Sequence[Shape], arguments: Mapping[str, Any]) -> Facts:
        """What a function says of one image, or of one entry of the axes that are in the batch, for all of these."""
        return function(*shapes, **arguments) if self.whole else facts_of_each(function, shapes, arguments)


class Registry:
    """Operators by name. Their modules are imported, and their functions are read, when one is first asked for."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Function, bool, bool, str | Bare, bool] | str] = {}  # the module, where that is not imported
        self._built: dict[str, Op] = {}

    def expect(self, module: str, names: Iterable[str]) -> None:
        """Names that a module registers once it is imported."""
        self._waiting |= dict.fromkeys(names, module)

    def add(
        self, function: Function, name: str, *, merges: bool = False, transparent: bool = False, bare: str | Bare = "", whole: bool = False
    ) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ArgumentError(f"{name!r} cannot name an operator: use lower-case letters, digits and _")
        if self._waiting.get(name, function.__module__) != function.__module__:
            raise ArgumentError(f"an operator called {name} exists")
        self._waiting[name] = function, merges, transparent, bare, whole

    def get(self, name: str) -> Op | None:
        if name not in self._built and name in self._waiting:
            if isinstance(waiting := self._waiting[name], str):
                import_module(waiting)
                waiting = self._waiting[name]
            assert not isinstance(waiting, str), f"{waiting} has no operator {name}"
            self._built[name] = _describe(name, *waiting)
        return self._built.get(name)

    def __getitem__(self, name: str) -> Op:
        found = self.get(name)
        if found is None:
            raise KeyError(f"no operator is called {name}; {did_you_mean(name, self) or ''}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._waiting)

    def __contains__(self, name: object) -> bool:
        return name in self._waiting

    def remove(self, name: str) -> None:
        self._waiting.pop(name, None)
        self._built.pop(name, None)


OPERATORS = Registry()


@overload
def op(function: Function) -> Function: ...
@overload
def op(
    *, name: str = "", merges: bool = False, transparent: bool = False, bare: str | Bare = "", whole: bool = False
) -> Callable[[Function], Function]: ...
def op(
    function: Function | None = None,
    *,
    name: str = "",
    merges: bool = False,
    transparent: bool = False,
    bare: str | Bare = "",
    whole: bool = False,
) -> Function | Callable[[Function], Function]:
    """Register an operator: positional parameters are inputs, keyword-only ones its arguments, the first the main one.

    The docstring is its documentation: a first line `[C, H, W] -> [channels, H', W']. What it does.`, then a line
    `argument: meaning` for each argument. `merges`: it takes branches. `transparent`: it is its input, and no layer.
    `bare`: why no value may stand without a name, or a function of such a value and the first input that says what to write
    where PyTorch or Keras would read it otherwise, None where there is no doubt. `whole`: it is given shapes with the axes that are
    in the batch, where others are given those of one entry.
    """

    def register(function: Function) -> Function:
        OPERATORS.add(function, name or function.__name__, merges=merges, transparent=transparent, bare=bare, whole=whole)
        return function

    return register(function) if function is not None else register


def _describe(name: str, function: Function, merges: bool, transparent: bool, bare: str | Bare, whole: bool) -> Op:
    code = function.__code__
    takes_any = bool(code.co_flags & 0x04)
    positional = code.co_argcount
    optional = len(function.__defaults__ or ())
    summary, doc, meanings = _read_doc(function.__doc__ or "")
    names = code.co_varnames[positional : positional + code.co_kwonlyargcount]
    defaults = function.__kwdefaults__ or {}
    annotations = _annotations(function)
    params = {n: Param(n, _type(annotations.get(n), n, name), defaults.get(n, MISSING), meanings.get(n, "")) for n in names}
    return Op(
        name=name,
        function=function,
        signature=Signature(params, bare if isinstance(bare, str) else ""),
        least_inputs=1 if takes_any else positional - optional,
        most_inputs=None if takes_any else positional,
        merges=merges,
        transparent=transparent,
        summary=summary,
        doc=doc,
        module=function.__module__,
        bare=None if isinstance(bare, str) else bare,
        whole=whole,
    )


def _annotations(function: Function) -> dict[str, Any]:
    """The annotations as objects, also where the module writes them as text."""
    found = dict(function.__annotations__)
    if any(isinstance(value, str) for value in found.values()):
        from typing import get_type_hints

        found = get_type_hints(function, include_extras=True)
    return found


def _type(annotation: Any, argument: str, name: str) -> Type:
    while get_origin(annotation) not in (Annotated, None):  # `Size | None` is a Size that may be left out
        annotation = next((arg for arg in get_args(annotation) if arg is not type(None)), None)
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, Type):
            return extra
    plain = {int: "int", float: "number", bool: "bool", str: "str", list: "list", tuple: "list", Any: "any"}
    if annotation in plain:
        return NAMED[plain[annotation]]
    raise TypeError(f"{name}: the argument {argument} needs an annotation that archc knows, as in `{argument}: int = 1`")


def _read_doc(text: str) -> tuple[str, str, dict[str, str]]:
    """The first line, the rest, and the meaning of each argument."""
    lines = [line.strip() for line in text.strip().splitlines()]
    meanings: dict[str, str] = {}
    rest: list[str] = []
    for line in lines[1:]:
        argument, colon, meaning = line.partition(": ")
        if colon and argument.isidentifier():
            meanings[argument] = meaning
        else:
            rest.append(line)
    return (lines[0] if lines else ""), "\n".join(rest).strip(), meanings
