"""What stands on a command line before the word to complete: arguments, told from options and their values.

The options of each command stand in `options.json`, which `scripts/docs.py` writes from what click knows: to
import click and a command's module would take longer than all else that a press of TAB does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("options.json")
Row = dict[str, Any]
"""One option: `names`, `help`, `for` (one word for all that set the same), `value` if it takes one (`file`,
`dir`, a list of words, or empty for any text), `again` if it may stand twice, `hidden`."""


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_bytes())
    return table


class Typed:
    """The words so far.

    Attributes:
        words: The command and its arguments, options left out.
        options: Option as typed -> its value.
        given: What was set at the command itself, as `Row` has it under `for`.
        pending: The option whose value is to be completed, empty for none.
        ended: True where no option of ours can follow.
    """

    def __init__(self) -> None:
        self.words: list[str] = []
        self.options: dict[str, str] = {}
        self.given: set[str] = set()
        self.pending = ""
        self.ended = False

    @property
    def path(self) -> str:
        """The command ("up", "guard run"), empty before there is one, and for a word that is none."""
        commands = _table()["commands"]
        longest = (" ".join(self.words[:count]) for count in (2, 1))
        return next((path for path in longest if path in commands), "")

    @property
    def rows(self) -> list[Row]:
        """The options that the command has; none for a word that is no command."""
        table = _table()
        found = table["commands"]["" if not self.words else self.path]
        if self.words and not self.path:
            return []
        return [*(table["shared"] if found["shared"] else ()), *found["options"]]

    def row(self, name: str) -> Row | None:
        """The option of that name, of the command or else of stackctl itself."""
        every = [*self.rows, *_table()["shared"]]
        return next((row for row in every if name in row["names"]), None)

    def take_word(self, word: str) -> None:
        """Read an argument, or the name of a command."""
        before = self.path
        self.words.append(word)
        if self.path != before:
            self.given.clear()
        elif self.path and _table()["commands"][self.path]["runs"]:
            self.ended = True  # what follows is somebody else's command line

    def take_option(self, word: str) -> None:
        """Read what begins with a dash: `--home`, `--home=x`, `-fq`, `-ume`; any other is left out."""
        name, sign, value = word.partition("=")
        if self.row(name):
            self._set(name, value if sign else None)
        elif not word.startswith("--"):
            self._take_letters(word)

    def take_value(self, word: str) -> None:
        """Read the value of the option before; bash makes three words of `--home=x`."""
        if word != "=":
            name, self.pending = self.pending, ""
            self._set(name, word)

    def _take_letters(self, word: str) -> None:
        for at, letter in enumerate(word[1:], 2):
            row = self.row(f"-{letter}")
            if row is None:
                return
            if "value" in row:
                self._set(f"-{letter}", word[at:] or None)
                return
            self._set(f"-{letter}", None)

    def _set(self, name: str, value: str | None) -> None:
        row = self.row(name)
        if row and "value" in row:
            if value is None:
                self.pending = name
                return
            self.options[name] = value
        self.given |= {row["for"]} if row else set()


def read_words(words: Iterable[str]) -> Typed:
    """Read the words of a command line, its program left out."""
    typed = Typed()
    for word in words:
        if typed.pending:
            typed.take_value(word)
        elif typed.ended or not word.startswith("-") or word == "-":
            typed.take_word(word)
        elif word == "--":
            typed.ended = True
        else:
            typed.take_option(word)
    return typed
