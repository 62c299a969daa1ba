"""The base of every error that archc raises for its user, and how an error names an argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Argument(NamedTuple):
    """An argument named in an error, with or without a value: `device="cpu"` in Python, `--device cpu` on the command line."""

    name: str
    value: str | bool | float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return self.name
        return f'{self.name}="{self.value}"' if isinstance(self.value, str) else f"{self.name}={self.value}"


class Parameter(Argument):
    """A parameter of a spec: `classes=10` in Python, `--set classes=10` on the command line."""


class Head(Parameter):
    """A parameter that gives a network a new head beside loaded weights: `classes=10, partial=True`, `--replace-head classes=10`."""

    def __str__(self) -> str:
        return f"{self.name}={self.value}, partial=True"


class ArchcError(Exception):
    """The base of all errors whose text is for the person who made a mistake: what is wrong, where, and what to write instead.

    It is made of texts and of the arguments between them. A line ends where a thought or an entry of a list does: the reader's
    terminal wraps it.
    """

    def __init__(self, *parts: str | Argument) -> None:
        super().__init__(*parts)
        self.parts = parts

    def __str__(self) -> str:
        return self.spelled(str)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def spelled(self, spell: Callable[[Argument], str]) -> str:
        """The text, with arguments as `spell` writes them."""
        return "".join(spell(part) if isinstance(part, Argument) else part for part in self.parts).rstrip("\n")


class ArgumentError(ArchcError, ValueError):
    """An argument with an unknown value, or one that does not fit the network or another argument."""


class UsageError(ArchcError, TypeError):
    """A call with arguments that do not belong together."""


class MissingPackage(ArchcError, ModuleNotFoundError):
    """A package that is not installed; the text names it, and how to install it."""


class NameNotFound(ArchcError, KeyError):
    """A layer name that the network does not have."""

    __str__ = ArchcError.__str__  # a KeyError shows its text quoted
