"""Reads the fields of a loaded document by type, and collects everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, TypeVar

from stackctl.core.documents import Loaded, refusal
from stackctl.core.errors import Problem, UsageError
from stackctl.core.names import nearest, shorten
from stackctl.core.paths import step

Value = TypeVar("Value")

_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}


def kind(raw: Any) -> str:
    """What a value is, in the words of error messages ("a list")."""
    return _KINDS.get(type(raw), "a number")


def unknown(word: str, known: Collection[str], what: str) -> tuple[str, str]:
    """The message and the hint for a word that is none of those known."""
    close = nearest(word, known, most=1)
    hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(known)}"
    return f"there is no {what} `{shorten(word)}`", hint


class Report:
    """What is wrong with one document, each problem with its place.

    Args:
        loaded: The document.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self._problems: list[Problem] = []

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was found so far, in that order."""
        return tuple(self._problems)

    def wrong(self, path: str, message: str, hint: str = "") -> None:
        line = self.loaded.line(path)
        shown = shorten(path, 200)
        problem = Problem(path=shown, message=message, hint=hint, source=self.loaded.source, line=line)
        self._problems.append(problem)

    def origin(self, path: str) -> str:
        """Where a value stands, `file:line`."""
        line = self.loaded.line(path)
        return f"{self.loaded.source}:{line}" if line else self.loaded.source

    def finish(self) -> None:
        """Raise everything that was found wrong.

        Raises:
            StackFileError: Something was.
        """
        if self._problems:
            ordered = sorted(self._problems, key=lambda problem: problem.line)
            raise refusal(self.loaded.source, tuple(ordered))

    def attempt(self, path: str, read: Callable[[], Value], otherwise: Value, hint: str = "") -> Value:
        """The value that `read` returns; when it raises, the problem is noted and `otherwise` returned."""
        try:
            return read()
        except UsageError as error:
            self.wrong(path, error.message, error.hint)
        except ValueError as error:
            self.wrong(path, str(error), hint)
        return otherwise


class Fields:
    """One mapping of a document.

    Args:
        report: Where problems go.
        raw: What stands at `path`; nothing counts as an empty mapping.
        path: Where in the document.
        known: The keys that there are; None when any key may stand.
    """

    def __init__(self, report: Report, raw: Any, path: str, known: Collection[str] | None = None) -> None:
        self.report = report
        self.path = path
        self.raw: dict[str, Any] = raw if isinstance(raw, dict) else {}
        self._mapping = raw is None or isinstance(raw, dict)
        if not self._mapping:
            report.wrong(path, f"must be a mapping of `key: value`, not {kind(raw)}")
        for key in self.raw.keys() - set(known) if known is not None else ():
            report.wrong(self.at(key), *unknown(key, known or (), "key"))

    def __contains__(self, key: str) -> bool:
        return self.raw.get(key) is not None

    def at(self, key: str) -> str:
        return step(self.path, key)

    def wrong(self, key: str, message: str, hint: str = "") -> None:
        self.report.wrong(self.at(key), message, hint)

    def lacking(self, message: str, hint: str = "") -> None:
        """Note that the mapping itself lacks something, unless it was no mapping to begin with."""
        if self._mapping:
            self.report.wrong(self.path, message, hint)

    def check_keys(self, check: Callable[[str], str]) -> None:
        """Note each key that `check` refuses."""
        for key in self.raw:
            self.report.attempt(self.at(key), partial(check, key), "")

    def origins(self) -> dict[str, str]:
        """Key -> `file:line`."""
        return {key: self.report.origin(self.at(key)) for key in self.raw}

    def read(self, key: str, parse: Callable[[Any], Value], otherwise: Value) -> Value:
        """The parsed value, or `otherwise` when there is none or `parse` raises a ValueError."""
        if key not in self:
            return otherwise
        return self.report.attempt(self.at(key), lambda: parse(self.raw[key]), otherwise)

    def text(self, key: str) -> str:
        """One line or more of text; empty when it is absent."""
        return self.read(key, text, "")

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text counts as a list of one."""
        return self.read(key, words, ())

    def one_of(self, key: str, known: Collection[str], otherwise: str) -> str:
        """One of the known words."""
        return self.read(key, lambda raw: choice(raw, known), otherwise)

    def inner(self, key: str, known: Collection[str] | None = None) -> Fields:
        """The mapping below a key, empty when it is absent."""
        return Fields(self.report, self.raw.get(key), self.at(key), known)

    def entries(self) -> Mapping[str, Any]:
        """Every key with what stands there, in the order of the file."""
        return self.raw


def text(raw: Any) -> str:
    """Text that is not empty.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(raw, str):
        number = isinstance(raw, (int, float))
        raise ValueError(f"must be text, not {kind(raw)}{'; put it in quotes' if number else ''}")
    if not raw.strip():
        raise ValueError("must not be empty")
    return raw


def choice(raw: Any, known: Collection[str]) -> str:
    """One of the known words.

    Raises:
        ValueError: It is no text.
        UsageError: It is another word.
    """
    word = text(raw)
    if word not in known:
        message, hint = unknown(word, known, "choice")
        raise UsageError(message, hint=hint)
    return word


def words(raw: Any) -> tuple[str, ...]:
    """A list of texts, or one text.

    Raises:
        ValueError: It is something else, or one of its items is.
    """
    items = raw if isinstance(raw, list) else [raw]
    for place, item in enumerate(items):
        if not isinstance(item, str) or not item.strip():
            where = f"item {place + 1} " if isinstance(raw, list) else ""
            what = "empty text" if isinstance(item, str) else kind(item)
            raise ValueError(f"{where}must be text, not {what}")
    return tuple(items)
