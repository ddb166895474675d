"""Where the services of an environment are reached from, and the variables that carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.errors import UnknownName
from stackctl.core.urls import inside, outside

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
    """

    service: str
    port: int
    host_port: int
    host_ip: str
    host: str
    container: str
    sidecar: bool = False


def addresses(
    record: EnvironmentRecord, containers: tuple[Container, ...], secrets: Mapping[str, str]
) -> tuple[Address, ...]:
    """Every published port of an environment with its URLs, services before sidecars.

    Args:
        secrets: Name -> value to stand in the URLs; give masks where they must not be shown.
    """
    found: dict[tuple[str, int, str], Address] = {}
    for container in containers:
        for port in container.ports:
            if port.host_port and port.protocol == "tcp":
                found.setdefault(
                    (container.service, port.container_port, ""), _address(record, container, port, secrets)
                )
    for name, sidecar in record.sidecars.items():
        if not any(key[0] == name for key in found):
            found[(name, 0, "")] = _unpublished(name, sidecar, secrets)
    return tuple(sorted(found.values(), key=lambda a: (a.sidecar, a.service, a.port)))


def _address(
    record: EnvironmentRecord, container: Container, port: PublishedPort, secrets: Mapping[str, str]
) -> Address:
    name = container.service
    pattern = record.sidecars[name].url if name in record.sidecars else WEB
    host = _reachable(port.host_ip)
    return Address(
        service=name,
        port=port.container_port,
        host_port=port.host_port,
        host_ip=port.host_ip,
        host=outside(pattern, host, port.host_port, secrets),
        container=inside(name, port.container_port, pattern, secrets),
        sidecar=name in record.sidecars,
    )


def _reachable(host_ip: str) -> str:
    """An address to connect to for one that was bound: loopback where it was bound everywhere."""
    everywhere = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, never bound
    return "127.0.0.1" if host_ip in everywhere else host_ip


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
        values[f"{word}_HOST"] = _reachable(address.host_ip)
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
