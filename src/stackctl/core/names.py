"""What things may be called, and how names that people type are understood."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256

from stackctl.core.errors import UnknownName, UsageError

STACK = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST = re.compile(rf"(?:localhost|\[[0-9a-fA-F:]+\]|(?=.*[.:A-Z]){_LABEL}(?:\.{_LABEL})*)(?::[0-9]{{1,5}})?")
_COMPONENT = r"[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*"
_TAG = r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
_IMAGE = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*{_TAG}")
_TASK_PREFIX = "inst-"
_TASK_PROJECT = re.compile(rf"{_TASK_PREFIX}([0-9a-f]{{12}})")
_ENV = "letters, digits and _, the first no digit"


def check_name(name: str, what: str = "stack") -> str:
    """Return the name, or say why it may not be one; it is safe in a path, a label and a project name.

    Raises:
        UsageError: The name has anything but a-z, 0-9, - and _, or more than 48 characters.
    """
    if not STACK.fullmatch(name):
        article = "an" if what[0] in "aeiou" else "a"
        raise UsageError(
            f"{shorten(name)!a} cannot be the name of {article} {what}",
            hint="use up to 48 of a-z, 0-9, - and _, the first a letter or digit",
        )
    return name


def shorten(text: str, most: int = 60) -> str:
    """The text as a message shows it: cut where it is longer than `most` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def check_variable(name: str) -> str:
    """Return the name of a variable, of a template or of an environment.

    Raises:
        ValueError: It has anything but letters, digits and _, or begins with a digit.
    """
    if not VARIABLE.fullmatch(name):
        raise ValueError(f"{shorten(name)!a} cannot be the name of a variable; use {_ENV}")
    return name


def check_service(name: str) -> str:
    """Return the name of a service, as Compose allows it.

    Raises:
        ValueError: It has anything but letters, digits, `.`, `_` and `-`, or more than 63 characters.
    """
    if not SERVICE.fullmatch(name):
        raise ValueError(f"{shorten(name)!a} cannot be the name of a service")
    return name


def check_image(reference: str) -> str:
    """Return an image reference, `[host[:port]/]path[:tag][@sha256:digest]` as the engine's grammar has it.

    Raises:
        ValueError: It is none.
    """
    host, slash, rest = reference.partition("/")
    path = rest if slash and _HOST.fullmatch(host) else reference
    if len(reference) > 512 or not _IMAGE.fullmatch(path):
        shown = ascii(shorten(reference))
        raise ValueError(f"{shown} is not an image such as `postgres:17` or `ghcr.io/acme/web:1.4`")
    return reference


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


def task_project(task: str) -> str:
    """The project, and the container, of a task: `inst-<id>`."""
    return f"{_TASK_PREFIX}{task}"


def is_task_id(word: str) -> bool:
    """Whether a word is a whole id of a task: 12 hex digits."""
    return _TASK_PROJECT.fullmatch(task_project(word)) is not None


def task_of(project: str) -> str:
    """The id of the task whose project this is, empty for an environment's; no stack's has that form."""
    match = _TASK_PROJECT.fullmatch(project)
    return match[1] if match else ""


def nearest(name: str, known: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """The known names that look most like this one, best first."""
    from difflib import get_close_matches  # a name that is known needs none of it

    return tuple(get_close_matches(name[:80], sorted(set(known)), n=most, cutoff=0.5))


def unique_match(word: str, names: Iterable[str], what: str = "environment") -> str | None:
    """The one name that is the word or begins with it, or None; an empty word means nothing.

    Raises:
        UnknownName: Several names begin with it and none is it.
    """
    found = sorted({name for name in names if word and name.startswith(word)})
    if word in found:
        return word
    if len(found) > 1:
        raise UnknownName(f"`{word}` could mean several {what}s", hint=f"name one of: {', '.join(found)}")
    return found[0] if found else None
