"""Subnets of environments' networks, cut from one range: the engine's own small pool runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import EngineRefused
from stackctl.core.holes import HOLE
from stackctl.core.names import short_hash
from stackctl.core.policy_top import joins

if TYPE_CHECKING:
    from stackctl.core.records import ServiceRecord

SMALLEST = 26
"""Prefix of the subnet that a network gets at least: 61 containers beside the gateway."""
SPARE = 11
"""Addresses beside two for each container (the new one and the one it replaces): network, gateway, broadcast,
and eight one-off containers."""


def place_subnets(
    document: Mapping[str, Any],
    *,
    space: str,
    taken: Iterable[str],
    kept: Mapping[str, str],
    project: str,
    services: Mapping[str, ServiceRecord],
    note: Callable[[str], None],
) -> dict[str, str]:
    """A subnet for each subnet hole of a bounded document.

    Args:
        space: The range to cut from, in CIDR notation.
        taken: Subnets in use by others, in CIDR notation; those of IPv6 do not count.

    Raises:
        EngineRefused: No subnet of the size is left in the range.
    """
    wanted = _subnet_holes(document)
    busy = _networks((*taken, *_written(document)))
    sizes = {name: _prefix(document, network, services) for name, network in wanted.items()}
    given: dict[str, IPv4Network] = {}
    for name in wanted:
        old = _network(kept.get(name, ""))
        if old and old.prefixlen <= sizes[name] and not _overlaps(old, busy):
            given[name] = old
            busy.append(old)
    for name, network in wanted.items():
        if name not in given:
            given[name] = _free(space, sizes[name], busy, f"{project}\0{name}", network)
            busy.append(given[name])
            if kept.get(name):
                note(f"the network `{network}` moves from {kept[name]} to {given[name]}")
    return {name: str(subnet) for name, subnet in given.items()}


def _pools(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for name, section in sorted((document.get("networks") or {}).items()):
        pools = (section.get("ipam") or {}).get("config") or ()
        found += [(name, str(pool.get("subnet", ""))) for pool in pools if isinstance(pool, dict)]
    return found


def _subnet_holes(document: Mapping[str, Any]) -> dict[str, str]:
    matches = ((HOLE.fullmatch(subnet), network) for network, subnet in _pools(document))
    return {match[1]: network for match, network in matches if match}


def _written(document: Mapping[str, Any]) -> list[str]:
    return [subnet for _, subnet in _pools(document) if "$" not in subnet]


def _network(text: str) -> IPv4Network | None:
    try:
        return IPv4Network(text, strict=False)
    except ValueError:
        return None


def _networks(texts: Iterable[str]) -> list[IPv4Network]:
    found = (_network(text) for text in texts)
    return [network for network in found if network]


def _prefix(document: Mapping[str, Any], network: str, services: Mapping[str, ServiceRecord]) -> int:
    members = sum(
        services[name].replicas if name in services else 1
        for name, section in document.get("services", {}).items()
        if joins(section, network)
    )
    return min(SMALLEST, 32 - (2 * members + SPARE - 1).bit_length())


def _overlaps(subnet: IPv4Network, busy: Iterable[IPv4Network]) -> bool:
    return any(subnet.overlaps(other) for other in busy)


def _free(space: str, prefix: int, busy: Iterable[IPv4Network], seed: str, network: str) -> IPv4Network:
    whole = IPv4Network(space, strict=False)
    first, shift = int(whole.network_address), 32 - prefix
    count = 1 << (prefix - whole.prefixlen) if prefix >= whole.prefixlen else 0
    taken: set[int] = set()
    for other in (one for one in busy if one.overlaps(whole)):
        low, high = int(other.network_address) - first, int(other.broadcast_address) - first
        taken.update(range(max(low, 0) >> shift, min(high >> shift, count - 1) + 1))
    start = int(short_hash(seed, 12), 16) % count if count else 0
    for number in range(count):
        place = (start + number) % count
        if place not in taken:
            return IPv4Network((first + (place << shift), prefix))
    raise EngineRefused(
        f"no subnet /{prefix} is left for the network `{network}` in {space}",
        hint="widen `subnets` in the configuration, or end what is not needed: `stackctl list`",
    )
