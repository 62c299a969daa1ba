"""What makes a shell complete archc's commands, options, specs and layers at the
Tab key.

eval "$(archc completion bash)"                                   in ~/.bashrc
eval "$(archc completion zsh)"                                    in ~/.zshrc
archc completion fish > ~/.config/fish/completions/archc.fish

The names of shipped specs are completed; after a spec in this folder or a
shipped one, the names of its layers; after `docs`, those of layers and blocks;
and the names of devices.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from importlib import import_module

from archc.cli.console import complain

SHELLS = ("bash", "zsh", "fish")
MOST_LAYERS = 2_000  # that are offered
LARGEST = 2**20  # bytes of a spec whose layers are looked up while a person waits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the output")


def run(args: argparse.Namespace) -> int:
    try:
        from argcomplete.shell_integration import shellcode
    except ModuleNotFoundError:
        complain("this needs argcomplete, which is not installed: pip install argcomplete")
        return 2
    print(shellcode(["archc"], shell=args.shell))
    return 0


def complete() -> None:
    """Answers a shell that asks how a command line could go on, and ends the process."""
    try:
        import argcomplete
    except ModuleNotFoundError:
        raise SystemExit(1) from None
    argcomplete.autocomplete(_parser(os.environ.get("COMP_LINE", "")), always_complete_options=False)


def _parser(line: str) -> argparse.ArgumentParser:
    """A parser of all commands, with the arguments of the one that the line names: no other's file is imported."""
    from archc.cli.main import COMMANDS, add_arguments

    parser = argparse.ArgumentParser(prog="archc", add_help=False)
    parser.add_argument("--version", action="store_true")
    commands = parser.add_subparsers(metavar="COMMAND")
    named = set(line.split()[1:])
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, add_help=name in named, allow_abbrev=False)
        if name in named:
            add_arguments(command, import_module(f"archc.cli.{name}_command"))
            _with_completers(command, name)
    return parser


def _with_completers(parser: argparse.ArgumentParser, command: str) -> None:
    """Specs where a spec is asked for, layers where layers are, and names that archc knows; files elsewhere, as the shell has them."""
    for action in parser._actions:
        if completer := _KNOWN.get((command, action.dest)):
            action.completer = completer  # type: ignore[attr-defined]
        elif action.dest in ("specs", "spec", "old", "new"):
            action.completer = _specs  # type: ignore[attr-defined]
        elif action.dest in ("layers", "layer"):
            action.completer = _layers  # type: ignore[attr-defined]


def _documented(**_: object) -> list[str]:
    """What `archc docs` tells of: layers, blocks, and what a recipe chooses from."""
    from archc.language import library
    from archc.ops import OPERATORS
    from archc.recipe.tables import TABLES

    return sorted({*OPERATORS, *library.index(), *(name for table in TABLES.values() for name in table)})


def _printing_json(**_: object) -> list[str]:
    from archc.reference.outputs.schema import OUTPUTS

    return list(OUTPUTS)


def _devices(**_: object) -> list[str]:
    from archc.catalog.devices.catalogue import shipped

    return list(shipped())


_KNOWN: dict[tuple[str, str], Callable[..., list[str]]] = {
    ("docs", "names"): _documented,
    ("schema", "of"): _printing_json,
    ("devices", "name"): _devices,
    **{(command, "device"): _devices for command in ("time", "fit", "memory", "report")},
}


def _specs(prefix: str, **_: object) -> Iterator[str]:
    """Names of specs that ship, and YAML files and folders."""
    from argcomplete.completers import FilesCompleter

    from archc.language.loading import shipped_names

    yield from (name for name in shipped_names() if name.startswith(prefix))
    yield from FilesCompleter(["yaml", "yml"])(prefix)


def _layers(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """The layers of the spec that stands before them."""
    from archc.elaborate.compiler import compile_spec, locate

    specs = getattr(parsed_args, "spec", None) or getattr(parsed_args, "specs", None) or ()
    named = specs if isinstance(specs, str) else next(iter(specs), "")
    path = locate(named) if named else None
    if path is None or path.stat().st_size > LARGEST or (graph := compile_spec(named).graph) is None:
        return []
    names = (node.name for node in graph.nodes)
    return [name for name in names if name.startswith(prefix) and name.isprintable()][:MOST_LAYERS]
