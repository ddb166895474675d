"""What a service's `deploy` section may ask for, and what was asked for that policy takes over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stackctl.core.rules import Case, says_no
from stackctl.core.stamping import own_labels

_KEYS = frozenset(
    (
        *("mode", "endpoint_mode", "labels", "replicas", "placement", "update_config"),
        *("rollback_config", "resources", "restart_policy"),
    )
)
_LIMITS = frozenset({"cpus", "memory", "pids"})
_RESERVATIONS = frozenset({"cpus", "memory", "generic_resources", "devices"})
_RESTART = {"none": "no", "on-failure": "on-failure", "any": "always"}
MOST_REPLICAS = 1000
"""Containers of one service; more is a mistake on one machine."""


def judge_deploy(case: Case, value: Any) -> Any:
    """Judge a `deploy` section; its restart policy is left out, its limits are written by `policy_limits`."""
    if not isinstance(value, dict):
        case.refuse("deploy", "`deploy` must be a mapping")
        return None
    section = {key: entry for key, entry in value.items() if key != "restart_policy"}
    for key in section:
        if key not in _KEYS and not str(key).startswith("x-"):
            case.refuse(f"deploy.{key}", f"Compose has no key `{key}` for `deploy`")
    if value.get("restart_policy") is not None:
        reason = "the engine's own policies resurrect what was stopped; the supervisor restarts within bounds"
        case.change("deploy.restart_policy", "taken over", reason)
    if "labels" in section:
        section["labels"] = own_labels(case.findings, f"{case.path}.deploy.labels", section["labels"])
    if section.get("replicas") is not None:
        judge_replicas(case, "deploy.replicas", section["replicas"])
    _judge_resources(case, section.get("resources"))
    return section or None


def _judge_resources(case: Case, resources: Any) -> None:
    at = "deploy.resources"
    for section, known in (("limits", _LIMITS), ("reservations", _RESERVATIONS)):
        entry = (resources or {}).get(section) if isinstance(resources or {}, dict) else ...
        if entry is not None and not isinstance(entry, dict):
            case.refuse(at, f"`{section}` must be a mapping")
            continue
        for key, asked in (entry or {}).items():
            if key in ("devices", "generic_resources"):
                if asked:
                    message = "a device of the host has no limits and no owner among containers"
                    case.needs("devices", f"{at}.{section}.{key}", message)
            elif key not in known and not str(key).startswith("x-"):
                case.refuse(f"{at}.{section}.{key}", f"Compose has no key `{key}` for {section}")


def judge_replicas(case: Case, at: str, value: Any) -> Any:
    """A number of replicas is whole and within reason."""
    if _whole(value) is None:
        case.refuse(at, f"a whole number up to {MOST_REPLICAS} was expected, not {value!r}")
    return value


def judge_scale(case: Case, value: Any) -> Any:
    """The number of replicas in its older way of writing."""
    return judge_replicas(case, "scale", value)


def asked_replicas(service: Mapping[str, Any]) -> int:
    """How many containers of a service were asked for; 1 when nothing readable is said."""
    deploy = service.get("deploy")
    value = service.get("scale", deploy.get("replicas") if isinstance(deploy, dict) else None)
    replicas = _whole(value)
    return 1 if replicas is None else replicas


def _whole(value: Any) -> int | None:
    readable = not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,4}", str(value))
    return int(value) if readable and int(value) <= MOST_REPLICAS else None


def asked_restart(service: Mapping[str, Any]) -> str:
    """The restart policy that was asked for, without its count: no, on-failure, always, unless-stopped.

    Compose lets `deploy.restart_policy` win over `restart`.
    """
    deploy = service.get("deploy")
    policy = deploy.get("restart_policy") if isinstance(deploy, dict) else None
    if isinstance(policy, dict):
        return _RESTART.get(str(policy.get("condition", "any")), "no")
    value = service.get("restart")
    return "no" if says_no(value) else str(value).partition(":")[0]
