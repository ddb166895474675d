"""Names that a service uses of others: services, networks, secrets, configs; each must be declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from stackctl.core.rules import Case, entries, says_no

_CONDITIONS = frozenset({"service_started", "service_healthy", "service_completed_successfully"})


def services_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The services of a document of any shape."""
    services = document.get("services")
    return services if isinstance(services, dict) else {}


def judge_grants(key: str) -> Callable[[Case, Any], Any]:
    """A judge for a service's `secrets` or `configs`: each must be declared at the top."""

    def judge(case: Case, value: Any) -> Any:
        declared = case.document.get(key)
        for place, entry in entries(value):
            source = entry.get("source") if isinstance(entry, dict) else entry
            if not isinstance(declared, dict) or str(source) not in declared:
                case.refuse(f"{key}{place}", f"`{source}` is not declared under `{key}:` at the top")
            elif _copied(declared[str(source)]) and _read_only(case):
                message = f"`{source}` is copied into the container, and a `read_only` one takes no copy"
                case.refuse(f"{key}{place}", message, "give it as a `file:`, which is mounted")
        return value

    return judge


def _copied(section: Any) -> bool:
    """Whether Compose copies a secret or config into the container once it is made; files it mounts."""
    return isinstance(section, dict) and bool({"content", "environment"} & set(section))


def _read_only(case: Case) -> bool:
    return not says_no(services_of(case.document)[case.name].get("read_only"))


def judge_networks(case: Case, value: Any) -> Any:
    """Each network that a service joins must be declared at the top."""
    declared = case.document.get("networks")
    known = {"default", *(declared if isinstance(declared, dict) else {})}
    names = value if isinstance(value, (list, dict)) else [value]
    for name in names:
        if not isinstance(name, str) or name not in known:
            case.refuse(
                "networks",
                f"no network `{name}` is declared",
                f"write `networks: {{{name}: {{}}}}` at the top",
            )
    return value


def judge_links(case: Case, value: Any) -> Any:
    """Each link must go to a service of the document."""
    for place, entry in entries(value):
        if str(entry).split(":")[0] not in services_of(case.document):
            case.refuse(f"links{place}", f"there is no service `{str(entry).split(':')[0]}`")
    return value


def dependencies(service: Any) -> dict[str, Any]:
    """Service that is depended on -> its condition, from either way of writing."""
    value = service.get("depends_on") if isinstance(service, dict) else None
    if isinstance(value, dict):
        return {str(k): v.get("condition") if isinstance(v, dict) else None for k, v in value.items()}
    return {str(entry): "service_started" for _, entry in entries(value)}


def judge_depends_on(case: Case, value: Any) -> Any:
    """Each dependency must be a service that can meet its condition."""
    services = services_of(case.document)
    for name, condition in dependencies({"depends_on": value}).items():
        at = f"depends_on.{name}"
        optional = (
            isinstance(value, dict)
            and isinstance(value[name], dict)
            and says_no(value[name].get("required", True))
        )
        if name not in services:
            if not optional:
                case.refuse(at, f"there is no service `{name}`")
        elif str(condition) not in _CONDITIONS:
            case.refuse(at, f"`{condition}` is no condition", f"there are {', '.join(sorted(_CONDITIONS))}")
        elif condition == "service_healthy" and case.rules.hardened and not _has_healthcheck(services[name]):
            message = f"`{name}` has no health check, so it can never be waited for"
            case.refuse(at, message, f"write a `healthcheck` for `{name}`")
    return value


def _has_healthcheck(service: Any) -> bool:
    check = service.get("healthcheck") if isinstance(service, dict) else None
    if not isinstance(check, dict) or not says_no(check.get("disable")):
        return False
    test = check.get("test")
    return bool(test) and test not in ("NONE", ["NONE"])


def dependency_cycle(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The services of one circle of dependencies, empty when there is none."""
    graph = {str(name): set(dependencies(service)) for name, service in services_of(document).items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return ()
