"""An error of the library as the command line tells it: arguments as options, lines as wide as they may be, packages to install."""

from __future__ import annotations

from shlex import quote

from archc.cli.console import DEFAULT_WIDTH, complain
from archc.errors import ArchcError, Argument, Head, Parameter
from archc.text.diagnostics import Diagnostic, SpecError
from archc.text.extras import extra_with, needs

EXIT_USAGE = 2


def tell(error: ArchcError | ModuleNotFoundError, extra: str = "torch") -> int:
    """Says what is wrong on standard error; the exit status. Raises the error again where it is a mistake of archc's own.

    extra: the one that has the packages of the command, where one of them is missing
    """
    if isinstance(error, ArchcError):
        if found := _diagnostics(error):
            from archc.cli.common import show

            show(found)
        else:
            complain(error.spelled(option), DEFAULT_WIDTH)
    else:
        module = (error.name or "").partition(".")[0]
        if (known := extra_with(module, extra)) is None:
            raise error
        complain(needs(module, known), DEFAULT_WIDTH)
    return EXIT_USAGE


def _diagnostics(error: ArchcError) -> list[Diagnostic]:
    """What an error tells of places in files."""
    if isinstance(error, SpecError):
        return list(error.diagnostics)
    from archc.ops.plugins import PluginError

    return [error.found] if isinstance(error, PluginError) and error.found is not None else []


def option(argument: Argument) -> str:
    """An argument as an option; a setting of a recipe, as `data.validation`, is one of --train."""
    if isinstance(argument, Parameter):
        return f"{'--replace-head' if isinstance(argument, Head) else '--set'} {argument.name}={argument.value}"
    name = "--" + argument.name.replace("_", "-")
    if "." in argument.name:
        return f"--train {argument.name}={argument.value}"
    if argument.value is None or argument.value is True:
        return name
    text = str(argument.value)
    return f"{name} {quote(text) if argument.name == 'rename' else text}"
