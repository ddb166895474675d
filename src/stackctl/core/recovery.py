"""The reaper's judgement: what a crash left behind, and what may be ended, taken on, or only reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stackctl.core.actions import Action
from stackctl.core.convergence import standings
from stackctl.core.facts import ENDED, Container
from stackctl.core.records import TASK_SERVICE
from stackctl.core.units import show_duration
from stackctl.core.world import Watched, World, readable

if TYPE_CHECKING:
    from stackctl.core.actions import ActionKind
    from stackctl.core.facts import Event
    from stackctl.core.records import EnvironmentRecord, Phase
    from stackctl.core.supervision import Supervision

RESTARTABLE = ("always", "unless-stopped", "on-failure")


ENDING_SIGNALS = frozenset({"INT", "QUIT", "ABRT", "KILL", "TERM"})
"""Signals that end a process unless it says otherwise; HUP is how many reload."""
_NUMBERS = {"1": "HUP", "2": "INT", "3": "QUIT", "6": "ABRT", "9": "KILL", "10": "USR1", "12": "USR2"} | {
    "14": "ALRM",
    "15": "TERM",
    "28": "WINCH",
    "29": "IO",
    "30": "PWR",
    "34": "RTMIN",
    "37": "RTMIN+3",
}
"""Linux's numbers of signals that images name as theirs (signal(7)); docker's events have the number."""


def _signal(word: str) -> str:
    name = word.upper().removeprefix("SIG")
    return _NUMBERS.get(name, name)


def asked_to_end(event: Event, stop_signal: str) -> bool:
    """Whether somebody asked docker to end a container, and not just to tell it something."""
    if event.action != "kill":
        return event.action == "stop"
    signal = _signal(event.signal)
    return not signal or signal in ENDING_SIGNALS or signal == _signal(stop_signal)


def abandoned(world: World, limits: Supervision) -> Iterator[Action]:
    """Environments whose command is proven dead, and those of which nothing runs any more."""
    for one in readable(world.environments):
        record = one.record
        if record.phase == "starting" and one.owner == "dead":
            yield _starting(one)
        elif record.phase == "pending" and one.owner == "dead" and record.task and not record.task.holder:
            yield _end(one, "abandoned", "lost", "the command that was to start it is gone")
        elif record.phase == "stopping" and one.owner == "dead" and not record.attempts:
            yield _end(one, "abandoned", record.aim, _reason(record))
        elif record.phase == "running":
            yield from _running(one, world)
        elif one.owner == "unknown" and record.phase in ("starting", "stopping"):
            yield _act(one, "unknown_owner", "report", _UNKNOWN)


_UNKNOWN = "nothing proves whether the command that works on it is alive, so it is left alone"


def _starting(one: Watched) -> Action:
    record = one.record
    command = record.lease.command if record.lease and record.lease.command else "up"
    states = standings(record.services, one.containers)
    made = [container for container in one.containers if well_made(record, container)]
    settled = all(state.standing == "ready" for state in states) and len(made) == len(one.containers)
    ran_before = any(container.created < record.began for container in made)
    settled = settled or _task_started(one)
    if not record.tied and made and (settled or ran_before):
        done = "was finished" if settled else "was cut short, and what ran before runs on"
        return _act(one, "abandoned", "adopt", f"`{command}` died, and its work {done}")
    phase: Phase = "lost" if record.task else "failed"
    return _end(one, "abandoned", phase, f"`{command}` died before it was up")


def _task_started(one: Watched) -> bool:
    """Whether a task's own container was started: it is the last to be, so all else of it stood."""
    return one.record.task is not None and any(
        c.service == TASK_SERVICE and c.started > 0 for c in one.containers
    )


def well_made(record: EnvironmentRecord, container: Container) -> bool:
    """Running or done under its own name: Compose renames what it is about to replace to `<id>_<name>`."""
    if record.task and container.service == TASK_SERVICE:
        return container.name == record.project and container.started > 0
    name = f"{record.project}-{container.service}-{container.number}"
    return container.name == name and (
        container.state == "running" or container.exit_code == 0 < container.started
    )


def _reason(record: EnvironmentRecord) -> str:
    return record.ending.reason if record.ending else "an interrupted command was cleaned up"


def _running(one: Watched, world: World) -> Iterator[Action]:
    record = one.record
    if record.tied and one.owner == "dead":
        phase: Phase = "lost" if record.task else "stopped"
        yield _end(one, "abandoned", phase, "the command that it belonged to is gone")
    elif record.tied and one.owner == "unknown":
        yield _act(one, "unknown_owner", "report", _UNKNOWN)
    elif record.task:
        yield from _running_task(one, world)
    elif not one.containers:
        yield _act(one, "abandoned", "lose", "all its containers are gone", phase="lost")
    elif record.deadline.boot != world.now.boot and all(c.state in ENDED for c in one.containers):
        yield _act(one, "abandoned", "lose", "the host was restarted and nothing of it runs", phase="lost")


