"""The watchdog's judgement: what is over a mark below its limit, for how long, and what then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

from stackctl.core.actions import Action, Violation
from stackctl.core.facts import ENDED
from stackctl.core.units import show_duration, show_size
from stackctl.core.world import Trail, Watched, World, readable

if TYPE_CHECKING:
    from stackctl.core.actions import ActionKind
    from stackctl.core.facts import Container, Reading
    from stackctl.core.records import Phase, ServiceRecord
    from stackctl.core.supervision import Supervision

Amount = Literal["pids", "memory"]
_WATCHED = ("running", "starting")
_ACTS: dict[str, tuple[ActionKind, Phase]] = {
    "environment": ("end", "killed"),
    "service": ("halt", "killed"),
    "report": ("report", "killed"),
}


def violations(world: World, measure: Amount, rule: str) -> Iterator[Action]:
    """What each environment's readings ask for: services over their marks first, then the stack's sum."""
    for one in readable(world.environments):
        if one.record.phase not in _WATCHED:
            continue
        found = [
            _action(one, container, asked, violation, rule)
            for container, asked in _services(one)
            if (violation := over(one.trails.get(container.id), asked, measure)) is not None
        ]
        yield from sorted(found, key=lambda one: one.violation.level == "threshold" if one.violation else 1)
        yield from _over_budget(one, measure, rule)


def _services(one: Watched) -> Iterator[tuple[Container, ServiceRecord]]:
    for container in one.containers:
        asked = one.record.services.get(container.service)
        if asked is not None and container.state in ("running", "paused"):
            yield container, asked


def over(trail: Trail | None, asked: ServiceRecord, measure: Amount) -> Violation | None:
    """The mark that a container is over, None when there is none or when there is no fresh sample.

    The urgent mark counts at once; the lower one when every reading since `sustain` seconds was over it. A
    missing sample in between neither counts as over nor ends the time. A fork that the kernel refused proves
    that the urgent mark was passed between two samples.
    """
    last = trail.last if trail else None
    reading = getattr(last, measure) if last else None
    urgent, mark = asked.watchdog.get(f"urgent_{measure}"), asked.watchdog.get(measure)
    if trail is None or reading is None or not urgent or not mark:
        return None
    limit = getattr(asked, measure)
    if measure == "pids" and grown(trail, "pids_refused"):
        return Violation(measure=measure, level="kernel", reading=limit, mark=urgent, limit=limit)
    if reading >= urgent:
        return Violation(measure=measure, level="urgent", reading=reading, mark=urgent, limit=limit)
    if reading < mark:
        return None
    held = held_over(trail.readings, measure, mark)
    if held < asked.watchdog.get(f"sustain_{measure}", 0.0):
        return None
    return Violation(measure=measure, level="threshold", reading=reading, mark=mark, limit=limit, held=held)


def held_over(readings: Sequence[Reading], measure: Amount, mark: int) -> float:
    """Seconds from the first of the last readings that are all at or over a mark, to the last one."""
    times = []
    for one in reversed(readings):
        value = getattr(one, measure)
        if value is not None and value < mark:
            break
        if value is not None:
            times.append(one.at)
    return times[0] - times[-1] if times else 0.0


def _action(one: Watched, container: Container, asked: ServiceRecord, found: Violation, rule: str) -> Action:
    kind, phase = _ACTS[str(asked.watchdog.get("on_violation", "environment"))]
    return Action(
        rule=rule,
        kind=kind,
        project=one.record.project,
        service=container.service,
        container=container.id,
        phase=phase,
        reason=f"`{container.service}` had {sentence(found)}",
        violation=found,
        incident=True,
    )


def sentence(found: Violation) -> str:
    """What was read against what, in words: "231 processes, threshold 200, limit 256"."""
    if found.measure == "pids":
        amount, mark, limit = f"{found.reading} processes", f"{found.mark}", f"{found.limit}"
    else:
        amount, mark = show_size(found.reading), show_size(found.mark)
        amount, limit = f"a working set of {amount}", show_size(found.limit)
    if found.level == "kernel":
        return f"as many processes as its limit of {limit} allows, and was refused more"
    word = "urgent threshold" if found.level == "urgent" else "threshold"
    held = f" for {show_duration(found.held)}" if found.held >= 1 else ""
    beyond = f", limit {limit}" if found.limit else ""
    return f"{amount}{held}, {word} {mark}{beyond}"


def _over_budget(one: Watched, measure: Amount, rule: str) -> Iterator[Action]:
    budget = one.record.budget.get(measure, 0)
    readings = [trail.last for c, _ in _services(one) if (trail := one.trails.get(c.id)) is not None]
    values = [getattr(last, measure) for last in readings if last is not None]
    total = sum(value for value in values if value is not None)
    if budget and total >= budget:
        found = Violation(measure=measure, level="urgent", reading=total, mark=budget, limit=0)
        what = f"{total} processes" if measure == "pids" else f"a working set of {show_size(total)}"
        most = budget if measure == "pids" else show_size(budget)
        yield Action(
            rule=rule,
            kind="end",
            project=one.record.project,
            phase="killed",
            reason=f"all services together had {what}, the stack's budget is {most}",
            violation=found,
            incident=True,
        )


def refused_or_killed(world: World, limits: Supervision) -> Iterator[Action]:
    """What the kernel did meanwhile: a fork that it refused, a process that it ended for memory.

    The end of a process for memory is reported even when the container lives on: its first process may never
    notice. Refused forks of what still runs are `over_pids`.
    """
    for one in readable(world.environments):
        for container in one.containers if one.record.phase in _WATCHED else ():
            asked = one.record.services.get(container.service)
            trail = one.trails.get(container.id)
            if asked is None:
                continue
            yield from _ended_for_memory(one, container, asked, world)
            refused = grown(trail, "pids_refused") if container.state in ENDED else 0
            if refused and not world.silent(f"{one.record.project}/{container.service}/fork_refused"):
                words = f"the kernel refused it new processes ({refused}), and it ended"
                occasion = f"{container.id[:12]}:{container.finished:.0f}"
                yield _kernel_report(one, container, asked, "pids", words, occasion)


def _ended_for_memory(
    one: Watched, container: Container, asked: ServiceRecord, world: World
) -> Iterator[Action]:
    """A report for each further count of the kernel's, but not more often than `oom_again` allows."""
    trail = one.trails.get(container.id)
    killed = grown(trail, "oom_kills")
    if killed and trail is not None:
        occasion = f"{container.id[:12]}:{trail.readings[-1].oom_kills}"
    elif container.oom_killed and container.state in ENDED:
        killed, occasion = 1, f"{container.id[:12]}:{container.finished:.0f}"
    if killed and not world.silent(f"{one.record.project}/{container.service}/oom"):
        words = f"the kernel ended processes of it for memory ({killed})"
        yield _kernel_report(one, container, asked, "memory", words, occasion)


