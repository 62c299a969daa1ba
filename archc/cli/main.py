"""`archc COMMAND …`: finds the command's file and runs it. Only that file is imported."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from itertools import takewhile
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from archc.cli.console import COLOR, DEFAULT_WIDTH, complain, drawn, page_output, prose, set_color, width
from archc.cli.streams import prepare, silence, unwritten
from archc.errors import ArchcError
from archc.text.lines import Line, wrap
from archc.text.suggest import did_you_mean, nearest

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

GROUPS = {
    "understand a network": {
        "analyze": "every layer's shape, parameters, MACs and memory, and the totals",
        "explain": "how each number of a layer is derived",
        "memory": "the peak memory of a training step or of inference, and its parts",
        "fit": "the largest batch for a memory, and the least memory for a batch",
        "time": "the least time that a device could take, layer by layer",
        "compare": "networks side by side, with their ratios, and as a chart",
        "diff": "what changed between two specs, and what it costs",
    },
    "write and maintain specs": {
        "new": "write a spec to start from",
        "import": "a model of PyTorch, ONNX or another tool as a spec",
        "check": "validate specs, and compare them with their `expect`",
        "lint": "what training keeps, copies or computes for nothing",
        "resolve": "the spec as elaborated, with the source of each value",
        "schema": "the JSON Schema with which an editor completes and checks specs",
    },
    "build": {
        "build": "the network as PyTorch source, weights, ONNX or torch.export",
    },
    "train and use": {
        "data": "a set of images: its classes, splits, corrupt files and a picture",
        "train": "train a network on images: checkpoints, figures, the best weights",
        "resume": "continue a training that was interrupted",
        "eval": "how good a run's network is on images, class by class",
        "predict": "what a run's network sees in images",
        "look": "look inside a run's network: filters, attributions, features",
    },
    "draw": {
        "render": "a network as a picture: graph, volumes, a block in detail, cost",
        "report": "one network, or two, as a page: diagram, table, charts, memory",
    },
    "look things up": {
        "list": "the shipped specs, in order of their history",
        "docs": "the layers and blocks that a spec can use, with arguments",
        "devices": "the devices that `archc time` knows",
        "calibrate": "measure this machine, so that `archc time` can forecast",
        "completion": "completion of commands, options and names for bash, zsh or fish",
    },
}
COMMANDS = {name: what for group in GROUPS.values() for name, what in group.items()}
LONG = ("analyze", "explain", "memory", "fit", "time", "compare", "diff", "lint", "resolve", "list", "docs", "devices")  # their output
EXIT_FAILED, EXIT_USAGE = 1, 2
MANY_OBJECTS = 100_000  # made before the collector looks for cycles: a command makes much, and most of it stays until the end


class Parser(argparse.ArgumentParser):
    """A parser that says what was meant."""

    words: Sequence[str] = ()  # the command line after the command

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{_fold_choices(f'archc: {message}{self._hint(message)}')}\n  see `{self.prog} --help`\n")

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Without the base's silence where that fails."""
        if message:
            (file or sys.stderr).write(message)

    def _hint(self, message: str) -> str:
        _, found, given = message.rpartition("unrecognized arguments: ")
        if not found:
            return ""
        wrong, _, value = given.split(" ")[0].partition("=")
        options = [option for action in self._actions for option in action.option_strings]
        if "--input" in options and wrong.isdigit():
            after = self.words[self.words.index("--input") + 1 :] if "--input" in self.words else ()
            sizes = list(takewhile(str.isdigit, after))
            return f"; a shape is one word: --input {'x'.join(sizes)}" if 1 < len(sizes) < 5 and wrong in sizes else ""
        if not wrong.startswith("-"):
            return ""
        hint = self._parameter(wrong, value) if "--set" in options else None
        hint = hint or _near_option(wrong.lstrip("-"), options)
        return f"; {hint}" if hint else ""

    def _parameter(self, wrong: str, value: str) -> str | None:
        """A parameter of a spec that is named on the command line is set by --set."""
        from archc.elaborate.compiler import compile_spec, locate

        name = wrong.lstrip("-").replace("-", "_")
        if not value and wrong in self.words[:-1]:
            value = self.words[list(self.words).index(wrong) + 1]
        for word in self.words:
            spec = compile_spec(word).spec if not word.startswith("-") and locate(word) is not None else None
            if spec is not None and name in spec.params:
                return f"{spec.name} has a parameter of this name: --set {name}={value if value and value != word else '…'}"
        return None


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal. The base asks shutil how wide that is, for each argument that is added."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=(width() or DEFAULT_WIDTH) - 2)


