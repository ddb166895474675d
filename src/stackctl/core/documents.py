"""The one YAML loader and dumper: bounded before anyone else sees the text, scalars as Compose reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from typing import Any, NoReturn

import yaml
from yaml.resolver import Resolver

from stackctl.core.errors import Problem
from stackctl.core.names import shorten
from stackctl.core.paths import above, show_path, step
from stackctl.core.scalars import ambiguous, read_scalar
from stackctl.core.syntax import MAX_BYTES, check_text, refusal, syntax_problem

__all__ = ["MAX_BYTES", "Loaded", "dump", "load", "refusal", "show_path"]

MAX_NODES = 100_000
"""Nodes once aliases are written out, and one more for each 256 characters: 25 MB of text at most."""
MAX_ALIASES = 500
MAX_DEPTH = 50
MAX_PATH = 500
"""Characters of a path that is remembered; what lies deeper has the line of the part around it."""

_TOP = ("name", "services", "networks", "volumes", "secrets", "configs")
_TAG = "tag:yaml.org,2002:"
_LITERAL = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?\n+)(?:[ -~]*[!-~]\n+)*(?:[ -~]*[!-~])?")
"""Text of several lines that block style shows as it is: printable, no space at its start or a line's end."""


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
    check_text(text, source)
    reader = _Reader(text, source)
    try:
        data = reader.document()
    except yaml.MarkedYAMLError as error:
        raise refusal(source, (*reader.problems, _syntax_problem(error, text, source))) from None
    if reader.problems:
        raise refusal(source, tuple(reader.problems))
    return Loaded(data, source, reader.lines)


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, source: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    what = error.problem or error.context or "it is broken"
    return syntax_problem(what, mark.line + 1 if mark else 0, text, source)


def dump(document: Any) -> str:
    """Write plain data as YAML: the same bytes every time, and only one way to read them.

    Keys are sorted; at the top, `name`, `services` and the like come first. Strings that some reader
    would take for something else are quoted, lines are never wrapped.

    Args:
        document: Dicts with text as keys, lists, text, finite numbers, booleans, None.

    Raises:
        TypeError: It holds something else.
    """
    keys = sorted(document, key=_place) if isinstance(document, dict) else ()
    output = StringIO()
    dumper = _DUMPER(output, width=1 << 30, allow_unicode=True)
    dumper.emit(yaml.StreamStartEvent())
    dumper.emit(yaml.DocumentStartEvent(explicit=False))
    for event in _events_of(document, keys):
        dumper.emit(event)
    dumper.emit(yaml.DocumentEndEvent(explicit=False))
    dumper.emit(yaml.StreamEndEvent())
    return output.getvalue()


def _place(key: str) -> tuple[int, str]:
    return (_TOP.index(key) if key in _TOP else len(_TOP)), key


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
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_RESOLVER: Any = Resolver()
_DICT = yaml.MappingStartEvent(None, None, implicit=True, flow_style=False)
_LIST = yaml.SequenceStartEvent(None, None, implicit=True, flow_style=False)


def _events_of(data: Any, keys: Iterable[str] = ()) -> Iterator[Any]:
    """The events that write plain data: three times as fast as through representers and a resolver."""
    if isinstance(data, dict):
        yield _DICT
        for key in keys or sorted(data):
            yield _text_event(key)
            yield from _events_of(data[key])
        yield yaml.MappingEndEvent()
    elif isinstance(data, (list, tuple)):
        yield _LIST
        for item in data:
            yield from _events_of(item)
        yield yaml.SequenceEndEvent()
    elif isinstance(data, str):
        yield _text_event(data)
    else:
        yield yaml.ScalarEvent(None, None, (True, False), _written(data))


def _written(data: Any) -> str:
    if data is None or isinstance(data, bool):
        return {None: "null", True: "true", False: "false"}[data]
    if not isinstance(data, (int, float)) or data != data or abs(data) == float("inf"):
        raise TypeError(f"{data!r} cannot stand in a document")
    # YAML 1.1 takes 1e+16 for text; with a point both versions read a number.
    return str(data).replace("e", ".0e") if "." not in str(data) else str(data)


def _text_event(text: str) -> Any:
    plain, style = _style(text) if len(text) <= 100 else _style.__wrapped__(text)
    return yaml.ScalarEvent(None, None, (plain, True), text, style=style)


@lru_cache(maxsize=4096)
def _style(text: str) -> tuple[bool, str | None]:
    if ambiguous(text):
        return False, "'"
    if _LITERAL.fullmatch(text):
        return False, "|"
    return _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)) == _TAG + "str", None
