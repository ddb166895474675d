"""What `doctor` makes of the host: disks, addresses, bridges, the interpreter, the command's own name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from stackctl.core.checkup_engine import unanswered
from stackctl.core.checkup_facts import Disk, Finding, HostFacts, plural
from stackctl.core.labels import PREFIX
from stackctl.core.units import show_size

if TYPE_CHECKING:
    from stackctl.core.facts import Network

FREE_WARNING = 0.10
FREE_FAILED = 0.01
"""Shares of a disk, and of its inodes."""
FREE_BYTES = 5 << 30
"""An image of a few layers, a database and their logs."""
POOL_WARNING = 0.8
"""Share of our range of addresses that is given out."""
# docker names bridges after their network's id; one may have been made since the networks were listed
_DOCKER_BRIDGE = re.compile(r"br-[0-9a-f]{12}")
DEFAULT_POOL = 31
"""Networks that docker's own default pools hold: 16 + 15, from 172.17.0.0/16 and 192.168.0.0/16."""
PYTHONS = ((3, 10), (3, 13))
"""Oldest and newest that the tests run on."""


def disks(facts: HostFacts) -> Iterable[Finding]:
    """Space and inodes, for docker's data and for ours."""
    for disk in facts.disks:
        yield _space(disk)
        if disk.inodes:
            yield _inodes(disk)


def _space(disk: Disk) -> Finding:
    check = f"disk of {disk.what}"
    share = disk.free / disk.total if disk.total else 0.0
    words = f"{show_size(disk.free)} of {show_size(disk.total)} are free at {disk.path} ({share:.0%})"
    if share < FREE_FAILED:
        return Finding(check, "failed", words, _make_room(disk))
    if share < FREE_WARNING or disk.free < FREE_BYTES:
        return Finding(check, "warning", words, _make_room(disk))
    return Finding(check, "passed", words)


def _make_room(disk: Disk) -> str:
    if disk.what == "docker":
        return "`docker system df` shows what takes the space, `docker image rm` frees some of it"
    return "`stackctl list` shows environments, `stackctl purge` deletes the data of one"


def _inodes(disk: Disk) -> Finding:
    check = f"inodes of {disk.what}"
    share = disk.inodes_free / disk.inodes
    words = f"{disk.inodes_free} of {disk.inodes} inodes are free at {disk.path} ({share:.0%})"
    if share >= FREE_WARNING:
        return Finding(check, "passed", words)
    return Finding(check, "failed" if share < FREE_FAILED else "warning", words, _make_room(disk))


def address_pool(facts: HostFacts) -> Finding:
    """The addresses that environments' networks are cut from."""
    networks = facts.engine.networks
    if networks is None or facts.engine.facts is None:
        return unanswered("address pool")
    pool = IPv4Network(facts.configuration.subnets)
    ours = [one for one in networks if f"{PREFIX}home" in one.labels]
    others = [one for one in networks if f"{PREFIX}home" not in one.labels]
    counts = f"{plural(len(networks), 'network')}, {len(ours)} of them from {pool}"
    clashes = [*_network_clashes(pool, others), *_route_clashes(pool, facts, networks)]
    if clashes:
        return Finding(
            "address pool",
            "warning",
            f"{counts}; the range overlaps {', '.join(clashes)}, which containers then cannot reach",
            "set `subnets:` in your config.yaml to a private range that is free",
        )
    used = sum(size for one in ours for size in _sizes(one, pool)) / pool.num_addresses
    if used >= POOL_WARNING:
        remedy = "`stackctl down` what is not needed, or widen `subnets:` in your config.yaml"
        return Finding("address pool", "warning", f"{counts}, {used:.0%} of it is taken", remedy)
    if len(others) >= DEFAULT_POOL - 3:
        return Finding(
            "address pool",
            "warning",
            f"{counts}; docker's own pools hold about {DEFAULT_POOL} and are nearly used up",
            "remove networks that nothing uses (`docker network ls`), or widen `default-address-pools`",
        )
    return Finding("address pool", "passed", counts)


