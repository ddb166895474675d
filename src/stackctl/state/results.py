"""The results of a batch: one line of JSON a task, on disk before the next one is written, never twice."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import StateError, UsageError
from stackctl.state.atomic import sync_folder
from stackctl.state.failures import refused

if TYPE_CHECKING:
    from typing_extensions import Self

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


class Results:
    """A file of results that is open; one process at a time, any of its threads.

    Args:
        path: The file; made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, dict[str, Any]] = {}
        self._guard = Lock()
        self._descriptor = -1

    def open(self, *, resume: bool) -> None:
        """Open the file and read what it has; the part of a line that a crash left is cut off.

        Args:
            resume: It may be there.

        Raises:
            UsageError: It is there and was not to be.
            StateError: It cannot be opened, or a line of it is no result.
        """
        fresh = not self.path.exists()
        if not fresh and not resume:
            raise UsageError(
                f"the results `{self.path}` are there already",
                hint="--resume goes on with what is not finished; --out FILE begins anew in another file",
            )
        with refused("open the results", self.path):
            self._descriptor = os.open(self.path, _FLAGS, 0o644)
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise StateError(
                    f"the results `{self.path}` are not a regular file", hint="name another: --out FILE"
                )
            self._repair()
            if fresh:
                sync_folder(self.path.parent)

    def _repair(self) -> None:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            data = file.read()
        whole, _, rest = data.rpartition(b"\n")
        for number, raw in enumerate(whole.split(b"\n") if whole else [], 1):
            if raw.strip():
                self._take(number, raw)
        if rest:  # a single write was cut off, so it was never said to be done
            os.ftruncate(self._descriptor, len(data) - len(rest))
            os.fsync(self._descriptor)

    def _take(self, number: int, raw: bytes) -> None:
        try:
            line = json.loads(raw)
            key, _ = str(line["key"]), str(line["phase"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise StateError(
                f"line {number} of the results `{self.path}` is no result",
                hint="it was changed by something else; correct it, or begin anew with --out FILE",
            ) from None
        self.found.setdefault(key, line)

    def add(self, result: Mapping[str, Any]) -> bool:
        """Write a result down unless its task has one; it is on disk when this returns.

        Returns:
            Whether it was written.

        Raises:
            StateError: The file system refused; nothing of it is left in the file.
        """
        key, text = str(result["key"]), json.dumps(result, separators=(",", ":")) + "\n"
        with self._guard, refused("write the results", self.path):
            if key in self.found:
                return False
            size = os.fstat(self._descriptor).st_size
            data = text.encode()
            if os.write(self._descriptor, data) < len(data):
                os.ftruncate(self._descriptor, size)
                raise StateError(
                    f"cannot write the results `{self.path}`: the disk is full", hint="free some space"
                )
            os.fsync(self._descriptor)
            self.found[key] = dict(result)
            return True

    def __enter__(self) -> Self:
        """Itself, not yet open."""
        return self

    def __exit__(self, *why: object) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
