"""The supervisor's log: one line for each decision, bounded in size, that nothing it quotes can break."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, TextIO

from stackctl.core.errors import StateError
from stackctl.state.atomic import read_regular
from stackctl.state.folders import make_folder

Form = Literal["text", "json"]

FILE_SIZE = 1 << 20
FILES = 3
"""The current file and two older ones: 3 MiB at most."""
LONGEST_VALUE = 2048
"""Characters of one value; the whole story stands in the incident, not in the log."""

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_BARE = re.compile(r"[A-Za-z0-9_.:/@%+,-]+")


def journal_path(home: Path) -> Path:
    """Where the supervisor of a state directory keeps its log."""
    return home / "supervisor" / "supervisor.log"


class Journal:
    """Where one supervisor writes what it decided; `write` never raises, whatever the disk says.

    The file is opened anew for each line, so that one that was removed, rotated away or on a full disk needs
    no care: there are few lines, and no descriptor is held.

    Args:
        path: The log file, mode 0600; its folder is made, the folder's parent must be there. None for no
            file.
        form: "text" for `time event name=value ...`, "json" for one object with `time`, `event` and the
            fields.
        echo: Where each line goes as well, as in the foreground.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        form: Form = "text",
        echo: TextIO | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._form, self._echo, self._now = path, form, echo, now
        self._lost = 0

    @property
    def lost(self) -> int:
        """Lines that the file did not take since it last took one."""
        return self._lost

    def write(self, event: str, /, **fields: object) -> None:
        """Add a line.

        Args:
            event: What happened, in a word or two joined by `-`.
            fields: What belongs to it, in this order; `time` and `event` are taken.
        """
        line = self._line(event, fields)
        self._show(line)
        if self._path is None:
            return
        try:
            if self._lost:
                append_line(self._path, self._line("log-resumed", {"lost": self._lost}))
                self._lost = 0
            append_line(self._path, line)
        except (OSError, StateError) as error:
            self._miss(error)

    def _miss(self, error: Exception) -> None:
        self._lost += 1
        if self._lost == 1:
            self._show(self._line("log-failed", {"path": self._path, "error": error}))

    def _line(self, event: str, fields: Mapping[str, object]) -> str:
        head = {"time": timestamp(self._now()), "event": event}
        plain = {name: _plain(value) for name, value in fields.items() if name not in head}
        if self._form == "json":
            return json.dumps({**head, **plain}) + "\n"
        words = [f"{name}={_word(value)}" for name, value in plain.items()]
        return " ".join((head["time"], _word(event), *words)) + "\n"

    def _show(self, line: str) -> None:
        # ValueError: it was closed, or cannot encode the line
        with suppress(OSError, ValueError):
            if self._echo is not None:
                self._echo.write(line)
                self._echo.flush()


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log, across its rotated files, oldest first; none where there is no log.

    Args:
        path: The log file, as the `Journal` was given it.
        lines: How many at most.

    Raises:
        StateError: One of its files is a link or anything but a file, or cannot be read.
    """
    found: list[str] = []
    for index in range(FILES):
        if len(found) >= lines:
            break
        text = (read_regular(_numbered(path, index), FILES * FILE_SIZE) or b"").decode(errors="replace")
        found = [*text.removesuffix("\n").split("\n"), *found] if text else found
    return found[max(len(found) - lines, 0) :]


def timestamp(seconds: float) -> str:
    """A moment in UTC, to the millisecond: `2026-01-31T14:02:11.250Z`.

    Args:
        seconds: Since the epoch.
    """
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"


def append_line(path: Path, line: str) -> None:
    """Add a line to a file that is rotated at FILE_SIZE, FILES of them; its folder is made.

    Args:
        path: The file, mode 0600; the folder's parent must be there.
        line: With its end.

    Raises:
        OSError: The file system refused, or took a part.
        StateError: There is a link, or anything but a file.
    """
    data = line.encode()
    make_folder(path.parent)
    descriptor = _opened(path)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            # A writer was killed, or the disk was full, in the middle of a line, which ends before the next
            # one, or before the next file: who follows them reads whole lines
            size += os.write(descriptor, b"\n")
        if size and size + len(data) > FILE_SIZE:
            _rotate(path)
            os.close(descriptor)
            descriptor = -1
            descriptor = _opened(path)
        if os.write(descriptor, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _opened(path: Path) -> int:
    descriptor = os.open(path, _FLAGS, 0o600)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise StateError(f"`{path}` is not a regular file", hint="move it out of the way")
    if stat.S_IMODE(found.st_mode) & 0o077:
        os.fchmod(descriptor, 0o600)
    return descriptor


def _rotate(path: Path) -> None:
    for index in range(FILES - 1, 0, -1):
        with suppress(FileNotFoundError):
            _numbered(path, index - 1).replace(_numbered(path, index))


def _numbered(path: Path, index: int) -> Path:
    return path.with_name(f"{path.name}.{index}") if index else path


def _plain(value: object) -> Any:
    """A value as JSON has it, numbers to the thousandth; what JSON lacks becomes text, and text is cut."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {_cut(str(name)): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _word(value: object) -> str:
    """A value in a line of text: bare where it can be nothing else, otherwise quoted as JSON does it.

    What cannot be printed is escaped: line ends, control characters, marks that turn the writing direction.
    """
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
