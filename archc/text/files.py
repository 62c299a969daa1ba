"""The text of a file that a person or a spec names, within bounds."""

from __future__ import annotations

from pathlib import Path

from archc.text.diagnostics import Diagnostics
from archc.text.source import Source, Span
from archc.text.suggest import did_you_mean
from archc.text.tree import MOST_CHARACTERS


def read_file(path: Path, name: str, where: Span | None, diagnostics: Diagnostics) -> Source | None:
    """A file's text as a source; where it cannot be read, a diagnostic at the place that named it."""
    problem = None
    try:
        if path.is_dir():
            problem = "a folder"
        elif where is not None and path.exists() and not path.is_file():  # a pipe may be read where a person names it
            problem = "not a file"
        else:
            with path.open("rb") as file:
                data = file.read(4 * MOST_CHARACTERS + 1)
            if len(data) <= 4 * MOST_CHARACTERS:
                return Source(name, data.decode("utf-8-sig").replace("\r\n", "\n"), str(path), where)
            problem = "too large for a spec"
    except FileNotFoundError:
        problem = "no such file"
    except (OSError, ValueError) as error:
        problem = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or "not a path"
    span = where or Span(Source(name, ""), 0, 0)
    near = did_you_mean(path.name, (entry.name for entry in path.parent.glob("*.yaml"))) if path.parent.is_dir() else None
    diagnostics.error("A701", span, f"cannot read {name}: {problem}", near if problem == "no such file" else None)
    return None
