"""Stand-ins for values while a template's text is read as YAML, so that no value can shape the document."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stackctl.core.holes import HOLE

Value = str | int | float | bool | None

OPEN, CLOSE = "\U0010f5c0", "\U0010f5c1"
"""Private-use characters: YAML carries them, no script or font has them, values and templates may not."""
_TOKEN = re.compile(f"{OPEN}([0-9]+){CLOSE}")
_DELIMITER = re.compile(f"[{OPEN}{CLOSE}]")
_HALF = re.compile("[\0\ud800-\udfff]")


class SecretText(str):
    """The name or the path of a secret; where it is printed, the service needs the secret."""

    __slots__ = ("secret",)
    secret: str

    @staticmethod
    def of(text: str, secret: str) -> SecretText:
        """Text about `secret`, whose value the core never has."""
        made = SecretText(text)
        made.secret = secret
        return made


@dataclass(frozen=True, slots=True)
class Given:
    """Something with names that a template may read: a secret (`file`, `name`), a sidecar (`port` …).

    Args:
        what: What it is, for the message when a template prints it whole.
    """

    what: str
    fields: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def __str__(self) -> str:
        raise ValueError(self.what)


def refused_characters(text: str) -> str:
    """Why the text can be no value and no template, or empty."""
    if _DELIMITER.search(text):
        return "the private-use characters U+10F5C0 and U+10F5C1 are reserved"
    return "a NUL character or half a character cannot stand in it" if _HALF.search(text) else ""


def show(value: Value) -> str:
    """A value as text in YAML's own words: `true` rather than `True`, nothing for null."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def escape(text: str) -> str:
    """Text in which Compose interpolates nothing."""
    return text.replace("$", "$$")


def escape_template(text: str) -> str:
    """A template's own text in which Compose interpolates the declared holes and nothing else."""
    if "$" not in text:
        return text
    parts, at = [], 0
    for hole in HOLE.finditer(text):
        parts += [escape(text[at : hole.start()]), hole[0]]
        at = hole.end()
    return "".join([*parts, escape(text[at:])])


class Tokens:
    """The values of one rendering, and the tokens that stand for them.

    A token is numbered in the order of printing, so the same template and values give the same text.
    """

    def __init__(self) -> None:
        self._values: list[Value] = []

    def issue(self, value: Value) -> str:
        """A token for the value."""
        self._values.append(value)
        return f"{OPEN}{len(self._values) - 1}{CLOSE}"

    def expand(self, text: str) -> str:
        """The text with each token's value in its place.

        Raises:
            ValueError: A template cut a token in two.
        """
        if not _DELIMITER.search(text):
            return text
        found = _TOKEN.sub(lambda match: show(self._value(match[1])), text)
        if _DELIMITER.search(found):
            raise ValueError("a template's output was cut in the middle of a value")
        return found

    def fill(self, node: Any, used: set[str]) -> Any:
        """A parsed document with each token's value in its place, ready for Compose to interpolate.

        A scalar that is one token takes the value with its type; otherwise text is put together. Keys take
        text only, and are not escaped, since Compose interpolates none.

        Args:
            node: Plain data as `documents.load` gives it; it is left as it is.
            used: Receives the names of the secrets whose name or path was printed.

        Raises:
            ValueError: Two keys of a mapping are the same once filled in.
        """
        if isinstance(node, str):
            return self._scalar(node, used)
        if isinstance(node, list):
            return [self.fill(item, used) for item in node]
        return self._mapping(node, used) if isinstance(node, dict) else node

    def _mapping(self, node: dict[str, Any], used: set[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for raw, value in node.items():
            key = self._join(raw, str, str, used) if OPEN in raw else raw
            if key in found:
                raise ValueError(f"the key `{key}` stands twice in one mapping")
            found[key] = self.fill(value, used)
        return found

    def _scalar(self, text: str, used: set[str]) -> Value:
        if OPEN not in text:
            return escape_template(text)
        whole = _TOKEN.fullmatch(text)
        if not whole:
            return self._join(text, escape_template, escape, used)
        value = self._noted(whole[1], used)
        return escape(value) if isinstance(value, str) else value

    def _join(
        self, text: str, own: Callable[[str], str], foreign: Callable[[str], str], used: set[str]
    ) -> str:
        parts = _TOKEN.split(text)
        parts[::2] = [own(part) for part in parts[::2]]
        parts[1::2] = [foreign(show(self._noted(index, used))) for index in parts[1::2]]
        return "".join(parts)

    def _noted(self, index: str, used: set[str]) -> Value:
        value = self._value(index)
        if isinstance(value, SecretText):
            used.add(value.secret)
        return value

    def _value(self, index: str) -> Value:
        if int(index) >= len(self._values):
            raise ValueError("a template made up a stand-in for a value")
        return self._values[int(index)]
