"""Changes to the text of a YAML file that leave every other byte of it as it is: comments, order, style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from stackctl.core.documents import dump, load
from stackctl.core.errors import StackFileError

_PLAIN_STYLES = (None, "'", '"')


class _Unsafe(ValueError):
    """The text has a form in which a change here could change something else."""


def with_value(text: str, path: Sequence[str], value: str | int | float, *, source: str) -> str:
    """The text with one value set, the mappings on the way to it made where they are missing.

    Args:
        text: A YAML document that is a mapping.
        path: Keys from the top.
        source: The file, as messages show it.

    Raises:
        StackFileError: It is broken, or cannot be changed without changing something else (an alias, a
            value that is no mapping where one is needed).
    """
    return _changed(text, path, value, source)


def with_words(text: str, path: Sequence[str], words: Sequence[str], *, source: str) -> str:
    """The text with words added to the list at a path, those left out that it has; raises as `with_value`."""
    there = _at(load(text, source=source).data, path)
    have = there if isinstance(there, list) else [] if there is None else [there]
    lacking = [word for word in dict.fromkeys(words) if word not in have]
    return _changed(text, path, lacking, source) if lacking else text


def _changed(text: str, path: Sequence[str], value: Any, source: str) -> str:
    before = load(text, source=source).data
    written = f"[{', '.join(map(_inline, value))}]" if isinstance(value, list) else _inline(value)
    try:
        after = _edit(text, path, value, written)
        if load(after, source=source).data == _with(before, path, value):
            return after
    except (_Unsafe, StackFileError, yaml.YAMLError):
        pass
    raise StackFileError(
        f"{source} cannot be changed safely at `{'.'.join(path)}`",
        hint=f"write it there by hand: `{_flow(path, written)}`",
    )


def _inline(value: Any) -> str:
    return dump([value]).removeprefix("- ").rstrip("\n")


def _flow(path: Sequence[str], written: str) -> str:
    """`a: {b: written}` for the path a, b."""
    key, *rest = path
    return f"{_inline(key)}: " + (f"{{{_flow(rest, written)}}}" if rest else written)


def _block(path: Sequence[str], written: str, column: int) -> str:
    """The same as lines of their own."""
    keys = [f"{' ' * (column + 2 * depth)}{_inline(key)}:" for depth, key in enumerate(path)]
    return "\n".join(keys) + f" {written}\n"


def _at(data: Any, path: Sequence[str]) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _with(data: Any, path: Sequence[str], value: Any) -> Any:
    """The data with the value at the path; a list is added to what is there."""
    if not path:
        if not isinstance(value, list):
            return value
        return [*(data if isinstance(data, list) else [] if data is None else [data]), *value]
    section = data if isinstance(data, dict) else {}
    return {**section, path[0]: _with(section.get(path[0]), path[1:], value)}


def _edit(text: str, path: Sequence[str], value: Any, written: str) -> str:
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None:
        return text + ("" if text.endswith("\n") or not text else "\n") + _block(path, written, 0)
    for depth, key in enumerate(path):
        if not isinstance(node, yaml.MappingNode):
            raise _Unsafe(key)
        pair = next((pair for pair in node.value if pair[0].value == key), None)
        if pair is None:
            return _inserted(text, node, path[depth:], written)
        if pair[1].start_mark.index < pair[0].end_mark.index:
            raise _Unsafe("an alias: what it names stands elsewhere")
        node, rest = pair[1], path[depth + 1 :]
        if node.tag == "tag:yaml.org,2002:null":
            return _replaced(text, node, f"{{{_flow(rest, written)}}}" if rest else written)
    return _appended(text, node, value) if isinstance(value, list) else _replaced(text, node, written)


def _replaced(text: str, node: Any, written: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.style not in _PLAIN_STYLES:
        raise _Unsafe("no plain value")
    start, end = node.start_mark.index, node.end_mark.index
    space = "" if end > start or text[start - 1 : start].isspace() else " "
    return text[:start] + space + written + text[end:]


def _inserted(text: str, mapping: Any, path: Sequence[str], written: str) -> str:
    if mapping.flow_style:
        return _added(text, mapping, _flow(path, written))
    apart = "\n" if mapping.start_mark.column == 0 and "\n\n" in text else ""
    return _after(text, mapping, apart + _block(path, written, mapping.start_mark.column))


def _appended(text: str, node: Any, words: Sequence[str]) -> str:
    written = list(map(_inline, words))
    if isinstance(node, yaml.ScalarNode):
        there = text[node.start_mark.index : node.end_mark.index]
        return _replaced(text, node, f"[{', '.join((there, *written))}]")
    if not isinstance(node, yaml.SequenceNode):
        raise _Unsafe("no list")
    if node.flow_style:
        return _added(text, node, ", ".join(written))
    dash = f"{' ' * node.start_mark.column}- "
    return _after(text, node, "".join(f"{dash}{word}\n" for word in written))


def _added(text: str, node: Any, written: str) -> str:
    """Into a list or mapping in braces, behind its last item."""
    if not node.value:
        at = node.start_mark.index + 1
        return text[:at] + written + text[at:]
    at = _end(node.value[-1])
    return f"{text[:at]}, {written}{text[at:]}"


def _after(text: str, node: Any, lines: str) -> str:
    """As lines of their own behind the last line of a block."""
    line_end = text.find("\n", _end(node.value[-1]))
    if line_end < 0:
        return f"{text}\n{lines}"
    return text[: line_end + 1] + lines + text[line_end + 1 :]


def _end(item: Any) -> int:
    """Where the text of an item ends; a block's own mark stands behind the comments after it."""
    if isinstance(item, tuple):
        key, value = item
        aliased = value.start_mark.index < key.end_mark.index
        return int(key.end_mark.index) if aliased else _end(value)
    if isinstance(item, yaml.CollectionNode) and not item.flow_style:
        return _end(item.value[-1])
    if item.start_mark.index != item.end_mark.index and getattr(item, "style", None) in ("|", ">"):
        return int(item.end_mark.index) - 1
    return int(item.end_mark.index)
