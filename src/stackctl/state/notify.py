"""What the supervisor tells the service manager that started it, by the protocol of sd_notify(3)."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress

PATIENCE = 1.0
"""Seconds for one message: a service manager that does not read must not hold up the watch."""
_LONGEST = 512
"""Characters of a status: `systemctl status` shows one line."""


class Notifier:
    """Tells the service manager how we are; silent without one, and nothing here ever raises.

    Args:
        environ: The environment of the process; `NOTIFY_SOCKET` names the datagram socket, as a path or,
            with a leading `@`, as a name in the kernel's abstract name space.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))

    def ready(self) -> None:
        """The first cycle is over: units that wait for us may start."""
        self._send("READY=1")

    def beat(self) -> None:
        """A cycle went well: the watchdog of the service manager (`WatchdogSec`) starts anew."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """What `systemctl status` shows.

        Args:
            text: One line; line ends and runs of blanks become one blank.
        """
        self._send("STATUS=" + " ".join(text.split())[:_LONGEST])

    def stopping(self) -> None:
        """We are about to end on our own account."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # ValueError: an address with a NUL in it, or one that is too long
        with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(PATIENCE)
            sender.sendto(message.encode(errors="replace"), self._address)


def _address(name: str) -> str:
    """The address of a socket by its name in the environment; empty for a kind that we do not speak."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else ""
