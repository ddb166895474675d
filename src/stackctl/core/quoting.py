"""Filters that quote a value for the language of the text around it: `{{ name|shell }}` in a script."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from html import escape
from shlex import quote

_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")


class Quoted(str):
    """Text that a quoting filter made, safe to print in a file."""

    __slots__ = ()


def bare(text: str) -> bool:
    """Tell whether text means itself in shell, JSON strings, nginx and HTML alike, so needs no quotes."""
    return _BARE.fullmatch(text) is not None


def quote_json(value: object) -> Quoted:
    """As JSON, which Python and JavaScript literals and YAML read as well, inside HTML too."""
    text = json.dumps(value, ensure_ascii=True)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Quoted(text)


def quote_shell(value: object) -> Quoted:
    """As one word of a POSIX shell."""
    return Quoted(quote(str(value)))


def quote_html(value: object) -> Quoted:
    """As text or an attribute's value in HTML."""
    return Quoted(escape(str(value)))


def quote_nginx(value: object) -> Quoted:
    r"""As one parameter of an nginx directive.

    Raises:
        ValueError: It holds `$`, which nginx always reads as a variable, or a line break.
    """
    text = str(value)
    if re.search(r"[$\x00-\x1f\x7f]", text):
        raise ValueError("nginx cannot take `$` or a line break in a value")
    return Quoted('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')


FILTERS: Mapping[str, Callable[[object], Quoted]] = {
    "json": quote_json,
    "shell": quote_shell,
    "html": quote_html,
    "nginx": quote_nginx,
}
