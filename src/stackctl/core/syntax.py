"""What keeps a text from being read at all, and the error for a file with problems."""

from __future__ import annotations

import re

from stackctl.core.errors import Problem, StackFileError
from stackctl.core.names import shorten

MAX_BYTES = 1 << 20
"""Bytes of text; a document of 200 services has a sixth of it."""
MAX_PROBLEMS = 50

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_TAB = "indent with spaces, never with tabs"
_HINTS = (
    ("cannot start any token", "put the value in quotes"),
    ("mapping values are not allowed", "put a value with `: ` in it in quotes, and check the indentation"),
    ("could not find expected ':'", "write `key: value`, with a space after the colon"),
    ("did not find expected key", "check the indentation of this line and the one before"),
    ("did not find expected ',' or", "close the bracket, or put the value in quotes"),
    ("unexpected end of stream", "close the quote or the bracket"),
)


def refusal(source: str, problems: tuple[Problem, ...]) -> StackFileError:
    """The error for a file with these problems, at least one; it carries the first MAX_PROBLEMS."""
    if len(problems) == 1:
        return StackFileError(str(problems[0]), hint=problems[0].hint, problems=problems)
    message = f"`{source}` has {len(problems)} problems"
    return StackFileError(message, problems=problems[:MAX_PROBLEMS])


def check_text(text: str, source: str) -> None:
    """Refuse a text that is too large, or has characters that YAML does not allow.

    Raises:
        StackFileError: It is or has.
    """
    odd = _UNPRINTABLE.search(text)
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        message = f"the character U+{ord(odd[0]):04X} cannot stand in a YAML file"
        hint = "save the file as UTF-8 text without control characters"
        raise refusal(source, (Problem(source=source, line=line, message=message, hint=hint),))
    size = len(text.encode())
    if size > MAX_BYTES:
        message = f"it has {size} bytes, more than the {MAX_BYTES} allowed"
        raise refusal(source, (Problem(source=source, message=message, hint="split it"),))


def syntax_problem(what: str, line: int, text: str, source: str) -> Problem:
    """The problem for what a parser said of a 1-based line, with a hint for the usual mistakes."""
    tab = any(row.lstrip(" ").startswith("\t") for row in text.split("\n")[max(line - 1, 0) : line])
    hint = _TAB if tab else next((hint for part, hint in _HINTS if part in what), "")
    return Problem(
        source=source, line=line, message=f"this is not valid YAML: {shorten(what, 100)}", hint=hint
    )
