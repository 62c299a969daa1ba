"""Values as YAML text on one line, which the reader of trees, and any other of YAML 1.1 or 1.2, reads back as the same."""

from __future__ import annotations

import json
import re
from math import isinf
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def key_of(name: str) -> str:
    """A key; it holds no expressions."""
    return name if _PLAIN.match(name) and name.lower() not in _WORDS else quote(name)


def text_of(value: Any) -> str:
    """A value: a text, a number, a list, a mapping. Dollar signs are doubled, so that nothing is an expression."""
    if isinstance(value, str):
        return key_of(value.replace("$", "$$"))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(text_of, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key_of(str(key))}: {text_of(part)}" for key, part in value.items()) + "}"
    if isinstance(value, float) and isinf(value):
        return quote(str(value))
    text = json.dumps(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text


def quote(text: str) -> str:
    """A text in double quotes; what no line may hold is escaped."""
    return '"' + "".join(_ESCAPES.get(char) or (char if char.isprintable() else _escape(char)) for char in text) + '"'


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