def grown(trail: Trail | None, field: str) -> int:
    """By how much a counter of the kernel grew over the trail; it begins anew with its container."""
    values = list(map(attrgetter(field), trail.readings)) if trail else []
    if len(set(values)) < 2:  # nearly always, of a hundred containers every second
        return 0
    known = [value for value in values if value is not None]
    return sum(max(0, after - before) for before, after in pairwise(known))


def _kernel_report(
    one: Watched, container: Container, asked: ServiceRecord, measure: Amount, words: str, occasion: str = ""
) -> Action:
    trail = one.trails.get(container.id)
    last = trail.readings[-1] if trail and trail.readings else None
    limit = getattr(asked, measure)
    return Action(
        rule="oom" if measure == "memory" else "fork_refused",
        kind="report",
        project=one.record.project,
        service=container.service,
        container=container.id,
        reason=f"`{container.service}` hit its {measure} limit: {words}",
        violation=Violation(
            measure=measure,
            level="kernel",
            reading=(getattr(last, measure) if last else 0) or 0,
            mark=limit,
            limit=limit,
        ),
        incident=True,
        mark=occasion,
    )


def squeezing_host(world: World, limits: Supervision) -> Iterator[Action]:
    """The host runs out of memory: warn, then report, or end the environment of ours that uses most of it.

    Never anything that is not ours.
    """
    host = world.host
    share = host.available / host.total if host and host.total else 1.0
    if host is None or share >= limits.host_warn:
        return
    waits = f", and processes waited for it {host.pressure:g} % of the time" if host.pressure else ""
    left = f"{show_size(host.available)} of the host's {show_size(host.total)} of memory is available{waits}"
    found = Violation(
        measure="host memory",
        level="urgent" if share < limits.host_act else "threshold",
        reading=host.available,
        mark=int((limits.host_act if share < limits.host_act else limits.host_warn) * host.total),
        limit=host.total,
    )
    if share >= limits.host_act:
        yield Action(rule="host_low", kind="report", reason=left, violation=found)
        return
    running = [
        one
        for one in readable(world.environments)
        if one.record.phase == "running" and not one.record.attempts
    ]
    largest = max(running, key=working_set, default=None)
    if limits.host_pressure == "act" and largest is not None and working_set(largest) > 0:
        if not world.silent("host"):
            yield _end_for_host(largest, left, found)
        return
    yield Action(rule="squeezing_host", kind="report", reason=left, violation=found, incident=True)


def _end_for_host(largest: Watched, left: str, found: Violation) -> Action:
    used = show_size(working_set(largest))
    return Action(
        rule="squeezing_host",
        kind="end",
        project=largest.record.project,
        phase="killed",
        reason=f"{left}, and of our environments it used the most ({used})",
        violation=found,
        incident=True,
    )


def working_set(one: Watched) -> int:
    """Bytes that the running containers of an environment use together, as far as they were read."""
    lasts = [trail.last for c in one.containers if (trail := one.trails.get(c.id)) is not None]
    return sum(last.memory or 0 for last in lasts if last is not None)
