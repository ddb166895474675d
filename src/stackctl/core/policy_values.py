"""The judges behind the rows of a service that bound what it writes, reads and how it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackctl.core.mounts import classify
from stackctl.core.rules import Case, entries, says_no
from stackctl.core.stamping import own_labels
from stackctl.core.units import parse_count, parse_size

LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}

MOST_LOGS = 1 << 30
"""Bytes that the logs of one container may take: its file size times its files."""

_RESTARTS = frozenset({"no", "always", "unless-stopped", "on-failure"})

_HEALTHCHECK = frozenset(
    {"test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"}
)


def judge_env_file(case: Case, value: Any) -> Any:
    """Let files inside the stack's root be read, and those that stackctl writes."""
    for place, entry in entries(value):
        path = entry.get("path") if isinstance(entry, dict) else entry
        if not isinstance(path, str):
            case.refuse(f"env_file{place}", "it must be the path of a file")
        elif classify(path, case.rules.root) != "inside":
            case.refuse(f"env_file{place}", f"`{path}` lies outside the stack's own root", "move it inside")
    return value


def judge_healthcheck(case: Case, value: Any) -> Any:
    """Refuse what Compose does not know."""
    if not isinstance(value, dict):
        case.refuse("healthcheck", "`healthcheck` must be a mapping")
        return value
    for key in value:
        if key not in _HEALTHCHECK and not str(key).startswith("x-"):
            case.refuse(f"healthcheck.{key}", f"Compose has no key `{key}` for a health check")
    return value


def lay_init(case: Case, value: Any) -> Any:
    """Run a small init as process 1, unless the service brings its own."""
    if case.granted("own-init"):
        return value
    if value is not True:
        reason = "a small init reaps zombies and passes signals on; `own-init` under `allow:` leaves it out"
        case.change("init", "set to true", reason)
    return True


def lay_logging(case: Case, value: Any) -> Any:
    """Rotate logs; a bound of the document's own stays."""
    section = {} if value is None else value
    if not isinstance(section, dict) or not isinstance(section.get("options") or {}, dict):
        case.refuse("logging", "`logging` must be a mapping with `driver` and `options`")
        return value
    driver, options = section.get("driver") or "json-file", dict(section.get("options") or {})
    if driver not in ("json-file", "local"):
        case.needs(
            "log-driver", "logging.driver", f"the log driver `{driver}` has no bound that stackctl knows of"
        )
        return value
    if not _logs_bounded(options):
        options.update(LOG_OPTIONS)
        case.change("logging", "rotated at 10m, 3 files", "logs without a bound fill the disk")
    options = {name: _text(option) for name, option in options.items()}
    return {**section, "driver": driver, "options": options}


def _text(option: Any) -> str:
    return str(option).lower() if isinstance(option, bool) else str(option)


def _logs_bounded(options: Mapping[str, Any]) -> bool:
    try:
        size = parse_size(options.get("max-size", "-1"))
        return size * parse_count(options.get("max-file", "-1")) <= MOST_LOGS
    except (ValueError, OverflowError):
        return False


def lay_restart(case: Case, value: Any) -> str:
    """Take the restart policy over."""
    policy = "no" if says_no(value) else str(value)
    name, _, count = policy.partition(":")
    if name not in _RESTARTS or (count and not (name == "on-failure" and count.isdecimal())):
        case.refuse("restart", f"`{value}` is no restart policy", f"there are {', '.join(sorted(_RESTARTS))}")
    elif name != "no":
        reason = "the engine's own policies resurrect what was stopped; the supervisor restarts within bounds"
        case.change("restart", f"`{policy}` taken over", reason)
    return "no"


def judge_labels(case: Case, value: Any) -> dict[str, Any]:
    """The service's own labels as a mapping."""
    return own_labels(case.findings, f"{case.path}.labels", value)
