"""Which regular expressions a template may check values with: those whose worst case is known and small."""

from __future__ import annotations

import re
from warnings import catch_warnings, simplefilter

from stackctl.core.names import shorten

MAX_TEXT = 256
"""Characters of a value that a pattern is matched with; longer ones are refused before."""
MAX_STEPS = 1 << 26
"""Ways that a backtracking matcher may have to try: three open repeats over MAX_TEXT and a little more."""
_LONGEST = 200
_SET = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPEAT = re.compile(r"(?:[*+?]|\{(?!\})(\d*)(,?)(\d*)\})[?+]?")


def check_pattern(pattern: str) -> str:
    r"""Return a regular expression that cannot blow up.

    Its worst case is counted: each repeat multiplies the ways to match by how often it may repeat, each
    choice by its branches. `[a-z0-9-]+(\.[a-z]{2,8}){1,2}` passes, `(a+)+` does not.

    Raises:
        ValueError: It does not compile, its worst case is above MAX_STEPS, or it looks around or back.
    """
    if len(pattern) > _LONGEST:
        raise ValueError(f"a pattern has at most {_LONGEST} characters")
    try:
        with catch_warnings():
            simplefilter("error")  # what a later Python would read in another way is no pattern to rely on
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"`{shorten(pattern)}` is not a regular expression: {error}") from None
    if _Cost(pattern).total() > MAX_STEPS:
        raise ValueError(f"`{shorten(pattern)}` could take too long; repeat no group that repeats or chooses")
    return pattern


def matches(pattern: str, text: str) -> bool:
    """Tell whether a checked pattern matches the whole text.

    Raises:
        ValueError: The text is longer than MAX_TEXT.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"has {len(text)} characters, more than the {MAX_TEXT} that a pattern allows")
    return re.fullmatch(pattern, text) is not None


class _Cost:
    """Counts the ways in which a backtracking matcher can go through a pattern that compiles."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def total(self) -> int:
        return self._branches(0)

    def _branches(self, depth: int) -> int:
        if depth > 10:
            raise ValueError("groups are nested too deep in the pattern")
        ways = self._sequence(depth)
        while self._pattern.startswith("|", self._at):
            self._at += 1
            ways += self._sequence(depth)
        return ways

    def _sequence(self, depth: int) -> int:
        ways = 1
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            ways = min(ways * self._repeated(self._atom(depth)), MAX_STEPS + 1)
        return ways

    def _atom(self, depth: int) -> int:
        start, one_set = self._at, _SET.match(self._pattern, self._at)
        if one_set:
            self._at = one_set.end()
            return 1
        if self._pattern[start] == "(":
            return self._group(depth)
        if self._pattern[start] == "\\" and self._pattern[start + 1].isdigit():
            raise ValueError("a pattern cannot refer back to what it matched")
        self._at += 2 if self._pattern[start] == "\\" else 1
        return 1

    def _group(self, depth: int) -> int:
        plain = self._pattern.startswith("(?:", self._at)
        if not plain and self._pattern.startswith("(?", self._at):
            raise ValueError("a pattern may have plain groups only: `(…)` or `(?:…)`")
        self._at += 3 if plain else 1
        ways = self._branches(depth + 1)
        self._at += 1
        return ways

    def _repeated(self, ways: int) -> int:
        match = _REPEAT.match(self._pattern, self._at)
        if not match:
            return ways
        self._at = match.end()
        if match[0][0] == "?":
            return ways + 1
        most = _most(match)
        if most > MAX_TEXT or (ways > 1 and most > MAX_STEPS.bit_length()):
            return MAX_STEPS + 1
        return min(max(most, 1) * int(ways**most), MAX_STEPS + 1)


def _most(repeat: re.Match[str]) -> int:
    least, comma, most = repeat.groups()
    if repeat[0][0] in "*+" or (comma and not most):
        return MAX_TEXT
    return int(most or least)
