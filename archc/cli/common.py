"""What commands share: their options, the reading of specs, the showing of mistakes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from archc.cli.console import complain, diagnostics_text
from archc.elaborate.compiler import Model, compile_spec
from archc.errors import ArgumentError
from archc.graph import Graph
from archc.language.variants import split_address
from archc.text.diagnostics import Diagnostic, printable

SPECS = "a file, or the name of a shipped spec (see `archc list`)"
LEAST_NAME = 24  # characters of a network's name that a line has to have room for


def spec_options(parser: argparse.ArgumentParser, several: bool = True, metavar: str = "SPEC", optional: bool = False) -> None:
    """SPEC…, --set, --input, --leaf, --plugin."""
    what = f"{SPECS}; or a PyTorch model, whose code is run: model.py:make_net, package.module:Net, torchvision:NAME, timm:NAME"
    count = ("*" if optional else "+") if several else "?" if optional else None
    parser.add_argument("specs" if several else "spec", nargs=count, metavar=metavar, help=what)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a parameter of the spec")
    shape = "the shape of an input: another for a spec, or what a model takes (128:int64: whole numbers)"
    parser.add_argument("--input", action="append", default=[], metavar="[NAME=]3x224x224", help=shape)
    leaf = "a class of a model whose modules are one layer each: mypkg.Attention"
    parser.add_argument("--leaf", action="append", default=[], metavar="CLASS", help=leaf)
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help="load operators from a Python file, which is run")


def devices_option(parser: argparse.ArgumentParser) -> None:
    """--devices FILE.yaml, once or several times."""
    parser.add_argument("--devices", action="append", default=[], metavar="FILE.yaml", help="a file with more devices; may be repeated")


def compile_model(args: argparse.Namespace, named: str, may_be_open: bool = False) -> Model:
    """The network of a spec under the command's options, or of a PyTorch model that is named in place of one.

    may_be_open: whether sizes of inputs may be open, for commands that give formulas
    """
    if is_model(named):
        from archc.cli.models import capture_model

        load_plugins(args.plugin)
        model = capture_model(args, named)
        args.read = [*getattr(args, "read", []), *map(str, model.files)]
        return model
    if getattr(args, "leaf", ()) and not any(map(is_model, _named(args))):
        raise ArgumentError(f"--leaf is about the code of a model, and {named} is a spec")
    changes = dict(_pair(text, "--set") for text in args.set)
    inputs = dict(map(name_input, args.input))
    load_plugins(args.plugin)
    model = compile_spec(named, changes, inputs, may_be_open)
    args.read = [*getattr(args, "read", []), *map(str, model.files)]  # what no output may be written over
    return model


def name_input(text: str) -> tuple[str, str]:
    """What --input says: a name, or an empty one, and a shape."""
    name, equals, shape = text.partition("=")
    return (name, shape) if equals else ("", text)


def is_model(named: str) -> bool:
    """Whether what stands in the place of a spec names a model, whose code is run: no file that is there, and nothing within a spec."""
    source, colon, name = named.rpartition(":")
    if split_address(named)[1]:
        return False
    if not colon:
        return named.endswith((".py", ".pt2"))
    zoo = named.startswith(("torchvision:", "timm:"))
    module = all(part.isidentifier() for part in source.split(".")) and all(part.isidentifier() for part in name.split("."))
    return (zoo or module or source.endswith(".py")) and not Path(named).exists()


def is_member(named: str) -> bool:
    """Whether a network is named by what stands behind a colon: a model of a file or package, a variant of a spec."""
    return is_model(named) or bool(split_address(named)[1])


def refuse_model(named: str, why: str) -> None:
    """For a command that is about specs alone. Raises ArgumentError."""
    if is_model(named):
        raise ArgumentError(f"{named} is a model, and {why}")


def _named(args: argparse.Namespace) -> list[str]:
    """All that a command was given as networks."""
    given = [getattr(args, name, None) for name in ("specs", "spec", "old")]
    return [named for one in given for named in (one if isinstance(one, list) else [one]) if named]


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        complain(f"{option} needs NAME=VALUE, not {text!r}")
        raise SystemExit(2)
    return name.strip(), value.strip()


def load_plugins(paths: Iterable[str]) -> None:
    """Operators from files. Raises PluginError."""
    for path in paths:
        from archc.ops.plugins import load_file

        load_file(path)


def usable(model: Model) -> Graph | None:
    """The model's graph; its mistakes and warnings go to standard error."""
    show(model.diagnostics)
    return model.graph


def show(found: Iterable[Diagnostic]) -> None:
    """Diagnostics on standard error."""
    text = diagnostics_text(found, sys.stderr)
    if text:
        print(text, file=sys.stderr)


def heading_line(name: str, rest: str, most: int) -> str:
    """A first line: a network's name and what is said of it. A long name loses its end, or has a line of its own."""
    name, room = printable(name), most - len(rest)
    if len(name) <= room:
        return name + rest
    return ending(name, room) + rest if room >= LEAST_NAME else f"{ending(name, most)}\n  {rest.strip(': ')}"


def ending(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(most, 1) - 1] + "…"


class Names:
    """The names of the optimizers."""

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def __iter__(self) -> Iterator[str]:
        from archc.catalog.optimizers import OPTIMIZERS

        return iter(OPTIMIZERS)


def optimizer_option(parser: argparse.ArgumentParser, purpose: str) -> None:
    parser.add_argument("--optimizer", choices=Names(), metavar="NAME", help=f"{purpose}: %(choices)s")