def _near_option(name: str, options: Iterable[str]) -> str | None:
    """What was meant by an option, by its letters: dashes make all of them alike."""
    named = {option.lstrip("-"): option for option in options if option.startswith("--")}
    found = [f'"{named[one]}"' for one in nearest(name, named)]
    return f"did you mean {' or '.join(found)}?" if found else None


def _fold_choices(message: str) -> str:
    """Choices that have no room in a line stand below it, and a wrong one of any length is cut."""
    wrong, given, choices = message.rpartition(" (choose from ")
    room = width(sys.stderr) or DEFAULT_WIDTH
    if not given or len(message) <= room:
        return prose(message, DEFAULT_WIDTH, sys.stderr)
    wrong = wrong if len(wrong) <= room else wrong[: room - 1] + "…"
    return "\n".join([wrong, *wrap(f"  choose from {choices.removesuffix(')')}", room, "    ")])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Exit status: 0, 1 where a check failed, 2 for a bad spec or usage."""
    set_color("auto")
    if argv is not None:
        return _run_guarded(lambda: _command(list(argv)))
    gc.set_threshold(MANY_OBJECTS)
    if "_ARGCOMPLETE" in os.environ:
        from archc.cli.completion_command import complete

        complete()
    prepare()
    status = _run_guarded(lambda: _command(sys.argv[1:]))
    if "torch" not in sys.modules:
        gc.freeze()  # the process ends: the collector need not walk through all that is left
    return status


def _command(words: list[str]) -> int:
    if words and words[0].partition("=")[0] == "--color":  # here, or among the command's options
        given = words[0].partition("=")[2] if "=" in words[0] else "".join(words[1:2])
        if given not in COLOR:
            complain(f"--color is {', '.join(COLOR)}, not {given!r}")
            return EXIT_USAGE
        set_color(given)
        words = words[1 if "=" in words[0] else 2 :]
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if words else EXIT_USAGE
    if words[0] in ("-V", "--version"):
        from archc import __version__

        print(f"archc {__version__}")
        return 0
    command = words[0]
    if command not in COMMANDS:
        hint = did_you_mean(command, COMMANDS)
        complain(f"no command is called {command!r}{f'; {hint}' if hint else ''}\n  see `archc --help`")
        return EXIT_USAGE
    module = import_module(f"archc.cli.{command}_command")
    parser = Parser(prog=f"archc {command}", description=module.__doc__, formatter_class=HelpFormatter, allow_abbrev=False)
    add_arguments(parser, module)
    parser.words = words[1:]
    args = parser.parse_args(words[1:])
    if args.color:
        set_color(args.color)
    if _writes_to_output(args):
        with redirect_stdout(sys.stderr):  # what is written there stands there alone
            return int(module.run(args))
    with page_output() if command in LONG else nullcontext():
        return int(module.run(args))


def add_arguments(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    """The options of a command, and those that all have."""
    module.add_arguments(parser)
    parser.add_argument("--color", choices=COLOR, help="colors: by default on a terminal, as NO_COLOR and FORCE_COLOR say")


def _writes_to_output(args: argparse.Namespace) -> bool:
    """Whether a file that a command writes is standard output, under some name."""
    given = [getattr(args, name, None) for name in ("output", "plot", "confusion")]
    if not any(given):
        return False
    from archc.cli.files import is_output

    return any(is_output(name) for names in given if names for name in ([names] if isinstance(names, str) else names))


def _run_guarded(run: Callable[[], int]) -> int:
    """The command's exit status, also where its output cannot be written, its reader goes away or the user has had enough."""
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except (ArchcError, ModuleNotFoundError) as error:  # the one place where what the user got wrong is told
        from archc.cli.console import tell

        return tell(error)
    except BrokenPipeError:
        silence()
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        silence()
        complain(f"{unwritten(error)}")
        return EXIT_USAGE


def _usage() -> str:
    widest = max(map(len, COMMANDS))
    lines: list[Line] = [[("archc: networks as short YAML specs, checked, counted and explained", "")], []]
    lines += [[("usage: archc COMMAND …     (archc COMMAND --help)", "")]]
    for title, commands in GROUPS.items():
        lines += [[], [(f"{title}:", "title")]]
        for name, what in commands.items():
            first, *more = wrap(f"  {name.ljust(widest)}  {what}", width(), " " * (widest + 4))
            lines += [[("  ", ""), (name, "command"), (first[2 + len(name) :], "")], *([(text, "")] for text in more)]
    return drawn([*lines, [], [("try: archc analyze vgg16", "")]])


if __name__ == "__main__":
    raise SystemExit(main())
