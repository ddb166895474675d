"""How option values are read: `NAME=VALUE`, durations, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.errors import UsageError
from stackctl.core.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackctl.core.limits import Layer


def settings(words: Sequence[str], option: str) -> dict[str, str]:
    """Read `NAME=VALUE` words; a name may stand once.

    Raises:
        UsageError: A word has no `=`, no name, or a name that stood before.
    """
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name.strip():
            raise UsageError(f"{option} takes NAME=VALUE, not `{word}`", hint=f"such as {option} version=15")
        if name in found:
            raise UsageError(f"{option} {name} stands twice", hint="give each name once")
        found[name] = value
    return found


def duration(text: str | None, option: str, default: float) -> float:
    """Read a duration in seconds, or take the default.

    Raises:
        UsageError: It cannot be read.
    """
    if text is None:
        return default
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint="such as 30s, 20m or 12h") from error


def limit_layer(words: Sequence[str], lifetime: str | None = None) -> Layer:
    """Read `--limit` words, and `--lifetime` where a command has one.

    Raises:
        UsageError: A limit cannot be read.
    """
    from stackctl.core.limits import Setting, limit_layer_from_words

    layer = limit_layer_from_words(words, "--limit") if words else {}
    if lifetime is None:
        return layer
    return {**layer, "lifetime": Setting(duration(lifetime, "--lifetime", 0.0), "--lifetime")}
