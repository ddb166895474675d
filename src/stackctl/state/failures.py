"""How a refusal of the file system becomes an error that says which path, why, and what to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stackctl.core.errors import StateError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,126}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_HINTS = {
    errno.EROFS: "mount it writable, or set `STACKCTL_HOME` to a folder that is",
    errno.EIO: "the disk does not work as it should; look at the kernel's log",
    errno.ELOOP: "remove the symbolic link; stackctl follows none below its state directory",
    errno.ENAMETOOLONG: "set `STACKCTL_HOME` to a folder with a shorter path",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
}


def state_error(action: str, path: Path, error: OSError) -> StateError:
    """The error for what the file system refused.

    Args:
        action: What was tried, as in "write" or "make the folder".
        path: The path that the user can look at.
        error: What the system said.
    """
    reason = (error.strerror or type(error).__name__).lower()
    return StateError(f"cannot {action} `{path}`: {reason}", hint=_hint(error.errno or 0, path))


def _hint(number: int, path: Path) -> str:
    if number in _FULL:
        return f"free some space or inodes on the file system of `{path.parent}`"
    if number in _FORBIDDEN:
        return f"see who owns it with `ls -ld {path.parent}`, or set `STACKCTL_HOME` to a folder of your own"
    return _HINTS.get(number, "")


def check_file_name(name: str, what: str) -> str:
    """Return the name, or say that it may not be a file's; it is safe in a path.

    Raises:
        StateError: It has anything but letters, digits, `_`, `.` and `-`, or more than 127 characters.
    """
    if not _NAME.fullmatch(name):
        raise StateError(f"{name[:80]!a} cannot be the name of a {what}")
    return name


def encode_text(text: str, name: str) -> bytes:
    """A text as UTF-8; `name` stands in the error, which shows nothing of the text.

    Raises:
        StateError: It has surrogates, as names and arguments that are not UTF-8 do.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise StateError(f"the text of {name!a} is not Unicode: {error.reason}") from None


@contextmanager
def refused(action: str, path: Path) -> Iterator[None]:
    """Turn an OSError within into a StateError about `path`.

    Raises:
        StateError: The file system refused.
    """
    try:
        yield
    except OSError as error:
        raise state_error(action, path, error) from error
