"""The address at which containers on no shared network reach this host: that of the engine's own bridge."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused
from stackctl.core.ports import LOOPBACK

if TYPE_CHECKING:
    from stackctl.core.facts import EngineFacts, Network

BRIDGE = "bridge"
"""The engine's name for its default bridge; no other network can be called so."""
_WAY_OUT = "leave `isolated` out of the sidecar's `reach`, and put what calls it on the environment's network"


def bridge_gateway(networks: Iterable[Network], facts: EngineFacts, own: frozenset[str]) -> str:
    """The address that `host.docker.internal` means in a container that has it from `host-gateway`.

    Docker Desktop's containers reach the host's loopback by that name, so there it is loopback. Elsewhere it
    is the gateway of the default bridge. Where the engine was given pools of addresses, it names the bridge's
    subnet and no gateway; then it is this machine's only address in that subnet.

    Args:
        networks: Those of the engine.
        own: This machine's addresses; they count where the engine is local.

    Raises:
        EngineRefused: It cannot be learned, is not private, or is not this machine's.
    """
    if "docker desktop" in facts.operating_system.lower():
        return LOOPBACK
    bridge = next((one for one in networks if one.name == BRIDGE), None)
    if facts.rootless or bridge is None:
        what = "is rootless, so its bridge is not the host's" if facts.rootless else "has no default bridge"
        raise _refused(f"the engine at {facts.host} {what}")
    address = _version_4(bridge.gateway) or (_within(bridge.subnets, own) if facts.local else None)
    if address is None:
        raise _refused("the engine does not say which address its default bridge has on the host")
    if not _private(address):
        raise _refused(f"the default bridge's address {address} is not a private one")
    if facts.local and str(address) not in own:
        raise _refused(f"the default bridge's address {address} is not one of this host")
    return str(address)


def _refused(why: str) -> EngineRefused:
    return EngineRefused(f"no port can be published for containers on other networks: {why}", hint=_WAY_OUT)


def _version_4(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def _within(subnets: Iterable[str], own: Iterable[str]) -> IPv4Address | None:
    spaces = [IPv4Network(subnet) for subnet in subnets if ":" not in subnet]
    addresses = [address for address in map(_version_4, own) if address is not None]
    found = [address for address in addresses if any(address in space for space in spaces)]
    return found[0] if len(found) == 1 else None


def _private(address: IPv4Address) -> bool:
    """Whether no other network routes to it by itself, and it can be bound."""
    barred = address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved
    return address.is_private and not barred
