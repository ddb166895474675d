"""Names that stand in a stack file, by its lines alone: without YAML, which takes long to load.

Where a text is laid out in another way than people and `stackctl new` do it, nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_KEY = re.compile(r"( *)([a-z][a-z0-9_-]*):(?= |$)")
_READ_AS_OTHERS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_PAIRS = (("{", "}"), ("[", "]"))


def keys_below(text: str, key: str) -> list[str] | None:
    """The keys of the mapping that a key at the top of a stack file has, in their order.

    Args:
        text: The file.
        key: Such as `tasks`.

    Returns:
        None where only YAML's own reader can tell: nothing in block style stands there, or a line is not one
        that is plainly a key, or part of what a key has.
    """
    if key not in text and "\\" not in text:
        return []
    lines = text.splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith(key)]
    if len(starts) != 1 or lines[starts[0]].rstrip() != f"{key}:" or "\t" in text:
        return None
    block = list(_block(lines[starts[0] + 1 :]))
    inner = _indent(block[0]) if block else 0
    found = []
    for line in block:
        match = _KEY.match(line)
        if not _closed(line) or _indent(line) < inner:
            return None
        if _indent(line) == inner:
            if match is None or match[2] in _READ_AS_OTHERS:
                return None
            found.append(match[2])
    return found or None


def _block(lines: Sequence[str]) -> Iterator[str]:
    """The lines that belong to what stands before them, without comments and empty ones."""
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            if not line.startswith(" "):
                return
            yield line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _closed(line: str) -> bool:
    """Whether nothing is opened here that another line closes."""
    pairs = all(line.count(one) == line.count(other) for one, other in _PAIRS)
    return pairs and not any(line.count(quote) % 2 for quote in "\"'")
