"""Where the services of an environment are reached from, and the variables that carry it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.errors import UnknownName
from stackctl.core.holes import GATEWAY, hole_name
from stackctl.core.ports import EVERYWHERE, LOOPBACK
from stackctl.core.remote import machine_of, tunnel
from stackctl.core.urls import CONTAINER_HOST, inside, isolated, outside

if TYPE_CHECKING:
    from stackctl.core.facts import Container, PublishedPort
    from stackctl.core.records import EnvironmentRecord, SidecarRecord
    from stackctl.ops.context import Context

WEB = "http://{host}:{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One port of one service.

    Args:
        host: URL from the host, empty when it is not published.
        container: URL from a container on the environment's network.
        isolated: URL from a container on no shared network, empty when it is not reached from there.
        machine: Name or address of the engine's machine, empty where that is this one.
    """

    service: str
    port: int
    host_port: int
    host_ip: str
    host: str
    container: str
    isolated: str = ""
    sidecar: bool = False
    machine: str = ""

    @property
    def host_address(self) -> str:
        """The address that the host connects to, empty when it is not published."""
        return _reachable(self.host_ip, self.machine) if self.host_port else ""

    @property
    def tunnelled(self) -> bool:
        """Whether only processes of another machine reach it, which takes a tunnel from here."""
        return bool(self.machine and self.host_port) and _is_loopback(self.host_ip)

    @property
    def container_host(self) -> str:
        """The host as a container on no shared network calls it, empty when it is not reached from there."""
        return CONTAINER_HOST if self.isolated else ""


def addresses(
    record: EnvironmentRecord, containers: tuple[Container, ...], secrets: Mapping[str, str]
) -> tuple[Address, ...]:
    """Every published port of an environment with its URLs, services before sidecars, each replica's own.

    Args:
        secrets: Name -> value to stand in the URLs; give masks where they must not be shown.
    """
    published: dict[tuple[str, int, int], list[PublishedPort]] = {}
    for container in sorted(containers, key=lambda one: one.number):
        for port in container.ports:
            if port.host_port and port.protocol == "tcp":
                key = (container.service, port.container_port, container.number)
                published.setdefault(key, []).append(port)
    found = [_address(record, name, bindings, secrets) for (name, *_), bindings in published.items()]
    for name, sidecar in record.sidecars.items():
        if not any(name == service for service, *_ in published):
            found.append(_unpublished(name, sidecar, secrets))
    return tuple(sorted(found, key=lambda a: (a.sidecar, a.service, a.port)))


def _address(
    record: EnvironmentRecord, name: str, bindings: list[PublishedPort], secrets: Mapping[str, str]
) -> Address:
    """One port by all that it is bound on; where it is on the engine's bridge, containers reach it there."""
    gateway = record.placement.get(hole_name(GATEWAY), "")
    port = next((one for one in bindings if one.host_ip != gateway), bindings[0])
    bridged = [one for one in bindings if one.host_ip in EVERYWHERE or one.host_ip == gateway]
    pattern = record.sidecars[name].url if name in record.sidecars else WEB
    machine = machine_of(record.engine_host)
    host = _reachable(port.host_ip, machine)
    return Address(
        service=name,
        port=port.container_port,
        host_port=port.host_port,
        host_ip=port.host_ip,
        host=outside(pattern, host, port.host_port, secrets),
        container=inside(name, port.container_port, pattern, secrets),
        isolated=isolated(pattern, bridged[0].host_port, secrets) if bridged else "",
        sidecar=name in record.sidecars,
        machine=machine,
    )


def _reachable(host_ip: str, machine: str) -> str:
    """An address to connect to for one that was bound: where it was bound everywhere, that of its machine."""
    return (machine or LOOPBACK) if host_ip in EVERYWHERE else host_ip


def _is_loopback(host_ip: str) -> bool:
    return host_ip.startswith("127.") or host_ip == "::1"


def way_there(record: EnvironmentRecord, found: Iterable[Address]) -> str:
    """The command that brings what another machine publishes to its own loopback here; empty for nothing."""
    ports = [(one.host_ip, one.host_port) for one in found if one.tunnelled]
    return tunnel(record.engine_host, ports) if ports else ""


def way_words(record: EnvironmentRecord, found: Iterable[Address]) -> str:
    """A sentence about `way_there`, empty for nothing."""
    way = way_there(record, found)
    machine = machine_of(record.engine_host)
    return f"ports on 127.0.0.1 are those of {machine}: `{way}` brings them to this machine" if way else ""


def _unpublished(name: str, sidecar: SidecarRecord, secrets: Mapping[str, str]) -> Address:
    return Address(
        service=name,
        port=sidecar.port,
        host_port=0,
        host_ip="",
        host="",
        container=inside(name, sidecar.port, sidecar.url, secrets),
        sidecar=True,
    )


def masks(record: EnvironmentRecord) -> dict[str, str]:
    """A mask for each secret of an environment, for output that must not show them."""
    return dict.fromkeys(record.secrets, "***")


def secret_values(context: Context, record: EnvironmentRecord) -> dict[str, str]:
    """The values of an environment's secrets, for `url` and `env` only.

    Raises:
        StateError: A secret's file cannot be read.
    """
    return {name: context.store.secret(record.project, name) for name in record.secrets}


def variables(record: EnvironmentRecord, found: tuple[Address, ...]) -> dict[str, str]:
    """The environment variables of an environment as seen from the host.

    `<SERVICE>_URL`, `<SERVICE>_HOST` and `<SERVICE>_PORT` for each service (its first published port), and
    each sidecar's own variable (`DATABASE_URL`).
    """
    values = {"STACKCTL_PROJECT": record.project, "STACKCTL_STACK": record.stack}
    for address in reversed(found):
        if not address.host:
            continue
        word = "".join(c if c.isalnum() else "_" for c in address.service.upper())
        values[f"{word}_URL"] = address.host
        values[f"{word}_HOST"] = address.host_address
        values[f"{word}_PORT"] = str(address.host_port)
        sidecar = record.sidecars.get(address.service)
        if sidecar and sidecar.env:
            values[sidecar.env.removesuffix("_FILE")] = address.host
    return dict(sorted(values.items()))


def first_address(found: tuple[Address, ...], stack: str, service: str = "") -> Address:
    """The address of a service, or the one that a browser would open: the first that is no sidecar.

    Raises:
        UnknownName: The service publishes nothing, or the stack has nothing to open.
    """
    matching = [a for a in found if a.service == service] if service else list(found)
    if matching:
        return matching[0]
    reachable = ", ".join(dict.fromkeys(a.service for a in found)) or "none of its services"
    what = f"`{service}` of `{stack}`" if service else f"`{stack}`"
    raise UnknownName(f"{what} is not reached by any port", hint=f"reached are: {reachable}")
