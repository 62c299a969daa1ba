"""An error of the library as the command line tells it: arguments as options, lines as wide as they may be."""

from __future__ import annotations

from shlex import quote

from archc.cli.console import DEFAULT_WIDTH, complain
from archc.errors import ArchcError, Argument, Parameter
from archc.text.diagnostics import SpecError

EXIT_USAGE = 2


def tell(error: ArchcError) -> int:
    """Says what is wrong on standard error; the exit status."""
    if isinstance(error, SpecError):
        from archc.cli.common import show

        show(error.diagnostics)
    else:
        complain(error.spelled(option), DEFAULT_WIDTH)
    return EXIT_USAGE


def option(argument: Argument) -> str:
    """An argument as an option; a setting of a recipe, as `data.validation`, is one of --train."""
    if isinstance(argument, Parameter):
        return f"--set {argument.name}={argument.value}"
    name = "--" + argument.name.replace("_", "-")
    if "." in argument.name:
        return f"--train {argument.name}={argument.value}"
    if argument.value is None or argument.value is True:
        return name
    text = str(argument.value)
    return f"{name} {quote(text) if argument.name == 'rename' else text}"
