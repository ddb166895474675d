"""How Compose reads a plain scalar, and which strings must be quoted to stay strings.

Compose reads YAML 1.2 by yaml.v3, which keeps from 1.1 octal numbers with a leading zero (`mode: 0440`) and
underscores between digits; seen with Compose 2.26.1. Dates stay strings here.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NUMERIC = frozenset("+-.0123456789")
_BASED = re.compile(r"([-+]?)0(?:[xX]([0-9a-fA-F]+)|[oO]?([0-7]+)|[bB]([01]+))")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_NUMBER = 400


def read_scalar(text: str) -> str | int | float | bool | None:
    """Read a plain scalar.

    Raises:
        ValueError: It is infinite, or no number; nothing that follows could carry it.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _ENDLESS.fullmatch(text):
        raise ValueError(f"`{text}` is not a finite number; put it in quotes if it is text")
    return _number(text)


def _number(text: str) -> str | int | float:
    digits = text.replace("_", "")
    if len(digits) > _LONGEST_NUMBER:
        return text
    whole = int(digits) if _WHOLE.fullmatch(digits) else _based(digits)
    if whole is not None and -(1 << 63) <= whole < 1 << 64:
        return whole
    if not _FLOAT.fullmatch(digits):
        return text
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"`{text}` is not a finite number; put it in quotes if it is text")
    return number


def _based(digits: str) -> int | None:
    match = _BASED.fullmatch(digits)
    if not match:
        return None
    sign, sixteen, eight, two = match.groups()
    size = int(sixteen, 16) if sixteen else int(eight, 8) if eight else int(two, 2)
    return -size if sign == "-" else size


@lru_cache(maxsize=4096)
def ambiguous(text: str) -> bool:
    """Tell whether Compose would read this text, unquoted, as something else, or YAML 1.1 as a boolean.

    What else YAML 1.1 would misread (22:22, dates, `<<`), the YAML library knows and quotes itself.
    """
    if text in ("y", "Y", "n", "N"):
        return True
    try:
        return not isinstance(read_scalar(text), str)
    except ValueError:
        return True
