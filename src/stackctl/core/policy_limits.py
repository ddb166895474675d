"""Limits over one service: what the document says in either of Compose's dialects, and what holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stackctl.core.holes import HOLE, cpus_hole, hole_name, show_cpus
from stackctl.core.limits import DEFAULT, SENTENCES, Limits
from stackctl.core.units import format_size, parse_count, parse_cpus, parse_size

if TYPE_CHECKING:
    from stackctl.core.rules import Case

KEYS = ("pids_limit", "mem_limit", "memswap_limit", "cpus", "cpu_quota", "cpu_period")
"""The keys of a service that only `lay_limits` writes."""
LEAST_MEMORY = 6 << 20
"""Bytes; the engine refuses less."""
MOST_MEMORY = 1 << 60
"""Bytes; what an engine's signed 64 bits hold, with room to add."""

_PERIOD = 100_000
"""Microseconds; the kernel's own default for `cpu_period`."""
_SERVICE_KEYS = {"pids": "pids_limit", "memory": "mem_limit", "swap": "memswap_limit", "cpus": "cpus"}
_DEPLOY_KEYS = ("pids", "memory", "cpus")
_UNLIMITED = frozenset({"-1", "0", "unlimited", "max", "none"})
_BINARY = re.compile(r"(?<=[kmgt])i(?=b?$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a document asks for: the value, and the key of the service where it does."""

    value: Any
    at: str


def _size(text: Any) -> int:
    return parse_size(_BINARY.sub("", str(text).strip()))


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "pids": parse_count,
    "memory": _size,
    "swap": _size,
    "cpus": parse_cpus,
}


def lay_limits(case: Case, service: dict[str, Any]) -> Limits:
    """Write the limits that hold into a service, in the dialect that it speaks itself.

    Compose refuses a limit that stands in both, so a service with `deploy.resources.limits`, even empty
    ones, gets them there; memory with swap has no place there and stands beside it.

    Args:
        service: A service of plain data; its limits are replaced.

    Returns:
        The numbers that were written.
    """
    asked = _read(case, service)
    limits = _settle(case, asked)
    deployed = _deploy_limits(service)
    for key in KEYS:
        service.pop(key, None)
    if deployed is not None:
        deployed.update(pids=limits.pids, memory=format_size(limits.memory))
        deployed["cpus"] = cpus_hole(case.name, limits.cpus)
    else:
        service["pids_limit"] = limits.pids
        service["mem_limit"] = format_size(limits.memory)
        service["cpus"] = cpus_hole(case.name, limits.cpus)
    service["memswap_limit"] = format_size(limits.swap)
    _lower_reservations(case, service, limits.memory)
    return limits


def _deploy_limits(service: Mapping[str, Any]) -> dict[str, Any] | None:
    node: Any = service
    for key in ("deploy", "resources", "limits"):
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None


def _read(case: Case, service: Mapping[str, Any]) -> dict[str, _Asked]:
    """The limits that a document sets, parsed; what cannot be read is a problem and counts as not set."""
    found: dict[str, _Asked] = {}
    quota = _read_quota(case, service)
    if quota:
        found["cpus"] = quota
    deployed = _deploy_limits(service) or {}
    places = [(name, key, service.get(key)) for name, key in _SERVICE_KEYS.items()]
    places += [(name, f"deploy.resources.limits.{name}", deployed.get(name)) for name in _DEPLOY_KEYS]
    for name, at, raw in places:
        value = None if raw is None else _parse(case, name, at, raw)
        if value is None:
            continue
        if name in found and found[name].value != value:
            case.refuse(
                at, f"it differs from `{found[name].at}`, and Compose refuses both", "write one of them"
            )
        found[name] = _Asked(value, at)
    return found


def _parse(case: Case, name: str, at: str, raw: Any) -> Any:
    if name == "cpus":
        raw = _own_hole(case, raw)
    if str(raw).strip().lower() in _UNLIMITED:
        case.refuse(
            at, f"`{raw}` means no limit: {SENTENCES[name]}", f"write a number, such as {DEFAULT.show(name)}"
        )
        return None
    try:
        value = _PARSERS[name](raw)
    except (ValueError, OverflowError) as error:
        case.refuse(at, str(error) if isinstance(error, ValueError) else f"`{raw}` is too large")
        return None
    if name in ("memory", "swap") and not LEAST_MEMORY <= value <= MOST_MEMORY:
        case.refuse(
            at, f"an engine gives a container {format_size(LEAST_MEMORY)} to {format_size(MOST_MEMORY)}"
        )
        return None
    return round(value, 6)


def _own_hole(case: Case, raw: Any) -> Any:
    match = HOLE.fullmatch(raw) if isinstance(raw, str) else None
    own = match is not None and match[1] == hole_name(cpus_hole(case.name, 1))
    return match[3] if match and own else raw