def _network_clashes(pool: IPv4Network, others: Iterable[Network]) -> list[str]:
    return [
        f"the network `{one.name}` ({subnet})"
        for one in others
        for subnet in one.subnets
        if _overlap(pool, subnet)
    ]


def _route_clashes(pool: IPv4Network, facts: HostFacts, networks: Iterable[Network]) -> list[str]:
    if facts.engine.facts is None or not facts.engine.facts.local or facts.engine.elsewhere:
        return []
    docker = {subnet for one in networks for subnet in one.subnets}
    return [
        f"this host's route to {route.subnet} by {route.interface}"
        for route in facts.routes
        if _overlap(pool, route.subnet)
        and route.subnet != "0.0.0.0/0"
        and route.subnet not in docker
        and not _DOCKER_BRIDGE.fullmatch(route.interface)
    ]


def _read_network(subnet: str) -> IPv4Network | None:
    try:
        return IPv4Network(subnet, strict=False)
    except ValueError:
        return None  # IPv6 cannot overlap our range


def _overlap(pool: IPv4Network, subnet: str) -> bool:
    network = _read_network(subnet)
    return network is not None and pool.overlaps(network)


def _sizes(network: Network, pool: IPv4Network) -> list[int]:
    read = [_read_network(subnet) for subnet in network.subnets]
    return [one.num_addresses for one in read if one is not None and pool.overlaps(one)]


def bridge(facts: HostFacts) -> Iterable[Finding]:
    """The bridge of docker's default network, where it must be on this machine."""
    engine = facts.engine.facts
    if engine is None:
        yield unanswered("docker0")
        return
    if not engine.local or engine.rootless or facts.engine.elsewhere or facts.interfaces is None:
        return
    default = next((one for one in facts.engine.networks or () if one.name == "bridge"), None)
    if default is None:
        yield Finding("docker0", "passed", "the engine has no default network, so none is missing")
        return
    routed = {route.subnet for route in facts.routes}
    if "docker0" in facts.interfaces or routed & set(default.subnets):
        yield Finding("docker0", "passed", "the bridge of docker's default network is there")
        return
    yield Finding(
        "docker0",
        "failed",
        "the engine's default network has lost its bridge docker0: containers and builds on it do not start",
        "restart the engine (`sudo systemctl restart docker`), which makes it anew",
    )


def python(facts: HostFacts) -> Finding:
    """The interpreter."""
    version = ".".join(map(str, facts.python))
    words = f"Python {version} at {facts.python_path}"
    if PYTHONS[0] <= facts.python <= PYTHONS[1]:
        return Finding("python", "passed", words)
    tested = " to ".join(".".join(map(str, one)) for one in PYTHONS)
    return Finding("python", "warning", f"{words}, which is not tested", f"use one of {tested}")


def shadowed(facts: HostFacts) -> Finding:
    """Whether the `stackctl` that runs is the one that a shell finds."""
    program = facts.program
    names = [shown for shown, real in program.on_path if real != program.running]
    if not program.on_path:
        remedy = f"put {program.folder} on PATH" if program.running else "install it (`pipx install .`)"
        return Finding("command", "warning", "no `stackctl` is on PATH", remedy)
    if program.on_path[0][1] != program.running:
        return Finding(
            "command",
            "warning",
            f"a shell finds {program.on_path[0][0]}, while {program.running or 'another one'} runs",
            "remove the one that is not wanted, or change the order of PATH; then `hash -r`",
        )
    if names:
        message = f"{program.on_path[0][0]} runs, and hides {', '.join(names)}"
        return Finding("command", "warning", message, "remove those that are not wanted")
    return Finding("command", "passed", f"{program.on_path[0][0]} is the only `stackctl` on PATH")
