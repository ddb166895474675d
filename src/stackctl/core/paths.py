"""How a place inside a document is written (`services.web.ports[0]`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[\w-]+", re.ASCII)


def step(path: str, part: str | int) -> str:
    """The path of one child: a key of a mapping, or the 0-based place in a list."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    if not _PLAIN.fullmatch(part):
        return f"{path}[{json.dumps(part)}]"
    return f"{path}.{part}" if path else part


def show_path(parts: Iterable[str | int]) -> str:
    """Write a path: keys with dots between them, places in brackets, odd keys quoted (`services["a.b"]`)."""
    path = ""
    for part in parts:
        path = step(path, part)
    return path


def above(path: str) -> str:
    """What a path stands in, as far as its text tells; empty for the top."""
    return path[: max(path.rfind("."), path.rfind("["), 0)]
