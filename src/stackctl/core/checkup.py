"""The whole judgement of `doctor`: what was seen of docker, host and state in, findings with remedies out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from stackctl.core import checkup_engine, checkup_host
from stackctl.core.checkup_facts import Finding, HostFacts, Owned, State, plural

__all__ = ["CHECKS", "Check", "Finding", "HostFacts", "State", "judge"]

Check = Callable[[HostFacts], "Finding | Iterable[Finding]"]

_NAMED = 5


def state_directory(facts: HostFacts) -> Finding:
    """Whether the state directory can be used."""
    state = facts.state
    if state.trouble:
        return Finding("state directory", "failed", state.trouble.message, state.trouble.hint)
    if not state.exists:
        return Finding("state directory", "passed", f"{state.path} is made by the first `stackctl up`")
    records = plural(len(state.generations), "environment")
    words = f"{state.path} ({state.owner}, mode {state.mode or 0:04o}), {records}"
    return Finding("state directory", "passed", words)


def unreadable_records(facts: HostFacts) -> Iterable[Finding]:
    """Records that cannot be read, each by name."""
    for project, reason in facts.state.unreadable:
        yield Finding(
            "records",
            "failed",
            f"the record of `{project}` cannot be read: {reason}",
            "its data is kept; rename its record.json, and `stackctl up` of its stack starts anew",
        )


def leftovers(facts: HostFacts) -> Iterable[Finding]:
    """Environments whose command died half-way."""
    for one in facts.state.leftovers:
        by = f" by `{one.command}`" if one.command else ""
        yield Finding(
            "leftover",
            "warning",
            f"`{one.project}` was left in phase {one.phase}{by}, which no longer runs",
            f"`stackctl reap` cleans up, `stackctl down {one.project}` ends it; its data stays",
        )


def unmanaged(facts: HostFacts) -> Finding:
    """Objects with this state directory's labels that no record speaks of; others' are only counted."""
    objects = facts.engine.objects
    if objects is None:
        return checkup_engine.unanswered("unmanaged objects")
    strangers = sum(one.home != facts.state.identity for one in objects)
    others = f"; {plural(strangers, 'object')} of other state directories" if strangers else ""
    if facts.state.trouble:
        remedy = "see the check `state directory`"
        return Finding("unmanaged objects", "warning", "not checked, since no record can be read", remedy)
    lost = [one for one in objects if one.home == facts.state.identity and not _managed(one, facts)]
    if not lost:
        return Finding("unmanaged objects", "passed", f"every object of ours has its record{others}")
    named = ", ".join(f"{one.kind} `{one.name}`" for one in lost[:_NAMED])
    more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    return Finding(
        "unmanaged objects",
        "warning",
        f"no record speaks of {named}{more}, which carry this state directory's labels{others}",
        f"their data stays either way: {_ways(lost)}",
    )


def _managed(one: Owned, facts: HostFacts) -> bool:
    unreadable = {project for project, _ in facts.state.unreadable}
    return one.project in unreadable or facts.state.generations.get(one.project) == one.generation


def _ways(lost: Sequence[Owned]) -> str:
    """What to type for the first projects that have something unmanaged."""
    projects = sorted({one.project for one in lost if one.kind != "volume"})[:_NAMED]
    ways = [f"`stackctl adopt {one}` takes it on, `stackctl reap --force {one}` ends it" for one in projects]
    volumes = " ".join(one.name for one in lost[:_NAMED] if one.kind == "volume")
    if volumes:
        ways.append(f"a volume is data, and only you remove it: `docker volume rm {volumes}`")
    return "; ".join(ways)


def configuration(facts: HostFacts) -> Finding:
    """The user's configuration and the machine's policy."""
    trouble = facts.configuration_trouble
    if trouble:
        return Finding("configuration", "failed", trouble.message, trouble.hint)
    return Finding("configuration", "passed", "the configuration and the machine's policy can be read")


def supervisor(facts: HostFacts) -> Finding:
    """Who enforces lifetimes and thresholds."""
    found = facts.supervisor
    if found is None:
        return Finding("supervisor", "passed", "none is needed yet; the first `stackctl up` starts one")
    if found.alive and not found.sound:
        remedy = "`stackctl supervise --stop` ends it, the next `stackctl up` starts another"
        return Finding("supervisor", "failed", found.words, remedy)
    if found.alive:
        return Finding("supervisor", "passed", found.words)
    if not facts.state.live:
        starts = "the next `stackctl up` starts one" if found.automatic else "`stackctl supervise` runs one"
        return Finding("supervisor", "passed", f"none runs, and nothing is up; {starts}")
    return Finding(
        "supervisor",
        "warning",
        f"none runs: nobody ends {', '.join(f'`{one}`' for one in facts.state.live[:_NAMED])} when its "
        "lifetime is over, and nobody acts on thresholds; limits hold, since the kernel enforces them",
        "`stackctl supervise` runs one here, `stackctl service install` for good",
    )


CHECKS: tuple[Check, ...] = (
    checkup_engine.command,
    checkup_engine.daemon,
    checkup_engine.compose,
    checkup_engine.permissions,
    checkup_engine.remote,
    checkup_engine.controllers,
    checkup_engine.swap,
    checkup_engine.memory,
    checkup_engine.clock,
    checkup_host.disks,
    checkup_host.address_pool,
    checkup_host.bridge,
    state_directory,
    unreadable_records,
    leftovers,
    unmanaged,
    configuration,
    supervisor,
    checkup_host.shadowed,
    checkup_host.python,
)


def judge(facts: HostFacts, checks: Sequence[Check] = CHECKS) -> tuple[Finding, ...]:
    """Judge what was seen, check by check.

    Args:
        facts: The world.
        checks: What is asked of it, in the order in which it is told.

    Returns:
        At least one finding for each check that applies here; one that needs an engine which does not
        answer is a warning that nothing was checked.
    """
    found: list[Finding] = []
    for check in checks:
        result = check(facts)
        found += [result] if isinstance(result, Finding) else result
    return tuple(found)
