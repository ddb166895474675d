"""Published ports: their ways of writing, brought to one long form that listens on loopback."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from stackctl.core.deploys import asked_replicas
from stackctl.core.holes import GATEWAY, port_hole
from stackctl.core.references import services_of
from stackctl.core.rules import Case, entries

LOOPBACK = "127.0.0.1"
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, never bound
"""How an engine writes that a port is bound on every address."""
MAX_RANGE = 64
"""Ports that one entry may stand for; more is a mistake or a denial of service on the host's ports."""

_SHORT = re.compile(
    r"(?:(?P<ip>\[[^\]]*\]|[^:\[\]]*):)?(?:(?P<published>[^:]*):)?(?P<target>\d+(?:-\d+)?)(?:/(?P<protocol>\w+))?"
)
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_PROTOCOLS = ("tcp", "udp", "sctp")
_CHOOSE = frozenset({"", "0", "auto"})
_KEPT = ("name", "mode", "app_protocol")
_ON_BRIDGE = "containers on other networks reach it there; it is no address of another machine's network"
_PUBLIC = "the port would be open to other machines; an engine's ports pass by the host's firewall"


def lay_ports(case: Case, value: Any) -> Any:
    """The ports of a service in long form, one by one, on loopback unless `public-ports` is granted."""
    if not isinstance(value, list):
        case.refuse("ports", "`ports` must be a list")
        return None
    laid: list[dict[str, Any]] = []
    for place, entry in entries(value):
        laid += [port for port in _read(case, f"ports{place}", entry) if port not in laid]
    _check_doubles(case, laid)
    _check_replicas(case, laid)
    return [one for one in laid if one.get("host_ip") != GATEWAY or not _open(one, laid)]


def on_gateway(entry: Any) -> dict[str, Any] | None:
    """A port entry, however it is written, on the address of the engine's bridge; None for no port."""
    raw = _long(entry)
    return (
        {**{key: value for key, value in raw.items() if value is not None}, "host_ip": GATEWAY}
        if raw
        else None
    )


def fixed_ports(document: Mapping[str, Any]) -> dict[int, str]:
    """The host ports that a bounded document asks for by number -> where it does."""
    found: dict[int, str] = {}
    for name, service in sorted(document.get("services", {}).items()):
        for number, port in enumerate(service.get("ports", ())):
            published = str(port.get("published", ""))
            if published.isdecimal():
                found.setdefault(int(published), f"services.{name}.ports[{number}]")
    return found


def _read(case: Case, at: str, entry: Any) -> list[dict[str, Any]]:
    raw = _long(entry)
    if raw is None:
        case.refuse(at, f"`{entry}` is no port", 'write `"8080:80"`, or `80` alone to have a free one chosen')
        return []
    targets = _numbers(raw["target"])
    protocol = str(raw.get("protocol") or "tcp").lower()
    if not targets or protocol not in _PROTOCOLS:
        case.refuse(
            at, f"`{raw['target']}/{protocol}` is no container port", "write 1 to 65535, tcp, udp or sctp"
        )
        return []
    if len(targets) > MAX_RANGE:
        case.refuse(at, f"{len(targets)} ports in one entry are too many", f"name at most {MAX_RANGE}")
        return []
    published = _published(case, at, raw, targets, protocol)
    host_ip = _host_ip(case, at, raw.get("host_ip"))
    kept = {key: raw[key] for key in _KEPT if key in raw}
    address = {"host_ip": host_ip} if host_ip else {}
    return [
        {"target": target, **address, **({"published": given} if given else {}), "protocol": protocol, **kept}
        for target, given in zip(targets, published, strict=True)
    ]


