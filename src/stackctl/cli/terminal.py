"""Our own terminal as a task's: bytes in and out, Ctrl-C as a wish, the size as it changes."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import sys
import termios
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_AT_ONCE = 1 << 16
CTRL_C = b"\x03"
TWICE = 2.0
"""Seconds within which two Ctrl-C, typed into a task's own terminal, are an order to end it."""
GRACE = 10.0
"""Seconds after a Ctrl-C in which the task's end is its doing, unless something else was typed: docker's."""
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def has_terminal() -> bool:
    """Whether there is a terminal to pass through: both ways, and ours to read from."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty() and _in_front(0)


def has_input() -> bool:
    """Whether there is a standard input to pass through; a terminal only where we may read from it."""
    try:
        return not os.isatty(0) or _in_front(0)
    except OSError:
        return False


def _in_front(descriptor: int) -> bool:
    """Whether our process group is the terminal's foreground one; another one would be stopped by a read."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False


class OwnTerminal:
    """A `Terminal` that is ours.

    Args:
        terminal: The task has a terminal, so every key is its own; Ctrl-C too, which the kernel makes a
            signal to what is in the foreground there. Two within `TWICE` are meant for us as well.
        stdin: Its standard input is open.
    """

    def __init__(self, *, terminal: bool, stdin: bool) -> None:
        self._terminal, self._open = terminal, stdin
        self._heard, self._number, self._resized = 0, 0, terminal
        self._struck = float("-inf")
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @contextmanager
    def held(self) -> Iterator[OwnTerminal]:
        """With signals caught and, for a task's terminal, every key passed on; all put back at the end."""
        with ExitStack() as stack:
            for number in _ENDS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    stack.callback(signal.signal, number, signal.signal(number, self._wish))
            if self._terminal:
                stack.callback(signal.signal, signal.SIGWINCH, signal.signal(signal.SIGWINCH, self._resize))
                stack.enter_context(_raw())
            yield self
        os.close(self._reader)
        os.close(self._writer)

    @property
    def number(self) -> int:
        """The signal that was last heard, 0 for none; a Ctrl-C that was typed counts as one."""
        return signal.SIGINT if not self._number and self.interrupted() else self._number

    def _wish(self, number: int, frame: FrameType | None) -> None:
        self._heard += 1
        self._number = number
        self._wake()

    def _resize(self, number: int, frame: FrameType | None) -> None:
        self._resized = True
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError):
            os.write(self._writer, b"!")

    def fileno(self) -> int:
        """Standard input while it is open."""
        return 0 if self._open else -1

    def read(self) -> bytes:
        """What was typed or piped; empty at its end."""
        try:
            data = os.read(0, _AT_ONCE)
        except OSError:
            data = b""
        self._open = bool(data)
        if self._terminal:
            self._mind(data)
        return data

    def _mind(self, data: bytes) -> None:
        """Remember a Ctrl-C; the second in a row makes it an order, anything else typed makes it nothing."""
        if not data or data.strip(CTRL_C):
            self._struck = float("-inf")
            return
        now = time.monotonic()
        if len(data) > 1 or now - self._struck < TWICE:
            self._heard, self._number = max(2, self._heard), signal.SIGINT
            self._wake()
        self._struck = now

    def write(self, stream: int, data: bytes) -> None:
        """Show bytes where they belong, unchanged.

        Raises:
            BrokenPipeError: Nobody reads them any more.
        """
        descriptor = 2 if stream == 2 else 1
        while data:
            data = data[_some(descriptor, data) :]

    def wishes(self) -> int:
        """What becomes readable when a signal came."""
        return self._reader

    def heard(self) -> int:
        """How often somebody asked us to end."""
        with suppress(BlockingIOError):
            os.read(self._reader, _AT_ONCE)
        return self._heard

    def interrupted(self) -> bool:
        """Whether the last that was typed is a Ctrl-C, a moment ago."""
        return time.monotonic() - self._struck < GRACE

    def resized(self) -> tuple[int, int] | None:
        """The new size when it changed."""
        if not self._resized:
            return None
        self._resized = False
        try:
            packed = fcntl.ioctl(1, termios.TIOCGWINSZ, b"\0" * 8)
        except OSError:
            return None
        rows, columns, _, _ = struct.unpack("HHHH", packed)
        return (columns, rows) if columns and rows else None


def _some(descriptor: int, data: bytes) -> int:
    """Write what can be written, after waiting where nothing could."""
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        select.select([], [descriptor], [])
        return 0


@contextmanager
def _raw() -> Iterator[None]:
    """Our terminal as a bare line, put back whatever happens."""
    import tty

    before = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