def _running_task(one: Watched, world: World) -> Iterator[Action]:
    """A task of which nothing can be learned any more; what it did is not known, so it is not done again."""
    own = [container for container in one.containers if container.service == TASK_SERVICE]
    if not own:
        yield _end(one, "abandoned", "lost", "its container is gone")
    elif one.record.deadline.boot != world.now.boot and all(c.state in ENDED for c in own):
        yield _end(one, "abandoned", "lost", "the host was restarted while it ran")


def stuck(world: World, limits: Supervision) -> Iterator[Action]:
    """Environments whose ending failed: tried again after a while, the longer the more often it failed."""
    for one in readable(world.environments):
        record = one.record
        if record.phase != "stopping" or not record.attempts or one.owner not in ("none", "dead"):
            continue
        age = world.now.wall - record.updated
        # a clock that was set back makes nobody wait
        if age < 0 or age >= limits.retry_after(record.attempts):
            yield _end(one, "stuck", record.aim, _reason(record))


def crash_looping(world: World, limits: Supervision) -> Iterator[Action]:
    """Services that asked for a restart and ended: started again, until it was too often."""
    for one in readable(world.environments):
        for container in one.containers if one.record.phase == "running" else ():
            if not _wants_restart(one, container):
                continue
            if container.id in one.by_hand:
                words = f"`{container.service}` was stopped by hand, so it is not restarted"
                yield _act(one, "crash_looping", "spare", words, service=container.service)
            else:
                yield from _restart_or_fail(one, container, world, limits)


def _wants_restart(one: Watched, container: Container) -> bool:
    record = one.record
    asked = record.services.get(container.service)
    policy = asked.restart.partition(":")[0] if asked else "no"
    if asked is None or container.state not in ENDED or policy not in RESTARTABLE or container.one_off:
        return False
    if container.service in record.halted:
        return False
    return policy != "on-failure" or container.exit_code != 0


def _restart_or_fail(
    one: Watched, container: Container, world: World, limits: Supervision
) -> Iterator[Action]:
    """A restart when it is time for one, an end when there were too many; times ahead of now do not count."""
    record, name, now = one.record, container.service, world.now.wall
    recent = [at for at in record.restarts.get(name, ()) if 0 <= now - at < limits.restart_period]
    most = _most(record.services[name].restart, limits.restarts)
    why = "the kernel ended it for memory" if container.oom_killed else f"exit code {container.exit_code}"
    if len(recent) < most:
        if now - max(recent, default=float("-inf")) >= limits.restart_after(len(recent)):
            words = f"`{name}` ended ({why}); restart {len(recent) + 1} of {most}"
            yield _act(one, "crash_looping", "restart", words, service=name, container=container.id)
        return
    period = show_duration(limits.restart_period)
    yield Action(
        rule="crash_looping",
        kind="end",
        project=record.project,
        service=name,
        container=container.id,
        phase="failed",
        reason=f"`{name}` ended again ({why}) after {len(recent)} restarts within {period}",
        incident=True,
    )


def _most(policy: str, most: int) -> int:
    count = policy.partition(":")[2]
    return min(int(count), most) if count.isdigit() else most


def leftover(world: World, limits: Supervision) -> Iterator[Action]:
    """What is still there of an environment that has ended; what cannot be verified is only reported."""
    for one in readable(world.environments):
        record = one.record
        gone = record.phase in _GONE or (record.task is not None and record.phase == "lost")
        if gone and _objects(one):
            if _past_grace(one, world, limits):
                yield _act(one, "leftover", "remove", f"it is {record.phase}, and this was left of it")
        elif record.phase == "lost" and _objects(one) and _over(one, world):
            yield _act(one, "leftover", "remove", "its lifetime ended while nothing of it ran")
    for stray in world.strays:
        words = f"the {stray.kind} `{stray.name}` is kept: {stray.why}"
        yield Action(rule="unmanaged", kind="report", project=stray.project, service=stray.name, reason=words)


_GONE = ("stopped", "succeeded", "failed", "cancelled", "expired", "killed")


def _objects(one: Watched) -> bool:
    """Whether anything is there that is not to stay: a task's own container may be."""
    task = one.record.task
    kept = task is not None and task.keep
    return bool(one.networks) or any(not (kept and c.service == TASK_SERVICE) for c in one.containers)


def _past_grace(one: Watched, world: World, limits: Supervision) -> bool:
    """Whether everything is older than the ending of its record, or than what may still be in the making."""
    newest = max([c.created for c in one.containers] + [n.created for n in one.networks])
    return newest <= one.record.updated or world.engine_time - newest >= limits.grace


def _over(one: Watched, world: World) -> bool:
    now = world.now
    return one.record.deadline.left(wall=now.wall, boottime=now.boottime, boot=now.boot) <= 0


def _end(one: Watched, rule: str, phase: Phase, reason: str) -> Action:
    return _act(one, rule, "end", reason, phase=phase)


def _act(
    one: Watched,
    rule: str,
    kind: ActionKind,
    reason: str,
    *,
    phase: Phase = "stopped",
    service: str = "",
    container: str = "",
) -> Action:
    return Action(
        rule=rule,
        kind=kind,
        project=one.record.project,
        service=service,
        container=container,
        phase=phase,
        reason=reason,
    )
