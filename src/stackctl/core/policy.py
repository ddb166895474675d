"""What a compose document may ask for and what is laid over it: a bounded document out, or problems."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stackctl.core.deploys import asked_replicas, asked_restart
from stackctl.core.errors import PolicyError, Problem
from stackctl.core.holes import PROJECT, strays
from stackctl.core.paths import step
from stackctl.core.policy_limits import lay_limits
from stackctl.core.policy_rows import ALWAYS, SERVICE, Row, judge_key
from stackctl.core.policy_top import check_addresses, check_top, judge_sources, lay_networks, lay_volumes
from stackctl.core.records import ServiceRecord
from stackctl.core.references import dependencies, dependency_cycle, services_of
from stackctl.core.rules import Bounded, Case, Change, Findings, Rules, needs
from stackctl.core.stamping import own_labels, stamp

if TYPE_CHECKING:
    from stackctl.core.limits import Limits

__all__ = ["SERVICE", "Bounded", "Change", "Row", "Rules", "bound", "judge", "problems"]

_SERVICE_NAME = re.compile(r"[a-zA-Z0-9._-]+")


def bound(document: Mapping[str, Any], rules: Rules) -> Bounded:
    """Bring a compose document within its bounds; the document itself is not changed.

    The result is a fixed point: a bounded document, bounded again by the same rules, stays as it is.

    Args:
        document: A compose document of plain data, already interpolated but for declared holes.
        rules: What it is judged by.

    Raises:
        PolicyError: It asks for what policy refuses; every reason at once.
    """
    bounded, found = judge(document, rules)
    if found:
        raise PolicyError(f"`{rules.stack}` asks for what policy refuses", problems=found)
    return bounded


def problems(document: Mapping[str, Any], rules: Rules) -> tuple[Problem, ...]:
    """Everything that `bound` would refuse, in the order of the document; empty when it would not."""
    return judge(document, rules)[1]


def judge(document: Mapping[str, Any], rules: Rules) -> tuple[Bounded, tuple[Problem, ...]]:
    """The bounded document with what would be refused in it, and all of that.

    What is refused stands in it as it was given, but for limits: one above the machine's ceiling is
    lowered to it, one that means no limit becomes the one that holds without it.
    """
    given = _plain(document)
    findings = Findings(rules)
    _check_interpolation(findings, given)
    check_top(findings, given)
    _check_services(findings, given)
    awaited = _awaited(given)
    services: dict[str, Any] = {}
    records: dict[str, ServiceRecord] = {}
    for name, section in services_of(given).items():
        if isinstance(section, dict):
            case = Case(findings, name, given)
            _judge_files(case)
            services[name], limits = _judge_service(case, section)
            records[name] = _record(case, section, limits, name in awaited)
    bounded = {key: value for key, value in given.items() if key not in ("name", "version")}
    bounded.update(name=PROJECT, services=services)
    _lay_sections(findings, given, bounded)
    return Bounded(document=bounded, changes=findings.changes, services=records), findings.problems


def _plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_plain(value) for value in node]
    return node


def _texts(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _texts(value, step(path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _texts(value, step(path, number))


def _check_interpolation(findings: Findings, given: Mapping[str, Any]) -> None:
    """Compose would fill in what nobody meant, from an environment that differs on every machine."""
    for path, text in _texts(given):
        for stray in strays(text)[:1]:
            message = f"Compose would interpolate `{stray}`, and what it finds differs on every machine"
            findings.refuse(
                path, message, "write `$$` for a plain dollar sign, or use a variable of the stack"
            )


def _check_services(findings: Findings, given: Mapping[str, Any]) -> None:
    services = given.get("services")
    if not isinstance(services, dict) or not services:
        findings.refuse("services", "there must be a mapping of services, at least one")
        return
    for name, section in services.items():
        path = step("services", name)
        if not _SERVICE_NAME.fullmatch(name):
            findings.refuse(
                path, f"`{name}` cannot be the name of a service", "use letters, digits, `.`, `_` and `-`"
            )
        if not isinstance(section, dict):
            findings.refuse(path, "a service must be a mapping, with an `image` at least")
        elif not section.get("image") and not section.get("build"):
            findings.refuse(path, "it has neither an `image` nor a `build`", "name an image with its tag")
    cycle = dependency_cycle(given)
    if cycle:
        findings.refuse("services", f"the services depend on each other in a circle: {' -> '.join(cycle)}")


def _judge_service(case: Case, section: Mapping[str, Any]) -> tuple[dict[str, Any], Limits]:
    laid: dict[str, Any] = {}
    for key in (*section, *(key for key in ALWAYS if key not in section)):
        value = judge_key(case, key, _plain(section.get(key)))
        if value is not None:
            laid[key] = value
    limits = lay_limits(case, laid)
    _harden(case, section, laid)
    labels = own_labels(case.findings, f"{case.path}.labels", section.get("labels"))
    laid["labels"] = {**labels, **stamp(case.rules)}
    return laid, limits


def _judge_files(case: Case) -> None:
    """Compose reads these files with the caller's rights, and what stands in them ends up in the service."""
    for one in case.rules.outside:
        if one.service in ("", case.name):
            where = "lies outside the stack's own root"
            why = where if one.readable else "is read, and what else it reads cannot be told"
            needs(case.findings, case.name, "outside-file", one.path, f"`{one.file}` {why}")


def _harden(case: Case, section: Mapping[str, Any], laid: dict[str, Any]) -> None:
    if not case.rules.hardened:
        return
    if not laid.get("cap_drop"):
        laid["cap_drop"] = ["ALL"]
        case.change("cap_drop", "set to ALL", "templates hold no capability that they do not ask for")
    image = str(section.get("image") or "")
    _, _, tag = image.rpartition("/")[2].partition(":")
    if image and "@" not in image and tag in ("", "latest"):
        case.change("image", "kept", f"`{image}` names no version, so it may be another one tomorrow")


def _awaited(given: Mapping[str, Any]) -> frozenset[str]:
    """The services whose successful end another one waits for."""
    waits = (pair for service in services_of(given).values() for pair in dependencies(service).items())
    return frozenset(name for name, condition in waits if condition == "service_completed_successfully")


def _record(case: Case, section: Mapping[str, Any], limits: Limits, awaited: bool) -> ServiceRecord:
    restart = asked_restart(section)
    return ServiceRecord(
        pids=limits.pids,
        memory=limits.memory,
        swap=limits.swap,
        cpus=limits.cpus,
        restart=restart,
        one_shot=awaited and restart in ("no", "on-failure"),
        sidecar=case.name in case.rules.sidecars,
        replicas=asked_replicas(section),
    )


def _lay_sections(findings: Findings, given: Mapping[str, Any], bounded: dict[str, Any]) -> None:
    laid = {
        "networks": lay_networks(findings, given),
        "volumes": lay_volumes(findings, given, bounded["services"]),
        "secrets": judge_sources(findings, given, "secrets"),
        "configs": judge_sources(findings, given, "configs"),
    }
    check_addresses(findings, given, laid["networks"])
    for key, section in laid.items():
        bounded.pop(key, None)
        if section:
            bounded[key] = section
