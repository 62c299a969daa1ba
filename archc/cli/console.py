"""What a terminal shows: lines in colour, tables, messages wrapped to its width, progress with the time left, and a pager.

rich is imported here alone, and only where there is something for it to do: colour, wide characters or progress. Where it is not
installed, everything is plain. Nothing that comes from a spec is read as rich's markup: it is given texts and styles apart.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from shlex import quote
from typing import IO, TYPE_CHECKING, TypeVar

from archc.errors import ArchcError, Argument, Head, Parameter
from archc.text.diagnostics import Diagnostic, SpecError, lines_of_all, printable
from archc.text.extras import extra_with, needs
from archc.text.lines import Line, plain, wrap_all
from archc.text.table import Table, to_lines, wrap_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

Item = TypeVar("Item")
COLOR = ("auto", "always", "never")
LOOKS = {
    "title": "bold",
    "rule": "dim",
    "total": "bold",
    "scope": "bold",
    "costly": "yellow",
    "command": "cyan",
    "error": "bold red",
    "warning": "bold yellow",
    "message": "bold",
    "place": "blue",
    "added": "green",
    "removed": "red",
    "changed": "yellow",
    "moved": "cyan",
}
NARROW = frozenset("…─│├└×≥≤–→·²∞µé")  # characters beyond ASCII that take one column
DEFAULT_WIDTH = 80  # of a message, where nothing says how wide the terminal is
PATIENCE = 1.0  # seconds that something takes before progress is shown
_color = "auto"


def set_color(when: str) -> None:
    """Whether to use colors: `auto`, `always` or `never`, as --color says."""
    global _color
    _color = when


def use_color(stream: IO[str]) -> bool:
    """Whether to use colors: as --color says, else NO_COLOR (no-color.org), then FORCE_COLOR; else on a terminal."""
    if _color != "auto":
        return _color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return os.environ.get("TERM") != "dumb" and is_terminal(stream)


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person reads what is written there."""
    return bool(getattr(stream, "isatty", lambda: False)())


def width(stream: IO[str] | None = None) -> int | None:
    """The columns of the terminal; None where output goes to a file or pipe and nothing says how wide that is."""
    if os.environ.get("COLUMNS", "").isdigit():
        return int(os.environ["COLUMNS"]) or None
    stream = sys.stdout if stream is None else stream
    try:
        return os.get_terminal_size(stream.fileno()).columns or None if is_terminal(stream) else None
    except OSError:
        return None


def columns_of(text: str) -> int:
    """The columns that a text takes in a terminal: two for a character of Chinese, Japanese or Korean, and for an emoji."""
    if text.isascii() or NARROW.issuperset(char for char in text if not char.isascii()):
        return len(text)
    try:
        from rich.cells import cell_len
    except ModuleNotFoundError:
        return len(text)
    return cell_len(text)


def drawn(lines: list[Line], stream: IO[str] | None = None) -> str:
    """Lines as text for a stream, which is standard output if none is named: in colour, if that has it."""
    console = _console(sys.stdout if stream is None else stream)
    if console is None:
        return plain(lines)
    with console.capture() as captured:
        console.print(_style(lines), soft_wrap=True, end="")
    return captured.get()


def _console(stream: IO[str]) -> Console | None:
    """rich's console in colour; None where there is no colour."""
    if not use_color(stream):
        return None
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        return None
    console = Console(file=stream, force_terminal=True, no_color=False)
    return console if console.color_system else Console(file=stream, force_terminal=True, no_color=False, color_system="standard")


def _style(lines: list[Line]) -> Text:
    from rich.text import Text

    pieces = [piece for line in lines for piece in (*line, ("\n", ""))]
    return Text.assemble(*((text, LOOKS.get(style, "")) for text, style in pieces[:-1]))


def table_text(table: Table, most: int | None = None, broken: bool = False) -> str:
    """A table for standard output, as wide as that is, or as `most` where nothing says so; long texts `broken` over rows, if so."""
    room = width() or most
    shown = wrap_table(table, room, columns_of) if broken else table
    return drawn(to_lines(shown, room, columns_of))


def diagnostics_text(found: Iterable[Diagnostic], stream: IO[str]) -> str:
    """Diagnostics for a stream."""
    return drawn(lines_of_all(found, width(stream), columns_of), stream)


def prose(text: str, most: int | None = None, stream: IO[str] | None = None) -> str:
    """Lines of text, wrapped to the width of a stream's terminal, or to `most` where nothing says how wide that is."""
    return wrap_all("\n".join(map(printable, text.split("\n"))), width(stream) or most, columns_of)