def _long(entry: Any) -> dict[str, Any] | None:
    if isinstance(entry, dict):
        known = {"target", "published", "host_ip", "protocol", *_KEPT}
        return dict(entry) if "target" in entry and set(entry) <= known else None
    if isinstance(entry, bool) or not isinstance(entry, (int, str)):
        return None
    match = _SHORT.fullmatch(str(entry).strip())
    if not match:
        return None
    ip, published = match["ip"], match["published"]
    if ip is not None and published is None and not _is_address(ip):
        ip, published = None, ip
    return {"host_ip": ip, "published": published, "target": match["target"], "protocol": match["protocol"]}


def _numbers(text: Any) -> list[int]:
    match = None if isinstance(text, bool) else _RANGE.fullmatch(str(text).strip())
    if not match:
        return []
    first, last = int(match[1]), int(match[2] or match[1])
    return list(range(first, last + 1)) if 0 < first <= last <= 65535 else []


def _published(case: Case, at: str, raw: Mapping[str, Any], targets: list[int], protocol: str) -> list[str]:
    """What each target is published as: a number or a range that was asked for, or the hole for a free one.

    Nothing where each of several replicas needs a free one of its own, which only the engine can choose.
    """
    holes = [port_hole(case.name, target, protocol) for target in targets]
    given = "" if raw.get("published") is None else str(raw["published"]).strip()
    if given in holes:
        return holes
    if given.lower() in _CHOOSE:
        if _replicas(case) > 1:
            return [""] * len(targets)
        case.change(at, "given a host port by placement", "no host port was asked for")
        return holes
    numbers = _numbers(given)
    if not numbers or (len(targets) > 1 and len(numbers) != len(targets)):
        case.refuse(at, f"`{given}` is no host port for {raw['target']}", "write one number, or equal ranges")
        return holes
    if len(numbers) > 1 and len(targets) == 1:
        return [given]
    return [str(number) for number in numbers]


def _is_address(text: str) -> bool:
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _host_ip(case: Case, at: str, raw: Any) -> str:
    """The address to listen on; empty for all of them, where that is granted."""
    given = str(raw or "").strip("[]")
    if given == GATEWAY and case.name in case.rules.sidecars:
        case.change(at, "kept on the engine's bridge", _ON_BRIDGE)
        return given
    if given and not _is_address(given):
        case.refuse(at, f"`{given}` is no address to listen on", f"write {LOOPBACK}, or leave it out")
        return LOOPBACK
    if given and ip_address(given).is_loopback:
        return given
    asked_by_name = "public-ports" in case.rules.allow.get(case.name, ())
    if (asked_by_name or (given and case.rules.hardened)) and case.needs("public-ports", at, _PUBLIC):
        return given
    case.change(at, f"moved to {LOOPBACK}", _PUBLIC)
    return LOOPBACK


def _open(port: Mapping[str, Any], laid: list[dict[str, Any]]) -> bool:
    """Whether the port is bound on every address too, the one of the engine's bridge among them."""
    everywhere = {**port, "host_ip": ""}
    return any({**one, "host_ip": ""} == everywhere and one.get("host_ip", "") in EVERYWHERE for one in laid)


def _check_doubles(case: Case, laid: list[dict[str, Any]]) -> None:
    seen: set[tuple[str, str, str]] = set()
    for port in laid:
        key = (port.get("host_ip", ""), port.get("published", ""), port["protocol"])
        if key in seen and key[1].isdecimal():
            case.refuse("ports", f"host port {key[1]} is published twice", "use each host port once")
        seen.add(key)


def _replicas(case: Case) -> int:
    return asked_replicas(services_of(case.document).get(case.name) or {})


def _check_replicas(case: Case, laid: list[dict[str, Any]]) -> None:
    """The second of several replicas would not start; the engine spreads them over a range."""
    replicas = _replicas(case)
    fixed = any(str(one.get("published", "-")).isdecimal() or "$" in one.get("published", "") for one in laid)
    if replicas > 1 and fixed:
        message = f"{replicas} replicas cannot all publish one host port"
        hint = (
            "publish a range (`8000-8010:80`) or no host port, put a proxy in front, or ask for one replica"
        )
        case.refuse("ports", message, hint)
