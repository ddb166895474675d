"""`incidents` and `why`: what was enforced, and the story of it in plain words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command, instance_option, name_or_folder
from stackctl.cli.words import NONE, named
from stackctl.core.incidents import explain, from_plain, to_plain
from stackctl.core.records import LIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackctl.cli.session import Session
    from stackctl.core.errors import StackctlError
    from stackctl.core.incidents import Incident
    from stackctl.core.records import EnvironmentRecord

SHOWN_LINES = 20


@command("incidents")
@click.argument("name", metavar="[NAME]", required=False)
@instance_option
@click.option("--last", type=click.IntRange(min=1), default=50, metavar="N", help="Show the last N (50).")
def incidents_command(session: Session, name: str | None, instance: str, last: int) -> None:
    """List what the watchdog enforced, the newest last: of NAME, or of every environment and the host.

    With --json each has its readings, processes and log lines.
    """
    if name:
        record = session.environment(name, instance)
        _gather(session, [record])
        projects = [record.project]
    else:
        records = tuple(session.store.records())
        _gather(session, records)
        projects = ["", *(record.project for record in records)]
    found = sorted((one for p in projects for one in _incidents(session, p)), key=lambda one: one.at)[-last:]
    session.output.result([to_plain(one) for one in found])
    if session.output.json:
        return
    if not found:
        session.output.note("no incident: nothing had to be enforced")
        return
    rows = [
        (_when(one.at), one.project or "host", one.service or NONE, one.rule, _what(one)) for one in found
    ]
    session.output.table(("WHEN", "ENVIRONMENT", "SERVICE", "RULE", "WHAT"), rows)
    session.output.note("`stackctl why NAME` tells the last one in full")


def _gather(session: Session, records: Sequence[EnvironmentRecord]) -> None:
    """Fetch what the agents of a Swarm wrote of environments; where it cannot be had, say so and go on."""
    from stackctl.core.errors import EngineUnavailable, TimedOut

    asked = [record for record in records if record.on_swarm]
    for index, record in enumerate(asked):
        error = _not_gathered(session, record)
        if error is None:
            continue
        mute = isinstance(error, (EngineUnavailable, TimedOut))  # who does not answer is not asked for each
        names = ", ".join(f"`{one.title}`" for one in (asked[index:] if mute else [record]))
        hint = f"; {error.hint}" if error.hint else ""
        session.output.warn(f"what the agents of a Swarm wrote of {names} is not here: {error.message}{hint}")
        if mute:
            return


def _not_gathered(session: Session, record: EnvironmentRecord) -> StackctlError | None:
    from stackctl.core.errors import StackctlError
    from stackctl.ops.swarm_agents import gather_incidents

    try:
        gather_incidents(session.context, record)
    except StackctlError as error:
        return error
    return None


def _incidents(session: Session, project: str) -> Sequence[Incident]:
    return [one for raw in session.store.incidents(project) if (one := from_plain(raw)) is not None]


def _what(incident: Incident) -> str:
    result = f" ({incident.result})" if incident.result not in ("", "done") else ""
    where = f", on {incident.node}" if incident.node else ""
    return f"{incident.reason}{result}{where}"


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


@command("why")
@name_or_folder
@instance_option
def why_command(session: Session, name: str | None, instance: str) -> None:
    """Tell in plain words why an environment was ended, or what was last enforced upon it."""
    record = session.environment(name, instance)
    _gather(session, [record])
    incident = _last(session, record)
    ending = record.ending
    session.output.result(
        {
            "project": record.project,
            "phase": record.phase,
            "ended": {"reason": ending.reason, "at": ending.at} if ending else None,
            "incident": to_plain(incident) if incident else None,
        }
    )
    if session.output.json:
        return
    for line in _story(record, incident):
        session.output.line(line)


def _last(session: Session, record: EnvironmentRecord) -> Incident | None:
    """The incident that its record names, else the newest there is."""
    found = _incidents(session, record.project)
    named_one = record.ending.incident if record.ending else ""
    exact = [one for one in found if one.id == named_one]
    if exact or (record.ending and not named_one and record.phase not in LIVE):
        return exact[-1] if exact else None
    return found[-1] if found else None


def _story(record: EnvironmentRecord, incident: Incident | None) -> list[str]:
    if incident is None:
        return [_without_incident(record)]
    clock = time.strftime("%H:%M:%S", time.localtime(incident.at))
    lines = list(explain(incident, clock))
    if incident.log:
        lines.append(f"last lines of `{incident.log_from}`:")
        lines += [f"  {line}" for line in incident.log[-SHOWN_LINES:]]
    where = f" on node {incident.node}" if incident.node else ""
    lines.append(
        f"incident {incident.id} of {_when(incident.at)}{where}; `stackctl incidents --json` has all of it"
    )
    if record.phase not in LIVE:
        lines.append(f"its data is kept{_again(record)}")
    return lines


def _without_incident(record: EnvironmentRecord) -> str:
    if record.phase in LIVE:
        return f"`{record.title}` is {record.phase}, and nothing had to be enforced"
    when = f" at {_when(record.ending.at)}" if record.ending else ""
    reason = record.ending.reason if record.ending else "its reason was not recorded"
    kept = "" if record.task and not record.sidecars else "; its data is kept"
    return f"`{record.title}` is {record.phase}: {reason}{when}{kept}"


def _again(record: EnvironmentRecord) -> str:
    return "" if record.task else f"; `stackctl up {named(record)}` starts it again"
