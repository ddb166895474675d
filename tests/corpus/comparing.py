"""Where two canonical documents differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NONE = object()


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, what must stand there, what stands there; numbers are told from text, but for cpus."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted({*wanted, *found}):
            yield from differences(wanted.get(key, _NONE), found.get(key, _NONE), f"{path}.{key}".lstrip("."))
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif not _same(path, wanted, found):
        yield path, _shown(wanted), _shown(found)


def without_empty(node: Any) -> Any:
    """The same without keys that hold nothing: Compose's YAML leaves out what its JSON has as null.

    It prints the ssh keys of a build in any order.
    """
    if isinstance(node, dict):
        kept = {key: without_empty(value) for key, value in node.items()}
        kept |= {"ssh": sorted(kept["ssh"])} if isinstance(kept.get("ssh"), list) else {}
        return {key: value for key, value in kept.items() if value not in (None, {}, [])}
    return [without_empty(one) for one in node] if isinstance(node, list) else node


def _same(path: str, wanted: Any, found: Any) -> bool:
    return (type(wanted) is type(found) and wanted == found) or (
        path.endswith(".cpus") and _same_number(wanted, found)
    )


def _same_number(one: Any, other: Any) -> bool:
    try:
        return abs(float(one) - float(other)) < 1e-6
    except (TypeError, ValueError):
        return False


def _shown(value: Any) -> str:
    return "nothing" if value is _NONE else repr(value)[:120]
