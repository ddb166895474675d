"""What belongs to this host and this run: a value for each hole of a document, stable for its life."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackctl.core import holes
from stackctl.core.dotenv import dotenv
from stackctl.core.errors import PortTaken, UsageError
from stackctl.core.holes import find_holes, hole_name
from stackctl.core.names import short_hash
from stackctl.core.ports import fixed_ports
from stackctl.core.subnets import place_subnets

if TYPE_CHECKING:
    from stackctl.core.labels import Stamp
    from stackctl.core.records import ServiceRecord
    from stackctl.core.stack import DataFolder

FALLBACK_UID = 1000
"""Who owns what nobody declared an owner for, where the caller is root: never 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementWorld:
    """What is taken on this host, and what may be given out.

    Args:
        ports: First and last host port that may be given out.
        subnets: The range that networks are cut from, in CIDR notation.
        taken_ports: Ports of other records, and ports bound on the host by anybody but this environment.
        taken_subnets: Subnets of other records and of the engine's networks but this environment's, CIDR.
        cpus: Processors of the engine's host.
        root: Absolute path of the folder that the stack's own compose files call theirs, empty for none.
        remote: Absolute path of the environment's folder on the engine's host, empty where that is this one.
        gateway: Address of the engine's own bridge, empty where the document does not ask for it.
    """

    ports: tuple[int, int]
    subnets: str
    taken_ports: frozenset[int] = frozenset()
    taken_subnets: tuple[str, ...] = ()
    cpus: int = 1
    root: str = ""
    remote: str = ""
    gateway: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The value of every hole that has no default of its own to fall back on, and what is worth saying.

    Args:
        values: Hole's variable -> text; no secret among them.
        notes: Sentences for people, without full stops.
    """

    values: Mapping[str, str]
    notes: tuple[str, ...] = ()


def place(
    document: Mapping[str, Any],
    *,
    world: PlacementWorld,
    kept: Mapping[str, str],
    stamp: Stamp,
    folder: str,
    owner: tuple[int, int],
    caller_is_root: bool,
    data: Sequence[DataFolder],
    services: Mapping[str, ServiceRecord],
) -> Placement:
    """Fill every hole of a bounded document.

    What was given stays unless somebody took it; a search starts where the project's name says.

    Args:
        kept: The values of the last placement.
        folder: Absolute path of the environment's folder.
        owner: uid and gid of the caller.
        data: What the document mounts; a uid counts where the caller is root.

    Raises:
        EngineRefused: No port (PortTaken) or no subnet is left in the range.
        UsageError: The document has a hole that nothing fills.
    """
    notes: list[str] = []
    values = _identity(stamp, folder) | _folders(data, world.remote or folder, owner, caller_is_root)
    values |= place_ports(document, world=world, kept=kept, project=stamp.project, note=notes.append)
    values |= place_subnets(
        document,
        space=world.subnets,
        taken=world.taken_subnets,
        kept=kept,
        project=stamp.project,
        services=services,
        note=notes.append,
    )
    values |= {hole_name(holes.GATEWAY): world.gateway} if world.gateway else {}
    values |= {hole_name(holes.ROOT): world.root} if world.root else {}
    remote = {hole_name(holes.REMOTE): world.remote} if world.remote else {}
    values |= _cpus(services, world.cpus, notes.append)
    found = _needed(document, values | remote, owner, caller_is_root)
    return Placement(values=found | remote, notes=tuple(notes))


def environment_file(placement: Placement) -> str:
    """The text of `placement.env`, sorted, as Compose reads it back byte for byte."""
    return dotenv(placement.values)


def _identity(stamp: Stamp, folder: str) -> dict[str, str]:
    return {
        hole_name(holes.PROJECT): stamp.project,
        hole_name(holes.INSTANCE): stamp.instance,
        hole_name(holes.GENERATION): stamp.generation,
        hole_name(holes.HOME): stamp.home,
        hole_name(holes.USER): str(stamp.user),
        hole_name(holes.ENGINE): stamp.engine,
        hole_name(holes.FILES): f"{folder}/files",
        hole_name(holes.SECRETS): f"{folder}/secrets",
    }


def _folders(
    data: Iterable[DataFolder], folder: str, owner: tuple[int, int], caller_is_root: bool
) -> dict[str, str]:
    values = {}
    for one in data:
        values[hole_name(holes.data_hole(one.name))] = f"{folder}/data/{one.name}"
        values[hole_name(holes.user_hole(one.name))] = _owner(owner, caller_is_root, one.uid)
    return values


def _owner(owner: tuple[int, int], caller_is_root: bool, uid: int) -> str:
    if caller_is_root or owner[0] == 0:
        return f"{uid or FALLBACK_UID}:{uid or FALLBACK_UID}"
    return f"{owner[0]}:{owner[1]}"


def place_ports(
    document: Mapping[str, Any],
    *,
    world: PlacementWorld,
    kept: Mapping[str, str],
    project: str,
    note: Callable[[str], None],
) -> dict[str, str]:
    """A host port for each port hole.

    Raises:
        PortTaken: No port is left in the range.
    """
    wanted = _port_holes(document)
    taken = set(world.taken_ports) | set(fixed_ports(document))
    given: dict[str, int] = {}
    for name in wanted:
        port = int(kept[name]) if kept.get(name, "").isdecimal() else 0
        if 0 < port < 65536 and port not in taken:
            given[name] = port
            taken.add(port)
    for name, where in wanted.items():
        if name not in given:
            given[name] = _free_port(world.ports, taken, f"{project}\0{name}", where)
            taken.add(given[name])
            if kept.get(name):
                note(f"port {kept[name]} was taken by somebody else, so {where} is now on {given[name]}")
    return {name: str(port) for name, port in given.items()}


def _port_holes(document: Mapping[str, Any]) -> dict[str, str]:
    """Variable -> what it is the port of, for people."""
    found = {}
    for service, section in sorted(document.get("services", {}).items()):
        for port in section.get("ports") or ():
            match = holes.HOLE.fullmatch(str(port.get("published", "")))
            if match:
                found[match[1]] = f"`{service}` port {port['target']}"
    return found


def _free_port(span: tuple[int, int], taken: set[int], seed: str, where: str) -> int:
    first, last = span
    size = last - first + 1
    start = int(short_hash(seed, 12), 16) % size if size > 0 else 0
    for number in range(size):
        port = first + (start + number) % size
        if port not in taken:
            return port
    raise PortTaken(
        f"no port is left for {where} between {first} and {last}",
        hint="widen `ports` in the configuration, or end what is not needed: `stackctl list`",
    )


def _cpus(services: Mapping[str, ServiceRecord], most: int, note: Callable[[str], None]) -> dict[str, str]:
    """What is lowered to the host's own number: the engine refuses more."""
    values = {}
    for name, service in sorted(services.items()):
        if service.cpus > most > 0:
            values[hole_name(holes.cpus_hole(name, service.cpus))] = str(most)
            asked, has = holes.show_cpus(service.cpus), f"{most} cpu{'s' if most > 1 else ''}"
            note(f"the host has {has}, so `{name}` gets {most} instead of {asked}")
    return values


def _needed(
    document: Mapping[str, Any], values: Mapping[str, str], owner: tuple[int, int], caller_is_root: bool
) -> dict[str, str]:
    """The values of the document's own holes, no others."""
    found = {}
    for name, default in find_holes(document).items():
        if name in values:
            found[name] = values[name]
        elif name.startswith(f"{holes.PREFIX}USER_"):
            found[name] = _owner(owner, caller_is_root, FALLBACK_UID)
        elif default is None:
            raise UsageError(
                f"the document needs `{name}`, and nothing fills it",
                hint="declare the folder under `data:` in the template",
            )
    return found
