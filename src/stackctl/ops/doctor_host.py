"""Looks at this host for `doctor`: disks, routes, interfaces, and every `stackctl` on PATH."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from stackctl.core.checkup_facts import Disk, Program, Route
from stackctl.core.errors import StateError
from stackctl.engine.endpoint import find_program
from stackctl.state.installation import installation_of

ROUTES = Path("/proc/net/route")
NAME = "stackctl"


def disk_of(what: str, folder: Path) -> Disk | None:
    """The file system that holds a folder, or will hold it; None where it cannot be asked."""
    for path in (folder, *folder.parents):
        try:
            found = os.statvfs(path)
        except (OSError, ValueError):
            continue
        return Disk(
            what=what,
            path=str(path),
            total=found.f_blocks * found.f_frsize,
            free=found.f_bavail * found.f_frsize,
            inodes=found.f_files,
            inodes_free=found.f_favail,
        )
    return None


def routes(table: Path = ROUTES) -> tuple[Route, ...]:
    """The IPv4 routes of this host; none where there is no such table.

    Args:
        table: The kernel's table (proc(5), /proc/net/route).
    """
    try:
        lines = table.read_text(errors="replace").splitlines()[1:]
    except OSError:
        return ()
    return tuple(route for line in lines for route in _route(line.split()))


def _route(words: list[str]) -> Iterator[Route]:
    """Addresses stand there as the host's own integers, in hexadecimal."""
    if len(words) > 7:
        address, mask = (bytes.fromhex(words[at])[:: _direction()] for at in (1, 7))
        yield Route(words[0], f"{IPv4Address(address)}/{int.from_bytes(mask, 'big').bit_count()}")


def _direction() -> int:
    return -1 if sys.byteorder == "little" else 1


def network_interfaces() -> frozenset[str] | None:
    """Names of this host's network interfaces, None where they cannot be listed."""
    try:
        return frozenset(name for _, name in socket.if_nameindex())
    except OSError:
        return None


def programs(started: str, environ: Mapping[str, str]) -> Program:
    """Which `stackctl` runs, and which ones a shell could find.

    Args:
        started: The path that this command was started by, empty when its interpreter was started.
        environ: The environment with PATH.
    """
    own = started or find_program(str(Path(sys.executable).parent / NAME), environ)
    return Program(
        running=os.path.realpath(own) if own else "",
        on_path=tuple(_on_path(environ)),
        folder=str(_command_folder()),
    )


def _command_folder() -> Path:
    """The folder that belongs on PATH; a version's own folder goes with an update."""
    with suppress(StateError):
        installed = installation_of(Path(sys.prefix))
        if installed is not None:
            return installed.launcher.parent
    return Path(sys.executable).parent


def _on_path(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    seen = set()
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = find_program(NAME, {"PATH": folder})
        real = os.path.realpath(path) if path else ""
        if path and real not in seen:
            seen.add(real)
            yield path, real
