"""Env files that compose reads back as exactly what was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stackctl.core.errors import UsageError

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r"})


def dotenv(values: Mapping[str, str]) -> str:
    """The text of an env file, sorted by name.

    Args:
        values: Variable -> value; any text but NUL.

    Raises:
        UsageError: A name or a value cannot stand in an env file.
    """
    return "".join(f"{name}={_quote(name, value)}\n" for name, value in sorted(values.items()))


def _quote(name: str, value: str) -> str:
    if not _KEY.fullmatch(name):
        raise UsageError(f"{name!a} cannot be the name of an environment variable")
    if "\0" in value:
        raise UsageError(f"the environment variable `{name}` has a NUL in it")
    if _PLAIN.fullmatch(value):
        return value
    if not re.search(r"['\\\r]", value):
        return f"'{value}'"
    return f'"{value.translate(_ESCAPES)}"'


def read_dotenv(text: str) -> dict[str, str]:
    """What `dotenv` wrote, read back, but for values in double quotes, which only odd text needs."""
    found = {}
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign and _KEY.fullmatch(name) and not value.startswith('"'):
            found[name] = value[1:-1] if value.startswith("'") else value
    return found
