"""YAML for a look at what somebody else has read: every document, of any size and with any tags.

Aliases are shared rather than written out, so that it costs no more than the text is long. What runs is never
read like this: `stackctl.core.documents` is.
"""

from __future__ import annotations

from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"


def read_graphs(text: str) -> tuple[Any, ...] | None:
    """The documents of a text: dicts, lists, None and text, numbers as text too; None where it is no YAML."""
    try:
        return tuple(_plain(node, {}) for node in yaml.compose_all(text, Loader=_LOADER))
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def _plain(node: Any, made: dict[int, Any]) -> Any:
    """A node's data, made once.

    Args:
        made: By the node's id; None in it is a node that is still being made, and so contains itself.

    Raises:
        ValueError: A node contains itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == _NULL else str(node.value)
    if id(node) not in made:
        made[id(node)] = None
        if isinstance(node, yaml.SequenceNode):
            made[id(node)] = [_plain(one, made) for one in node.value]
        else:
            made[id(node)] = _mapping(node, made)
    if made[id(node)] is None:
        raise ValueError("a node contains itself")
    return made[id(node)]


def _mapping(node: Any, made: dict[int, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key, value in node.value:
        if key.tag == _MERGE:
            given = _plain(value, made)
            for one in given if isinstance(given, list) else [given]:
                merged = {**one, **merged} if isinstance(one, dict) else merged
        elif isinstance(key, yaml.ScalarNode):
            own[str(key.value)] = _plain(value, made)
    return {**merged, **own}
