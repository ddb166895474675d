"""An engine's API by the docker command, which carries bytes to wherever it can: ssh, TLS, contexts.

`docker system dial-stdio` is what docker itself starts on the other side of an ssh connection.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from stackctl.engine.endpoint import find_program
from stackctl.engine.process import docker_missing, leashed

_LAST_WORDS = 0.5
"""Seconds that a command which hung up may take to say why."""


class CommandLine:
    """Whatever the docker command reaches.

    Args:
        name: The engine's address.
        environ: The environment that chooses the engine, scrubbed.
    """

    here = False

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self.name, self._environ = name, dict(environ)
        self.spare: list[socket.socket] | None = []

    def connect(self, seconds: float) -> socket.socket:  # noqa: ARG002 - it does not wait for the engine
        """One end of a pair of sockets, the command at the other; it ends with this end or with us."""
        docker = find_program("docker", self._environ)
        if not docker:
            raise docker_missing()
        ours, theirs = socket.socketpair()
        said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it is open as long as the connection
        with theirs:
            child = subprocess.Popen(
                leashed([docker, "system", "dial-stdio"], self._environ),
                env=self._environ,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=said,
                start_new_session=True,  # ssh finds no terminal to ask for a password on
            )
        return Dialled(ours, child, said)


class Dialled(socket.socket):
    """A connection that is carried by a command, which ends with it."""

    def __init__(self, ours: socket.socket, child: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        super().__init__(fileno=ours.detach())
        self._child, self._said = child, said

    @property
    def last_words(self) -> str:
        """What the command said when it hung up; empty while it carries on."""
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(_LAST_WORDS)
            self._said.seek(0)
            return self._said.read(1 << 16).decode(errors="replace").strip()
        return ""

    def close(self) -> None:
        """Hang up; the command is ended and reaped."""
        super().close()
        if self._child.returncode is None:
            with suppress(OSError):
                os.killpg(self._child.pid, signal.SIGKILL)  # a session of its own, ssh is in it
            self._child.wait()
        self._said.close()
