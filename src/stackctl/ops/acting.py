"""How the supervisor acts: under the environment's lock, after it has looked and decided again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from stackctl.core.errors import Busy, EngineRefused, LimitsUnenforced, StackctlError, StateError
from stackctl.core.incidents import from_plain, to_plain
from stackctl.core.recovery import well_made
from stackctl.core.verdicts import RULES, Rule, still
from stackctl.core.world import Watched, World
from stackctl.ops.down import Aim, end
from stackctl.ops.evidence import keep, new_incident, with_evidence
from stackctl.ops.hearing import stopped_by_hand
from stackctl.ops.looking import Scene, look
from stackctl.ops.loosening import find_loosened, renew
from stackctl.ops.recording import ended, finish
from stackctl.ops.sweeping import find_orphans, sweep
from stackctl.ops.taking_down import take_down
from stackctl.ops.task_outcome import own_container, with_start
from stackctl.ops.verifying import verify
from stackctl.ops.watch import owner, with_reading

if TYPE_CHECKING:
    from stackctl.core.actions import Action
    from stackctl.core.incidents import Incident
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.supervision import Supervision
    from stackctl.core.world import Trail
    from stackctl.ops.context import Context

COMMAND = "stackctl supervise"
RESTARTS_KEPT = 10
Result = Literal["done", "recovered", "busy", "stuck", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an act went.

    Args:
        result: done; recovered (it was not needed any more); busy (another command works on it); stuck
            (something cannot be ended yet); failed (the engine or the disk refused).
        words: What was done, or why not.
        incident: Id of what was written, empty for nothing.
        took: Seconds.
    """

    action: Action
    result: Result
    words: str = ""
    incident: str = ""
    took: float = 0.0


def act(
    context: Context,
    action: Action,
    limits: Supervision,
    *,
    trails: Mapping[str, Trail],
    rules: Iterable[Rule] = RULES,
    told: Callable[[bytes], None] | None = None,
    command: str = COMMAND,
) -> Outcome:
    """Carry one act out, or find that it is not needed any more.

    Args:
        trails: What the watch has read of the environment's containers.
        told: Gets the incident as JSON when it is complete.
        command: What holds the lock, for whoever waits.

    Returns:
        How it went; what a user could cause never raises.
    """
    began = time.monotonic()
    try:
        with context.store.lock(action.project, command=command, wait=0):
            outcome, incident = _act_locked(context, action, limits, trails, tuple(rules), command)
    except Busy as error:
        outcome, incident = _beside(context, action, limits, trails, tuple(rules), error)
    except StackctlError as error:
        outcome, incident = Outcome(action=action, result="failed", words=str(error)), None
    outcome = replace(outcome, took=time.monotonic() - began)
    if incident is not None:
        finished = replace(incident, result=outcome.result, took=round(outcome.took, 3))
        with suppress(StateError):
            keep(context, finished)
        if finished.result != incident.result:  # of what was tried again in vain was told already
            tell(told, finished)
    return outcome