def _read_quota(case: Case, service: Mapping[str, Any]) -> _Asked | None:
    """`cpu_quota` and `cpu_period` as cpus: the engine refuses them beside `cpus`."""
    quota, period = service.get("cpu_quota"), service.get("cpu_period")
    if quota is None and period is None:
        return None
    if quota is None:
        case.change("cpu_period", "removed", "the time that it divides is given by `cpus`")
        return None
    try:
        cpus = parse_cpus(_microseconds(quota) / _microseconds(period if period is not None else _PERIOD))
    except ValueError as error:
        case.refuse("cpu_quota", str(error), "write `cpus: 1.5` instead")
        return None
    case.change("cpu_quota", f"written as cpus {show_cpus(cpus)}", "the engine refuses it beside `cpus`")
    return _Asked(round(cpus, 6), "cpu_quota")


def _microseconds(raw: Any) -> int:
    text = str(raw).strip().removesuffix("us")
    if isinstance(raw, bool) or not re.fullmatch("[0-9]{1,12}", text) or not int(text):
        raise ValueError(f"microseconds above zero were expected, not {raw!r}")
    return int(text)


def _settle(case: Case, asked: Mapping[str, _Asked]) -> Limits:
    """Which numbers hold: the document's where they stand, else the stack's."""
    given = case.rules.limits_for(case.name).limits
    pids, cpus = _choose(case, asked, "pids", given.pids), _choose(case, asked, "cpus", given.cpus)
    memory = _choose(case, asked, "memory", given.memory)
    if _decided("swap", case) and memory > given.swap:
        case.change(
            "mem_limit", f"lowered to {_show('memory', given.swap)}", "swap counts it too, and is set"
        )
        memory = given.swap
    swap = _settle_swap(case, asked, memory)
    limits = replace(given, pids=pids, memory=memory, swap=swap, cpus=round(cpus, 6))
    return _below_ceilings(case, asked, limits)


def _below_ceilings(case: Case, asked: Mapping[str, _Asked], limits: Limits) -> Limits:
    """The limits, and for one that is refused the ceiling that it is above."""
    held = limits
    for name, ceiling in case.rules.machine.ceilings.items():
        if name in _SERVICE_KEYS and getattr(limits, name) > ceiling.value:
            at = asked[name].at if name in asked else _SERVICE_KEYS[name]
            most = replace(DEFAULT, **{name: ceiling.value}).show(name)
            where = f" ({ceiling.origin})" if ceiling.origin else ""
            message = f"{name} {limits.show(name)} is above this machine's ceiling of {most}{where}"
            case.refuse(at, message, f"ask for {most} or less")
            held = replace(held, **{name: ceiling.value})
    if "swap" not in asked:
        held = replace(held, swap=min(held.swap, held.memory + limits.swap - limits.memory))
    return replace(held, memory=min(held.memory, held.swap))


def _decided(name: str, case: Case) -> bool:
    """Whether somebody set the limit outside the document; a default, and a ceiling over one, is nobody's."""
    origin = case.rules.limits_for(case.name).origins.get(name, "default")
    return not origin.startswith(("default", "ceiling in "))


def _choose(case: Case, asked: Mapping[str, _Asked], name: str, given: Any) -> Any:
    if name not in asked:
        case.change(_SERVICE_KEYS[name], f"set to {_show(name, given)}", SENTENCES[name])
        return given
    value, at = asked[name].value, asked[name].at
    if value <= given or not _decided(name, case):
        return value
    origin = case.rules.limits_for(case.name).origins[name]
    case.change(at, f"lowered from {_show(name, value)} to {_show(name, given)}", f"{origin} sets it")
    return given


def _settle_swap(case: Case, asked: Mapping[str, _Asked], memory: int) -> int:
    """Memory and swap together: no swap beyond what somebody asked for."""
    given = case.rules.limits_for(case.name).limits
    if "swap" not in asked:
        swap = memory + max(0, given.swap - given.memory) if _decided("swap", case) else memory
        if _decided("swap", case):
            swap = max(memory, min(swap, given.swap))
        case.change("memswap_limit", f"set to {_show('swap', swap)}", SENTENCES["swap"])
        return swap
    value, at = asked["swap"].value, asked["swap"].at
    if value < asked.get("memory", _Asked(memory, "")).value:
        case.refuse(
            at, "it counts memory and swap together, so it cannot be below the memory", "leave it out"
        )
    if _decided("swap", case) and value > given.swap:
        case.change(at, f"lowered to {_show('swap', given.swap)}", "the stack sets it")
        value = given.swap
    return max(memory, int(value))


def _show(name: str, value: Any) -> str:
    return replace(DEFAULT, **{name: value}).show(name)


def _lower_reservations(case: Case, service: dict[str, Any], memory: int) -> None:
    """A reservation above the limit makes the engine refuse the container."""
    deploy = service.get("deploy")
    resources = deploy.get("resources") if isinstance(deploy, dict) else None
    reservations = resources.get("reservations") if isinstance(resources, dict) else None
    for holder, key, at in (
        (service, "mem_reservation", "mem_reservation"),
        (reservations, "memory", "deploy.resources.reservations.memory"),
    ):
        if not isinstance(holder, dict) or holder.get(key) is None:
            continue
        asked = _parse(case, "memory", at, holder[key])
        if asked is not None and asked > memory:
            holder[key] = format_size(memory)
            case.change(at, f"lowered to {format_size(memory)}", "a reservation cannot be above the limit")
