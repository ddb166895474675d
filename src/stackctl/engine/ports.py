"""Which ports of this host are taken, and by whom; which addresses it has."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackctl.core.facts import Container

_LISTENING = {"tcp": "0A", "udp": "07"}  # the kernel's states: TCP_LISTEN, and unconnected for UDP
PROTOCOLS = ("tcp", "udp")


def ports_in_use(protocols: Iterable[str] = PROTOCOLS, proc: Path = Path("/proc")) -> frozenset[int]:
    """Ports of this host on which something listens, on any address.

    What the engine forwards without a listener of its own (no userland proxy) is not among them; the
    containers' published ports say that.

    Args:
        protocols: tcp, udp or both.
        proc: Where the process table is mounted.
    """
    tables = [proc / "net" / f"{name}{family}" for name in protocols for family in ("", "6")]
    if not any(table.exists() for table in tables):
        return frozenset(_listeners_elsewhere())
    return frozenset(port for table in tables for port in _listening(table))


def _listening(table: Path) -> Iterator[int]:
    with suppress(OSError):
        wanted = _LISTENING[table.name[:3]]
        for line in table.read_text().splitlines()[1:]:
            words = line.split()
            if len(words) > 3 and words[3] == wanted:
                yield int(words[1].rpartition(":")[2], 16)


def _listeners_elsewhere() -> Iterator[int]:
    """Without /proc: what psutil may see; a port that it cannot see fails at `up` and is explained there."""
    import psutil

    with suppress(psutil.Error):
        for one in psutil.net_connections(kind="inet"):
            if one.laddr and one.status in (psutil.CONN_LISTEN, psutil.CONN_NONE):
                yield one.laddr.port


def port_holder(
    port: int, containers: Iterable[Container], protocol: str = "tcp", *, here: bool = True
) -> str:
    """Who holds a host port: "container `web-1`", "process `nginx` (pid 12)", or empty when nobody is found.

    Args:
        port: The host port.
        containers: Those of the engine; the running ones are looked through.
        protocol: tcp or udp.
        here: Whether the host is this machine, whose processes can be asked.
    """
    for one in containers:
        published = ((p.host_port, p.protocol) for p in one.ports)
        if one.state in ("running", "paused", "restarting") and (port, protocol) in published:
            return f"container `{one.name}`"
    return _process_on(port, protocol) if here else ""


def _process_on(port: int, protocol: str) -> str:
    import psutil

    with suppress(psutil.Error):
        for one in psutil.net_connections(kind=protocol):
            listens = one.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
            if one.laddr and one.laddr.port == port and listens and one.pid:
                return f"process `{psutil.Process(one.pid).name()}` (pid {one.pid})"
    return "a process of another user" if port in ports_in_use((protocol,)) else ""


def host_addresses() -> frozenset[str]:
    """The IPv4 addresses of this machine, of interfaces that are down too."""
    import psutil

    interfaces = psutil.net_if_addrs().values()
    return frozenset(one.address for each in interfaces for one in each if one.family == socket.AF_INET)
