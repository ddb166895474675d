"""Reads the user's `config.yaml` and the machine's `policy.yaml`."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Any, Literal, cast

from stackctl.core.allow import ALLOW
from stackctl.core.documents import load
from stackctl.core.fields import Fields, Report, choice, kind, text, words
from stackctl.core.names import shorten
from stackctl.core.settings import (
    mark_path,
    mark_problems,
    read_layer,
    read_limits,
    read_variables,
    read_watchdog,
    whole,
)
from stackctl.core.stack import Configuration, MachinePolicy
from stackctl.core.stackfile import command

KEYS = (
    *("limits", "watchdog", "supervisor", "ports", "subnets", "on_incident", "host_pressure", "variables"),
    "remote_folder",
)
POLICY_KEYS = ("ceilings", "forbid")
_DEFAULT = Configuration()
_LEAST_PORT = 1024
_FEWEST_PORTS = 10
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_LONGEST_PREFIX = 20
"""A /20 holds 64 environments of a /26 each."""


def parse_configuration(text: str, *, source: str) -> Configuration:
    """Read a `config.yaml`; an empty one says nothing.

    Raises:
        StackFileError: With every problem, each with file, line and path.
    """
    loaded = load(text, source=source)
    report = Report(loaded)
    sheet = Fields(report, loaded.data, "", KEYS)
    limits, watchdog = read_limits(sheet), read_watchdog(sheet)
    for field, sentence in mark_problems(limits, watchdog):
        report.wrong(mark_path("", field), sentence)
    configuration = Configuration(
        limits=limits,
        watchdog=watchdog,
        supervisor=cast('Literal["auto", "manual"]', sheet.one_of("supervisor", ("auto", "manual"), "auto")),
        ports=sheet.read("ports", _ports, _DEFAULT.ports),
        subnets=sheet.read("subnets", _subnets, _DEFAULT.subnets),
        on_incident=sheet.read("on_incident", command, ()),
        host_pressure=cast(
            'Literal["report", "act"]', sheet.one_of("host_pressure", ("report", "act"), "report")
        ),
        variables=read_variables(sheet),
        remote_folder=sheet.read("remote_folder", _remote_folder, _DEFAULT.remote_folder),
    )
    report.finish()
    return configuration


def parse_machine_policy(text: str, *, source: str) -> MachinePolicy:
    """Read a `policy.yaml`; an empty one forbids nothing.

    Raises:
        StackFileError: With every problem, each with file, line and path.
    """
    loaded = load(text, source=source)
    report = Report(loaded)
    sheet = Fields(report, loaded.data, "", POLICY_KEYS)
    ceilings = read_layer(sheet.inner("ceilings"))
    nothing: frozenset[str] = frozenset()
    forbidden = sheet.read("forbid", _forbidden, nothing)
    report.finish()
    return MachinePolicy(source=source, ceilings=ceilings, forbidden=forbidden)


def _forbidden(raw: Any) -> frozenset[str]:
    return frozenset(choice(word, ALLOW) for word in words(raw))


def _ports(raw: Any) -> tuple[int, int]:
    match = re.fullmatch(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*", raw) if isinstance(raw, str) else None
    ends = list(match.groups()) if match else raw
    if not isinstance(ends, list) or len(ends) != 2:
        shown = shorten(raw) if isinstance(raw, str) else kind(raw)
        raise ValueError(f"a range such as 20000-29999 was expected, not {shown}")
    first, last = (whole(end, _LEAST_PORT, 65535, "a port") for end in ends)
    if last - first + 1 < _FEWEST_PORTS:
        raise ValueError(f"a range of at least {_FEWEST_PORTS} ports was expected, the first before the last")
    return first, last


def _remote_folder(raw: Any) -> str:
    path = text(raw).rstrip("/")
    parts = path.split("/")
    plain = re.fullmatch(r"[A-Za-z0-9._/-]+", path) and ".." not in parts and "." not in parts
    if parts[0] or len(parts) < 2 or "" in parts[1:] or not plain:
        raise ValueError(
            f"an absolute path such as {_DEFAULT.remote_folder} was expected, of letters, digits, `.`, "
            f"`_` and `-`, not {shorten(str(raw))}"
        )
    return path


def _subnets(raw: Any) -> str:
    try:
        network = IPv4Network(text(raw))
    except ValueError:
        raise ValueError(
            f"an IPv4 range such as {_DEFAULT.subnets} was expected, not {shorten(str(raw))}"
        ) from None
    if not any(network.subnet_of(private) for private in _PRIVATE):
        raise ValueError(f"{network} is no private range; take one inside {', '.join(map(str, _PRIVATE))}")
    if network.prefixlen > _LONGEST_PREFIX:
        raise ValueError(f"{network} is too small; a /{_LONGEST_PREFIX} or larger was expected")
    return str(network)
