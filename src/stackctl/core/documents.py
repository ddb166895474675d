"""The one YAML loader and dumper: bounded before anyone else sees the text, scalars as Compose reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from stackctl.core.errors import Problem, StackFileError
from stackctl.core.names import shorten
from stackctl.core.paths import above, show_path, step
from stackctl.core.scalars import ambiguous, read_scalar

__all__ = ["MAX_BYTES", "Loaded", "dump", "load", "refusal", "show_path"]

MAX_BYTES = 1 << 20
"""Bytes of text; the largest compose files in the wild are a tenth of it."""
MAX_NODES = 100_000
"""Nodes once aliases are written out, and one more for each 256 characters: 25 MB of text at most."""
MAX_ALIASES = 500
MAX_DEPTH = 50
MAX_PROBLEMS = 50
MAX_PATH = 500
"""Characters of a path that is remembered; what lies deeper has the line of the part around it."""

_TAG = "tag:yaml.org,2002:"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_TOP = ("name", "services", "networks", "volumes", "secrets", "configs")
_LITERAL = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?\n+)(?:[ -~]*[!-~]\n+)*(?:[ -~]*[!-~])?")
"""Text of several lines that block style shows as it is: printable, no space at its start or a line's end."""
_TAB = "indent with spaces, never with tabs"
_HINTS = (
    ("cannot start any token", "put the value in quotes"),
    ("mapping values are not allowed", "put a value with `: ` in it in quotes, and check the indentation"),
    ("could not find expected ':'", "write `key: value`, with a space after the colon"),
    ("did not find expected key", "check the indentation of this line and the one before"),
    ("did not find expected ',' or", "close the bracket, or put the value in quotes"),
    ("unexpected end of stream", "close the quote or the bracket"),
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document and where its parts stand.

    Args:
        data: Plain data: dicts with text as keys, lists, scalars; aliases written out, nothing shared.
        source: The file, as messages show it.
        lines: Path (`services.web.ports[0]`) -> 1-based line; what a merge key or an alias brought in has
            none of its own.
    """

    data: Any
    source: str
    lines: Mapping[str, int]

    def line(self, path: str) -> int:
        """The line of a path, else of the nearest part around it that has one; 0 when there is none."""
        while path and path not in self.lines:
            path = above(path)
        return self.lines.get(path, 0)


def refusal(source: str, problems: tuple[Problem, ...]) -> StackFileError:
    """The error for a file with these problems, at least one; it carries the first MAX_PROBLEMS."""
    if len(problems) == 1:
        return StackFileError(str(problems[0]), hint=problems[0].hint, problems=problems)
    message = f"`{source}` has {len(problems)} problems"
    return StackFileError(message, problems=problems[:MAX_PROBLEMS])


def load(text: str, *, source: str) -> Loaded:
    """Read one YAML document.

    Args:
        text: At most MAX_BYTES.
        source: The file, as messages show it.

    Raises:
        StackFileError: It is not YAML, is more than one document, is too large, too deep or would grow too
            large, has a key twice, a key that is no text, or a tag; with file and line for each.
    """
    text = text.removeprefix("\ufeff")
    _check_text(text, source)
    reader = _Reader(text, source)
    try:
        data = reader.document()
    except yaml.MarkedYAMLError as error:
        raise refusal(source, (*reader.problems, _syntax_problem(error, text, source))) from None
    if reader.problems:
        raise refusal(source, tuple(reader.problems))
    return Loaded(data, source, reader.lines)


def dump(document: Any) -> str:
    """Write plain data as YAML: the same bytes every time, and only one way to read them.

    Keys are sorted; at the top, `name`, `services` and the like come first. Strings that some reader
    would take for something else are quoted, lines are never wrapped.

    Args:
        document: Dicts with text as keys, lists, text, finite numbers, booleans, None.
    """
    top = _top(document) if isinstance(document, dict) else document
    return str(yaml.dump(top, Dumper=_Dumper, sort_keys=False, width=1 << 30, allow_unicode=True))


def _top(document: dict[str, Any]) -> _Top:
    first = [key for key in _TOP if key in document]
    return _Top({key: document[key] for key in (*first, *sorted(document.keys() - set(first)))})


def _check_text(text: str, source: str) -> None:
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


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, source: str) -> Problem:
    what = shorten(error.problem or error.context or "it is broken", 100)
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    tab = any(row.lstrip(" ").startswith("\t") for row in text.split("\n")[max(line - 1, 0) : line])
    hint = _TAB if tab else next((hint for part, hint in _HINTS if part in what), "")
    return Problem(source=source, line=line, message=f"this is not valid YAML: {what}", hint=hint)


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A value that aliases may repeat; None in `data` while it is still being read."""

    data: Any
    nodes: int
    height: int


_UNFINISHED = _Anchored(None, 0, 0)


class _Reader:
    """Turns the parser's events into plain data, within bounds; recursion is bounded by MAX_DEPTH."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._aliases = 0
        self._deepest = 0

    def document(self) -> Any:
        next(self._events)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        root = next(self._events)
        self.lines[""] = root.start_mark.line + 1
        data = self._value(root, "", 1)
        next(self._events)
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            self._stop(event, "", "a second document begins here", "keep one document in a file")
        return data

    def _value(self, event: Any, path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            self._stop(event, "", f"the nesting is deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path, depth)
        self._deepest = max(self._deepest, depth)
        if event.anchor is None:
            return self._fresh(event, path, depth)
        return self._anchor(event, path, depth)

    def _anchor(self, event: Any, path: str, depth: int) -> Any:
        self._anchors[event.anchor] = _UNFINISHED
        nodes, deepest, self._deepest = self._nodes, self._deepest, depth
        data = self._fresh(event, path, depth)
        self._anchors[event.anchor] = _Anchored(data, self._nodes - nodes, self._deepest - depth)
        self._deepest = max(deepest, self._deepest)
        return data

    def _fresh(self, event: Any, path: str, depth: int) -> Any:
        self._count(event, 1)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, path, depth)
        return self._sequence(event, path, depth)

    def _scalar(self, event: Any, path: str) -> Any:
        text: str = event.value
        if len(text) > 256:
            self._count(event, len(text) // 256)
        if event.tag is not None:
            self._check_tag(event, path, "str")
        if "\0" in text or (not text.isascii() and _has_surrogate(text)):
            self._report(event, path, "a NUL character or half a character cannot stand in a value")
        if not event.implicit[0]:
            return text
        try:
            return read_scalar(text)
        except ValueError as error:
            self._report(event, path, str(error))
            return text

    def _sequence(self, event: Any, path: str, depth: int) -> list[Any]:
        self._check_tag(event, path, "seq")
        items: list[Any] = []
        for item in self._events:
            if isinstance(item, yaml.SequenceEndEvent):
                break
            child = self._child(path, len(items), item.start_mark.line + 1)
            items.append(self._value(item, child, depth + 1))
        return items

    def _mapping(self, event: Any, path: str, depth: int) -> dict[str, Any]:
        self._check_tag(event, path, "map")
        found: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        seen: dict[str, int] = {}
        for item in self._events:
            if isinstance(item, yaml.MappingEndEvent):
                break
            key, line = self._key(item, path, depth), item.start_mark.line + 1
            child = self._child(path, key, line)
            if key in seen:
                self._report(
                    item, child, f"`{shorten(key)}` stands here twice, first on line {seen[key]}", "keep one"
                )
            seen.setdefault(key, line)
            value = self._value(next(self._events), child, depth + 1)
            if key == "<<" and item.implicit[0]:
                merged.extend(self._sources(item, value, child))
            else:
                found[key] = value
        for one in reversed(merged):
            found = {**one, **found}
        return found

    def _child(self, path: str, part: str | int, line: int) -> str:
        if len(path) > MAX_PATH or (isinstance(part, str) and len(part) > MAX_PATH):
            return path
        child = step(path, part)
        self.lines[child] = line
        return child

    def _sources(self, event: Any, value: Any, path: str) -> list[dict[str, Any]]:
        """What a merge key brings in, the strongest last."""
        sources = value if isinstance(value, list) else [value]
        if all(isinstance(one, dict) for one in sources):
            return list(reversed(sources))
        self._report(event, path, "a merge key takes a mapping or a list of mappings")
        return []

    def _key(self, event: Any, path: str, depth: int) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._stop(event, path, "a key must be text, not a list, a mapping or an alias")
        key = self._value(event, path, depth)
        if isinstance(key, str):
            return key
        if not isinstance(key, int) or str(key) != event.value:
            shown = shorten(event.value)
            self._report(event, path, f"the key `{shown}` is not text", f'write it as "{shown}"')
        return str(event.value)

    def _alias(self, event: Any, path: str, depth: int) -> Any:
        if event.anchor not in self._anchors:
            self._stop(event, path, f"`*{shorten(event.anchor)}` names no anchor above it")
        anchored = self._anchors[event.anchor]
        if anchored is _UNFINISHED:
            self._stop(event, path, f"`*{shorten(event.anchor)}` contains itself")
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self._stop(event, path, f"there are more than {MAX_ALIASES} aliases")
        self._count(event, anchored.nodes)
        self._deepest = max(self._deepest, depth + anchored.height)
        if self._deepest > MAX_DEPTH:
            self._stop(event, path, f"the nesting is deeper than {MAX_DEPTH} levels")
        return _copy(anchored.data)

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._stop(
                event, "", f"the document grows beyond {MAX_NODES} values once aliases are written out"
            )

    def _check_tag(self, event: Any, path: str, kind: str) -> None:
        if event.tag not in (None, "!", _TAG + kind):
            shown = shorten(str(event.tag).replace(_TAG, "!!"))
            self._report(event, path, f"the tag `{shown}` is not supported", "write the value without a tag")

    def _report(self, event: Any, path: str, message: str, hint: str = "") -> None:
        line = event.start_mark.line + 1
        self.problems.append(Problem(source=self.source, line=line, path=path, message=message, hint=hint))

    def _stop(self, event: Any, path: str, message: str, hint: str = "") -> NoReturn:
        self._report(event, path, message, hint)
        raise refusal(self.source, tuple(self.problems))


def _copy(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _copy(value) for key, value in data.items()}
    return [_copy(value) for value in data] if isinstance(data, list) else data


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BaseDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_BaseDumper):  # type: ignore[misc]  # chosen at import: the C dumper where PyYAML has it
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # nothing is shared in what is written
        return True


class _Top(dict[str, Any]):
    """The top of a document, whose order is its own."""


def _represent_text(dumper: Any, text: str) -> Any:
    style = "'" if ambiguous(text) else "|" if _LITERAL.fullmatch(text) else None
    return dumper.represent_scalar(_TAG + "str", text, style=style)


def _represent_mapping(dumper: Any, mapping: dict[str, Any]) -> Any:
    pairs = mapping.items() if isinstance(mapping, _Top) else sorted(mapping.items())
    return dumper.represent_mapping(_TAG + "map", list(pairs))


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(dict, _represent_mapping)
_Dumper.add_representer(_Top, _represent_mapping)
