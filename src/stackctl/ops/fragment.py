"""`make`: the fragment of this repository, written, or held against what would be written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stackctl.core.errors import StackctlError, UsageError
from stackctl.core.makefile import FILE, PREFIX, Asked, fragment, read_fragment, same_fragment
from stackctl.ops.authoring import write_new
from stackctl.ops.finding import Places, find_stack
from stackctl.ops.listing import stacks_at

if TYPE_CHECKING:
    State = Literal["missing", "current", "stale", "edited"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """The fragment of a repository.

    Args:
        text: What it should say.
        state: How the file stands to that; `edited` is a file that somebody changed, or that is none of ours.
        written: True when it was written now.
    """

    path: Path
    asked: Asked
    text: str
    state: State
    written: bool = False


def look_at_fragment(places: Places, version: str, prefix: str | None, stack: str | None) -> Fragment:
    """The fragment as it should be, and how the one in the repository's root stands to it.

    Args:
        prefix, stack: As in `Asked`; None for what the file was written for, else for the default: the only
            stack that there is.

    Raises:
        UsageError: A word cannot be one, or there is no such stack.
        StackctlError: The file cannot be read.
    """
    path = places.checkout[-1] / FILE
    there = _read(path)
    found = read_fragment(there) if there is not None else None
    before = found.asked if found else None
    if stack:
        find_stack(stack, places)
    asked = Asked(
        prefix=prefix if prefix is not None else before.prefix if before else PREFIX,
        stack=stack if stack is not None else before.stack if before else _only_stack(places),
    )
    text = fragment(asked, version)
    return Fragment(path=path, asked=asked, text=text, state=_state(there, text))


def write_fragment(wanted: Fragment, *, force: bool) -> Fragment:
    """Write it where it is not current.

    Raises:
        UsageError: Somebody edited the file, or it is none of ours, and `force` was not given.
        StackctlError: It cannot be written.
    """
    if wanted.state == "current":
        return wanted
    if wanted.state == "edited" and not force:
        hint = "put your own targets into the Makefile; to lose what stands in the file: --force"
        raise UsageError(f"`{wanted.path}` was edited by hand", hint=hint)
    write_new(wanted.path, wanted.text, force=wanted.state != "missing")
    return Fragment(path=wanted.path, asked=wanted.asked, text=wanted.text, state=wanted.state, written=True)


def included(path: Path) -> bool:
    """Whether a Makefile beside the fragment includes it."""
    texts = (_read(path.with_name(name)) for name in _MAKEFILES)
    return any(_INCLUDES.search(text) for text in texts if text is not None)


_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_INCLUDES = re.compile(rf"^[-.s]?include\b.*\b{re.escape(FILE)}", re.MULTILINE)


def _state(there: str | None, text: str) -> State:
    if there is None:
        return "missing"
    if read_fragment(there).edited:
        return "edited"
    return "current" if same_fragment(there, text) else "stale"


def _only_stack(places: Places) -> str:
    names = stacks_at(places.checkout[-1])
    return names[0] if len(names) == 1 else ""


def _read(path: Path) -> str | None:
    """Its text, None where there is none; what is no text is none of ours, and reads as something else."""
    try:
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise StackctlError(f"cannot read `{path}`: {reason}", hint=f"look at `ls -ld {path}`") from error