def complain(message: object, most: int | None = None) -> None:
    """A message to standard error, wrapped to the width of the terminal, or to `most` where nothing says how wide that is."""
    text = prose(f"archc: {message}", most, sys.stderr)
    print(drawn([[("archc:", "error"), (text.removeprefix("archc:"), "")]], sys.stderr), file=sys.stderr)


Step = Callable[[str], None]  # says what is done next


@contextmanager
def progress(what: str, total: int, patience: float = PATIENCE) -> Iterator[Step]:
    """Shows how far something is and the time that is left, on a terminal, once it has taken `patience` seconds.

    What is given is called before each of the `total` steps.
    """
    if not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb" or os.environ.get("CI"):
        yield lambda text: None
        return
    from threading import Timer

    bar = _Bar(what, total)
    timer = Timer(patience, bar.show)
    timer.daemon = True
    timer.start()
    try:
        yield bar.step
    finally:
        timer.cancel()
        bar.close()


def track(items: Iterable[Item], what: str) -> Iterator[Item]:
    """The items, with progress over them."""
    known = list(items)
    with progress(what, len(known)) as step:
        for item in known:
            step("")
            yield item


class _Bar:
    """A bar that may appear late, from another thread, or not at all."""

    def __init__(self, what: str, total: int) -> None:
        from threading import Lock

        self.what = what
        self.total = total
        self.done = -1
        self.closed = False
        self.lock = Lock()
        self.drawn: Progress | None = None

    def step(self, text: str) -> None:
        self.done += 1
        if text:
            self.what = printable(text)
        self._update()

    def show(self) -> None:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
            from rich.table import Column as Place
        except ModuleNotFoundError:
            return
        with self.lock:
            if self.closed:
                return
            description = TextColumn(
                "{task.description}", markup=False, table_column=Place(no_wrap=True, overflow="ellipsis", max_width=44)
            )
            console = Console(file=sys.stderr, no_color=not use_color(sys.stderr))
            columns = description, BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn()
            self.drawn = Progress(*columns, console=console, transient=True, expand=True, redirect_stdout=False, redirect_stderr=False)
            self.drawn.add_task(self.what, total=self.total, completed=max(self.done, 0))
            self.drawn.start()

    def _update(self) -> None:
        if self.drawn is not None:
            self.drawn.update(self.drawn.task_ids[0], description=self.what, completed=max(self.done, 0))

    def close(self) -> None:
        with self.lock:
            self.closed = True
            if self.drawn is not None:
                self.drawn.stop()


@contextmanager
def page_output() -> Iterator[None]:
    """Shows standard output in a pager, as `less -FRX` does, where a person reads it and it is taller than the terminal."""
    command = _pager()
    if command is None:
        yield
        return
    out = sys.stdout
    held = _Held(out)
    try:
        with redirect_stdout(held):
            yield
    finally:
        text = held.getvalue()
        if not (_rows(text, out) > os.get_terminal_size(out.fileno()).lines - 1 and _shown(text, command)):
            out.write(text)


class _Held(StringIO):
    """What is written to a terminal, kept for a pager."""

    def __init__(self, terminal: IO[str]) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.terminal.fileno()


def _pager() -> list[str] | None:
    """The command of the pager; None where there is none, or no person."""
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)) or os.environ.get("CI") or os.environ.get("TERM", "dumb") == "dumb":
        return None
    from shlex import split
    from shutil import which

    try:
        named = split(os.environ["PAGER"]) if "PAGER" in os.environ else ["less", "-FRX"]
    except ValueError:
        return None
    return named if named and named[0] != "cat" and which(named[0]) else None


def _rows(text: str, stream: IO[str]) -> int:
    import re

    room = width(stream) or DEFAULT_WIDTH
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n")
    return sum(max(-(-columns_of(line) // room), 1) for line in lines) - 1


def _shown(text: str, command: list[str]) -> bool:
    """Runs the pager; whether it could be started."""
    import subprocess

    encoding = sys.stdout.encoding or "utf-8"
    try:
        pager = subprocess.Popen(command, stdin=subprocess.PIPE, env={"LESS": "FRX", **os.environ})
    except OSError:
        return False
    with suppress(KeyboardInterrupt):  # which is for the pager
        pager.communicate(text.encode(encoding, "backslashreplace"))
    while pager.poll() is None:
        with suppress(KeyboardInterrupt):
            pager.wait()
    return True


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
