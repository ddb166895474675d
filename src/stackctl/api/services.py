"""How a service is reached: a task's sidecar, or a service of an environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stackctl.core.errors import ServiceFailed
from stackctl.core.remote import folder_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.reaching import Address

Where = Literal["host", "container", "isolated"]
_WAYS = {
    "host": "publishes no port to this host",
    "container": "has no port",
    "isolated": "is not reached from containers on other networks",
}
_HINTS = {
    "host": '`url("container")` is how containers on its network reach it',
    "container": "give it a port in its template",
    "isolated": 'a sidecar with {"reach": ["isolated"]} is',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service while it runs; for one with several published ports, the first.

    Args:
        name: Its name, by which containers on its network reach it.
        host: Address at which this host reaches it, such as 127.0.0.1; empty when it is not published.
        port: Port at `host` and at `container_host`; 0 when it is not published.
        container_host: Name by which containers on no shared network reach this host; empty when they cannot
            reach the service.
        container_port: Port that it listens on in its own container; 0 when it has none.
        env: Environment variable that carries its URL to a task, or, where it ends in `_FILE`, names the file
            that does; empty for none.
        data: Folder of the engine's host that holds its data; it stays when the service is gone.
        urls: Its URLs, passwords included, by `host`, `container` and `isolated`; without those that it has
            not.
        sidecar: Whether it is a sidecar.
    """

    name: str
    host: str = ""
    port: int = 0
    container_host: str = ""
    container_port: int = 0
    env: str = ""
    data: Path
    urls: Mapping[str, str]
    sidecar: bool = False

    def url(self, where: Where = "host") -> str:
        """Its URL, passwords included.

        Args:
            where: As seen from this host, from a container on its network, or from one on no shared network.

        Raises:
            ServiceFailed: It is not reached from there.
        """
        found = self.urls.get(where, "")
        if not found:
            raise ServiceFailed(f"`{self.name}` {_WAYS[where]}", hint=_HINTS[where])
        return found


def services_of(record: EnvironmentRecord, found: tuple[Address, ...], folder: Path) -> dict[str, Service]:
    """The services of an environment or task, by name.

    Args:
        found: Its addresses, with the secrets in the URLs.
        folder: Where its data is.
    """
    first: dict[str, Address] = {}
    for address in found:
        first.setdefault(address.service, address)
    return {name: _service(record, name, first.get(name), folder) for name in sorted(record.services)}


def _service(record: EnvironmentRecord, name: str, address: Address | None, folder: Path) -> Service:
    beside = record.sidecars.get(name)
    env = beside.env if beside else ""
    data = Path(folder_of(record.placement) or folder) / "data" / name
    if address is None:
        return Service(name=name, env=env, data=data, urls={}, sidecar=beside is not None)
    urls = {"host": address.host, "container": address.container, "isolated": address.isolated}
    return Service(
        name=name,
        host=address.host_address,
        port=address.host_port,
        container_host=address.container_host,
        container_port=address.port,
        env=env,
        data=data,
        urls={where: url for where, url in urls.items() if url},
        sidecar=beside is not None,
    )
