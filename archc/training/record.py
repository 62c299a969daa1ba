"""JSON of a run, read field by field: what is missing or impossible is told of in a sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from archc.text.diagnostics import printable
from archc.text.regular import read_regular
from archc.training.wishes import TrainError

MOST_BYTES = 1 << 28
_SHOWN = 40  # characters of a value
_LARGEST = 1 << 53


class Record:
    """An object of a file. Each method takes one of its fields, or raises TrainError."""

    def __init__(self, path: Path, fields: dict[str, Any], within: str = "") -> None:
        self.path = path
        self.fields = fields
        self._within = within

    @classmethod
    def read(cls, path: Path) -> Record:
        """The object of a JSON file that is no link. Raises TrainError."""
        try:
            found = json.loads(read_regular(path, MOST_BYTES, follow=False))
        except OSError as error:
            raise TrainError(f"{path}\ncannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise TrainError(f"{path}\nis damaged: it is not JSON") from None
        if not isinstance(found, dict):
            raise TrainError(f"{path}\nis damaged: an object was expected, as {{…}}")
        return cls(path, found)

    def __contains__(self, name: str) -> bool:
        """Whether a field is there, and not null."""
        return self.fields.get(name) is not None

    def whole(self, name: str, least: int = 0, most: int = _LARGEST) -> int:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            range_ = f"from {least:,} to {most:,}" if most < _LARGEST else f"from {least:,} up"
            raise self.wrong(name, f"a whole number {range_}")
        return value

    def number(self, name: str, least: float = -math.inf, *, finite: bool = True) -> float:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "a number")
        if finite and not (abs(value) < math.inf and value >= least):
            raise self.wrong(name, "a finite number" + (f" from {least:g} up" if least > -math.inf else ""))
        return float(value)

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        value = self._get(name)
        if not isinstance(value, list) or not all(isinstance(one, int | float) and abs(one) < math.inf for one in value):
            raise self.wrong(name, "a list of finite numbers")
        return tuple(map(float, value))

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._get(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(name, "a list of texts")
        return tuple(value)

    def flag(self, name: str) -> bool:
        value = self._get(name)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def inner(self, name: str) -> Record:
        value = self._get(name)
        if not isinstance(value, dict):
            raise self.wrong(name, "an object, as {…}")
        return Record(self.path, value, f"{self._within}{name}.")

    def wrong(self, name: str, expected: str) -> TrainError:
        """What is wrong with a field."""
        text = printable(json.dumps(self.fields[name]))
        shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
        return TrainError(f"{self.path}\nis damaged: {printable(self._within + name)[:80]} is {shown}, where {expected} was expected")

    def _get(self, name: str) -> Any:
        if name not in self.fields:
            raise TrainError(f"{self.path}\nis damaged: it has no {printable(self._within + name)[:80]}")
        return self.fields[name]
