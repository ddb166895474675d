"""The written record of an enforcement, and how it is told in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stackctl.core.actions import Violation
from stackctl.core.names import task_of
from stackctl.core.units import show_duration, show_size

if TYPE_CHECKING:
    from stackctl.core.facts import Process, Reading

SCHEMA = 1
LOG_LINES = 200
LOG_LINE = 1000
"""Characters of one log line that are kept; the log itself has all of it."""
TOP = 10
"""How many groups of processes an incident keeps, by count and by memory each."""
_COMMAND = 200
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessGroup:
    """Processes with the same command line.

    Args:
        count: Processes.
        threads: Their threads, which is what the pids limit counts.
        memory: Resident bytes together; shared pages count in each.
        parent: Process id of the parent inside the container, 0 when it lies outside or differs.
        parent_command: Its command line.
        pid: Process id on the host of the largest of them.
    """

    command: str
    count: int
    threads: int
    memory: int
    parent: int = 0
    parent_command: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What was enforced, on which readings, what the processes were, and what was done.

    Args:
        id: `<utc time>-<rule>-<4 hex>`, unique in its environment.
        at: Seconds since the epoch.
        rule: The rule that asked for it.
        action: end, halt or report.
        phase: What the environment was to become.
        reason: One sentence.
        violation: The mark that was passed, None for a lifetime.
        readings: Of the last minute: `at` in seconds before the last one (negative), pids, memory in
            bytes, cpu in seconds so far, pressure in percent.
        groups: The largest groups of processes, by count and by memory.
        processes: How many processes there were.
        log: The last lines that the container wrote.
        log_from: The service whose lines they are.
        done: What was done, in order.
        result: done, stuck, failed, or empty while it goes on and for a report.
        took: Seconds from the decision until it was seen to be done.
        node: Host name of the Swarm's node that it happened on, empty elsewhere.
    """

    id: str
    at: float
    rule: str
    action: str
    project: str = ""
    stack: str = ""
    instance: str = ""
    generation: str = ""
    service: str = ""
    container: str = ""
    phase: str = ""
    reason: str
    violation: Violation | None = None
    readings: tuple[Mapping[str, float | None], ...] = ()
    groups: tuple[ProcessGroup, ...] = ()
    processes: int = 0
    log: tuple[str, ...] = ()
    log_from: str = ""
    done: tuple[str, ...] = ()
    result: str = ""
    took: float = 0.0
    node: str = ""
    schema: int = field(default=SCHEMA)


def to_plain(incident: Incident) -> dict[str, Any]:
    """The incident as plain data for JSON."""
    return asdict(incident)


def from_plain(raw: Any) -> Incident | None:
    """Read plain data back; None when it is no incident that this version can read."""
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        return None
    known = {name: raw[name] for name in Incident.__dataclass_fields__ if name in raw}
    try:
        if known.get("violation"):
            known["violation"] = Violation(**known["violation"])
        known["groups"] = tuple(ProcessGroup(**one) for one in known.get("groups", ()))
        for name in ("readings", "log", "done"):
            known[name] = tuple(known.get(name, ()))
        return Incident(**known)
    except TypeError:
        return None


def trail_data(readings: Sequence[Reading]) -> tuple[dict[str, float | None], ...]:
    """Readings as an incident keeps them, the oldest first."""
    last = readings[-1].at if readings else 0.0
    return tuple(
        {
            "at": round(one.at - last, 2),
            "pids": one.pids,
            "memory": one.memory,
            "cpu": one.cpu,
            "pressure": one.pressure,
        }
        for one in readings
    )


def process_groups(processes: Sequence[Process], top: int = TOP) -> tuple[ProcessGroup, ...]:
    """The largest groups of processes: the first `top` by count, and the first `top` by memory."""
    commands = {one.inside: one.command for one in processes if one.inside}
    members: dict[str, list[Process]] = {}
    for one in processes:
        members.setdefault(one.command[:_COMMAND], []).append(one)
    groups = [_group(command, found, commands) for command, found in members.items()]
    by_count = sorted(groups, key=lambda one: (-one.count, -one.memory))[:top]
    by_memory = sorted(groups, key=lambda one: (-one.memory, -one.count))[:top]
    return tuple(dict.fromkeys([*by_count, *by_memory]))


def _group(command: str, found: Sequence[Process], commands: Mapping[int, str]) -> ProcessGroup:
    parents = {one.parent for one in found}
    parent = parents.pop() if len(parents) == 1 else 0
    return ProcessGroup(
        command=command,
        count=len(found),
        threads=sum(one.threads for one in found),
        memory=sum(one.memory for one in found),
        parent=parent,
        parent_command=commands.get(parent, "")[:_COMMAND],
        pid=max(found, key=lambda one: one.memory).pid,
    )


def explain(incident: Incident, clock: str) -> tuple[str, ...]:
    """The incident in plain words, the first sentence the whole story.

    Args:
        clock: When it was, as people write it ("14:02:11").
    """
    return tuple(
        line for line in (_headline(incident, clock), _processes(incident), _course(incident)) if line
    )


_VERBS = {"end": "was stopped", "halt": "was stopped", "report": "was reported"}


def _headline(incident: Incident, clock: str) -> str:
    subject = incident.service or incident.stack or "the host"
    verb = _VERBS.get(incident.action, incident.action)
    if incident.action == "end" and incident.service:
        task = task_of(incident.project)
        whole = f"the whole of task {task}" if task else f"`{incident.stack}`"
        return f"`{subject}` was stopped at {clock}, and with it {whole}: {_because(incident)}"
    return f"`{subject}` {verb} at {clock}: {_because(incident)}"


def _because(incident: Incident) -> str:
    prefix = f"`{incident.service}` had "
    return incident.reason[len(prefix) :] if incident.reason.startswith(prefix) else incident.reason


def _processes(incident: Incident) -> str:
    if not incident.groups:
        return ""
    memory = incident.violation is not None and incident.violation.measure == "memory"
    if memory:
        largest = max(incident.groups, key=lambda one: one.memory)
        amount = f"{show_size(largest.memory)} of it in"
    else:
        largest = max(incident.groups, key=lambda one: one.count)
        amount = f"{largest.count} of them"
    verb = "" if memory else ("was " if largest.count == 1 else "were ")
    count = f"{largest.count} x " if memory and largest.count > 1 else ""
    return f"{amount} {verb}{count}`{_short(largest.command)}`{_parentage(largest)}"


def _short(command: str) -> str:
    return command if len(command) <= _SHOWN else f"{command[:_SHOWN]}…"


def _parentage(group: ProcessGroup) -> str:
    if not group.parent:
        return ""
    children = "child" if group.count == 1 else "children"
    of = f" (`{_short(group.parent_command)}`)" if group.parent_command and group.parent != 1 else ""
    return f", {children} of pid {group.parent}{of}"


def _course(incident: Incident) -> str:
    done = ", ".join(incident.done)
    took = f" within {show_duration(incident.took)}" if incident.took >= 1 else ""
    if incident.result == "stuck":
        return f"{done or 'it was told to end'}; it could not be ended yet and is tried again"
    if not incident.result and incident.action != "report":
        return "whether it was done was never written down: the supervisor died meanwhile"
    return f"{done}{took}" if done else ""
