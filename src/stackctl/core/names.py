"""What things may be called, and how names that people type are understood."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from hashlib import sha256

from stackctl.core.errors import UnknownName, UsageError

_STACK = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")


def check_name(name: str, what: str = "stack") -> str:
    """Return the name, or say why it may not be one; it is safe in a path, a label and a project name.

    Raises:
        UsageError: The name has anything but a-z, 0-9, - and _, or more than 48 characters.
    """
    if not _STACK.fullmatch(name):
        shown = ascii(name if len(name) < 60 else name[:57] + "...")
        raise UsageError(
            f"{shown} cannot be the name of a {what}",
            hint="use up to 48 of a-z, 0-9, - and _, the first a letter or digit",
        )
    return name


def short_hash(text: str, digits: int = 6) -> str:
    """The first hex digits of the text's sha256."""
    return sha256(text.encode()).hexdigest()[:digits]


def project_name(stack: str, root: str, instance: str = "") -> str:
    """The compose project name of an environment: `<stack>-<6 hex>`.

    Args:
        stack: Name of the stack.
        root: Real path of the folder that holds `stacks/`; for shipped and user stacks, of the state root.
        instance: Name of the instance, empty for the first.
    """
    return f"{stack}-{short_hash(chr(0).join((root, instance)))}"


def nearest(name: str, known: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """The known names that look most like this one, best first."""
    return tuple(get_close_matches(name, sorted(set(known)), n=most, cutoff=0.5))


def unique_match(word: str, names: Iterable[str], what: str = "environment") -> str | None:
    """The one name that is the word or begins with it, or None.

    Raises:
        UnknownName: Several names begin with it and none is it.
    """
    found = sorted({name for name in names if name.startswith(word)})
    if word in found:
        return word
    if len(found) > 1:
        raise UnknownName(f"`{word}` could mean several {what}s", hint=f"name one of: {', '.join(found)}")
    return found[0] if found else None
