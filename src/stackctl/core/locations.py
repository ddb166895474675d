"""Where in people's own compose files a problem stands: Compose's resolved document has no lines any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stackctl.core.paths import above

if TYPE_CHECKING:
    from stackctl.core.documents import Loaded
    from stackctl.core.errors import Problem


def included(document: Any) -> tuple[str, ...]:
    """Paths that a compose file includes, as written; those with variables are left out."""
    entries = document.get("include") if isinstance(document, dict) else None
    paths: list[Any] = []
    for entry in entries if isinstance(entries, list) else ():
        path = entry.get("path") if isinstance(entry, dict) else entry
        paths += path if isinstance(path, list) else [path]
    return tuple(path for path in paths if isinstance(path, str) and "$" not in path)


def located(problem: Problem, files: Sequence[Loaded]) -> Problem:
    """The problem with the file and line of its path, else of what is nearest around it.

    An item of a list that several files add to stands at its list. Without a place in any file (what an
    `extends` or a variable brought in), it keeps what it has.

    Args:
        files: As Compose got them, later ones over earlier ones.
    """
    found = [(_nearest(problem.path, one), one) for one in files]
    best = max((path for path, _ in found), key=len, default="")
    if not best:
        return problem
    source = next(one for path, one in reversed(found) if path == best)
    if best.endswith("]") and sum(above(best) in one.lines for one in files) > 1:
        best = above(best)
    return replace(problem, source=source.source, line=source.lines[best])


def _nearest(path: str, loaded: Loaded) -> str:
    """The path, or what is nearest around it and has a line; a section at the top is too far around."""
    start = path
    while path and path not in loaded.lines:
        path = above(path)
    return path if path == start or above(path) else ""