def tell(told: Callable[[bytes], None] | None, incident: Incident) -> None:
    """Hand an incident to whoever wants to know."""
    if told is not None:
        import json

        told(json.dumps(to_plain(incident)).encode(errors="backslashreplace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What an act works with once it holds the lock and has decided again."""

    context: Context
    scene: Scene
    record: EnvironmentRecord
    action: Action
    incident: str = ""
    command: str = COMMAND


def _act_locked(
    context: Context,
    action: Action,
    limits: Supervision,
    trails: Mapping[str, Trail],
    rules: tuple[Rule, ...],
    command: str,
) -> tuple[Outcome, Incident | None]:
    scene = look(context, action.project)
    if scene.record is None:
        return Outcome(action=action, result="recovered", words="its record is gone"), None
    world = _fresh_world(context, scene, scene.record, trails, limits)
    if action.kind == "sweep":
        watched = replace(
            world.environments[0], orphans=find_orphans(context, scene.record, scene.containers)
        )
        world = replace(world, environments=(watched,))
    if action.kind == "renew":
        lost = find_loosened(context, scene.record, scene.containers)
        world = replace(world, environments=(replace(world.environments[0], loosened=lost),))
    confirmed = still(action, world, limits, rules)
    if confirmed is None:
        return Outcome(action=action, result="recovered", words="it is not so any more"), None
    incident = _begun_incident(context, scene.record)
    if confirmed.incident:
        incident = _write_incident(context, scene, confirmed, world)
    case = _Case(
        context=context,
        scene=scene,
        record=scene.record,
        action=confirmed,
        incident=incident.id if incident else "",
        command=command,
    )
    return _carried_out(case, incident)


def _beside(
    context: Context,
    action: Action,
    limits: Supervision,
    trails: Mapping[str, Trail],
    rules: tuple[Rule, ...],
    busy: Busy,
) -> tuple[Outcome, Incident | None]:
    """What may be done while another command holds the lock: stop the one container that does harm.

    An `up` may wait for minutes; it sees that the service has ended, fails, and undoes what it made.
    """
    told = Outcome(action=action, result="busy", words=busy.message)
    if action.violation is None or not action.container or action.kind not in ("end", "halt"):
        return told, None
    try:
        scene = look(context, action.project)
        if scene.record is None or scene.record.phase == "stopping":
            return told, None
        world = _fresh_world(context, scene, scene.record, trails, limits)
        confirmed = still(action, world, limits, rules)
        if confirmed is None or confirmed.container != action.container:
            return Outcome(action=action, result="recovered", words="it is not so any more"), None
        incident = _write_incident(context, scene, confirmed, world)
        context.engine.forbid_restart([action.container])
        context.engine.stop([action.container])
    except StackctlError as error:
        return Outcome(action=action, result="failed", words=str(error)), None
    words = f"its container was stopped beside another command ({busy.message})"
    outcome = Outcome(action=confirmed, result="done", words=words, incident=incident.id)
    return outcome, replace(incident, done=(words,))


def _carried_out(case: _Case, incident: Incident | None) -> tuple[Outcome, Incident | None]:
    result: Result = "done"
    try:
        done = _ACTS[case.action.kind](case)
    except EngineRefused as error:
        done, result = (str(error),), "stuck"
    outcome = Outcome(action=case.action, result=result, words=", ".join(done), incident=case.incident)
    return outcome, replace(incident, done=done) if incident else None


def _begun_incident(context: Context, record: EnvironmentRecord) -> Incident | None:
    """The incident of an ending that was cut short or failed, which is finished as what it was."""
    if record.phase != "stopping" or record.ending is None:
        return None
    known = map(from_plain, context.store.incidents(record.project))
    return next((one for one in known if one is not None and one.id == record.ending.incident), None)


def _write_incident(context: Context, scene: Scene, action: Action, world: World) -> Incident:
    """Learn what there is to learn, and write it down before anything is ended."""
    culprit = next((one for one in scene.containers if one.id == action.container), None)
    told = replace(action, kind="report") if action.kind == "sweep" else action
    incident = new_incident(context, told, scene.record)
    incident = with_evidence(context, incident, culprit, world.environments[0].trails)
    with suppress(StateError):  # a full disk keeps nobody alive who must be ended
        keep(context, incident)
    return incident


def _fresh_world(
    context: Context,
    scene: Scene,
    record: EnvironmentRecord,
    trails: Mapping[str, Trail],
    limits: Supervision,
) -> World:
    """The world of one environment, seen anew."""
    running = [one for one in scene.containers if one.state in ("running", "paused")]
    readings = context.engine.sample(running)
    watched = Watched(
        record=record,
        containers=scene.containers,
        networks=scene.networks,
        owner=owner(context, record, context.store.lease(COMMAND)),
        trails={
            one.id: with_reading(trails.get(one.id), readings.get(one.id), limits.trail) for one in running
        },
        by_hand=frozenset(
            one.id
            for one in scene.containers
            if record.phase == "running" and one.state == "exited" and stopped_by_hand(context, one)
        ),
    )
    return World(
        now=context.clock.now(),
        engine_time=scene.facts.system_time,
        environments=(watched,),
        host=context.engine.host_memory(),
    )


def _end(case: _Case) -> tuple[str, ...]:
    action = case.action
    aim = Aim(phase=action.phase, reason=action.reason, incident=case.incident, first=action.container)
    result = end(case.context, case.scene, case.command, aim)
    return (removed_words(result.containers, result.networks),)


def _fail(case: _Case, reason: str) -> tuple[str, ...]:
    """End what cannot be adopted."""
    aim = Aim(phase="failed", reason=reason)
    result = end(case.context, case.scene, case.command, aim)
    return (reason, removed_words(result.containers, result.networks))


def _adopt(case: _Case) -> tuple[str, ...]:
    context, record = case.context, case.record
    made = [one for one in case.scene.containers if well_made(record, one)]
    take_down(context, [one for one in case.scene.containers if one not in made], ())
    scene = look(context, case.scene.project)
    # what ran before keeps the limits that it was proven to have; an `up` cut short may have asked for others
    before = any(one.created < record.began for one in made)
    try:
        proof = verify(context, scene.facts, record.services, scene.containers, allow_unenforced=before)
    except LimitsUnenforced as error:
        return _fail(replace(case, scene=scene), f"{case.action.reason}, and {error.message}")
    record = with_start(record, scene.containers)
    finish(context, replace(record, verified=proof, warnings=(case.action.reason,)), scene)
    return ("it is recorded as running",)


def _lose(case: _Case) -> tuple[str, ...]:
    if not case.scene.containers:
        take_down(case.context, (), case.scene.networks)
    ended(case.context, case.record, "lost", case.action.reason)
    again = "" if case.record.task else f"; `stackctl up {case.record.stack}` starts it again"
    return (f"recorded as lost, data kept{again}",)


def _restart(case: _Case) -> tuple[str, ...]:
    record, service, now = case.record, case.action.service, case.context.clock.now().wall
    times = (*record.restarts.get(service, ()), now)[-RESTARTS_KEPT:]
    case.context.store.write(replace(record, restarts={**record.restarts, service: times}, updated=now))
    case.context.engine.restart([case.action.container])
    return (f"`{service}` was started again",)


def _halt(case: _Case) -> tuple[str, ...]:
    record, service = case.record, case.action.service
    warning = f"{case.action.reason}: it was ended, the others live on (`stackctl why {record.stack}`)"
    halted = tuple(sorted({*record.halted, service}))
    chosen = [one for one in case.scene.containers if one.service == service]
    if len(chosen) == len(case.scene.containers):  # nothing would be left of it
        return _end(replace(case, action=replace(case.action, phase="killed")))
    with suppress(StateError):  # as in `end`
        case.context.store.write(replace(record, halted=halted, warnings=(*record.warnings, warning)))
    take_down(case.context, chosen, ())
    return (f"`{service}` was ended and removed, the other services live on",)


def _spare(case: _Case) -> tuple[str, ...]:
    halted = tuple(sorted({*case.record.halted, case.action.service}))
    case.context.store.write(replace(case.record, halted=halted))
    return ("recorded",)


def _remove(case: _Case) -> tuple[str, ...]:
    task = case.record.task
    kept = own_container(case.scene.containers) if task and task.keep else None
    containers = tuple(one for one in case.scene.containers if one is not kept)
    networks = case.scene.networks
    take_down(case.context, containers, networks)
    return (removed_words(len(containers), len(networks)),)


def _sweep(case: _Case) -> tuple[str, ...]:
    swept = [sweep(case.context, case.record, one) for one in case.scene.containers]
    words = tuple(one.words for one in swept if one.words)
    if any(one.stuck for one in swept):
        raise EngineRefused(", ".join(words))
    return words or ("they have ended by themselves",)


def _renew(case: _Case) -> tuple[str, ...]:
    return (renew(case.context, case.record, case.scene.containers),)


def removed_words(containers: int, networks: int) -> str:
    """What was removed, and that data was not."""
    what = " and ".join(
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((containers, "container"), (networks, "network"))
    )
    return f"{what} ended and removed, data kept"


_ACTS: Mapping[str, Callable[[_Case], tuple[str, ...]]] = {
    "end": _end,
    "adopt": _adopt,
    "lose": _lose,
    "restart": _restart,
    "spare": _spare,
    "halt": _halt,
    "remove": _remove,
    "sweep": _sweep,
    "renew": _renew,
}
