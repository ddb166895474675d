"""`supervise`: the watchdog and the reaper, in the foreground, in the background, or once."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command
from stackctl.cli.values import duration
from stackctl.cli.words import plural
from stackctl.core.errors import UsageError
from stackctl.core.supervision import DEFAULT_SUPERVISION
from stackctl.core.units import show_duration

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.supervision import Supervision
    from stackctl.ops.supervise import Supervisor
    from stackctl.state.journal import Journal

STOP_SECONDS = DEFAULT_SUPERVISION.handover
_LEAST = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How `supervise` is to watch.

    Args:
        once: Look once, and leave.
        dry: Say what would be done, and do nothing.
        interval: Seconds between two looks, 0 for the adaptive ones.
        form: Of the log, text or json.
    """

    once: bool = False
    dry: bool = False
    interval: float = 0.0
    form: str = "text"


@command("supervise")
@click.option("--once", is_flag=True, help="Look once, do what is to be done, and leave.")
@click.option("--interval", metavar="TIME", help="Look so often (1s, sooner as something nears its mark).")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--status", "status", is_flag=True, help="Show whether a supervisor watches; 1 when none does.")
@click.option("--stop", "stop", is_flag=True, help="Ask the running supervisor to leave; stacks run on.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Form of its log.")
@click.option("--leave-after", metavar="TIME", help="Leave when nothing was left to watch for so long.")
@click.option("--node", is_flag=True, help="Be the agent of this node of a Swarm; see the guide on Swarm.")
@click.option(
    "--print",
    "show",
    type=click.Choice(["service", "unit", "reader"]),
    help="With --node: print what runs agents, a service or a unit, or what repeats a unit's words.",
)
@click.option("--image", metavar="IMAGE", help="With --print service or reader: its image.")
@click.option("--background", is_flag=True, hidden=True, help="As `up` starts it: no terminal, leaves alone.")
def supervise_command(
    session: Session,
    once: bool,
    interval: str | None,
    dry_run: bool,
    status: bool,
    stop: bool,
    log_format: str,
    leave_after: str | None,
    node: bool,
    show: str | None,
    image: str | None,
    background: bool,
) -> int:
    """Watch every environment of this user: act below the hard limits, end lifetimes, clean up after crashes.

    `up` starts one in the background by itself. It never touches what is not ours, and never deletes data.
    With --node it watches what a Swarm runs on this node, and ends lifetimes where this node leads the Swarm.
    """
    if show or image:
        return _print_agent(session, node, show, image)
    if node:
        from stackctl.cli.agent import live_in_its_home

        live_in_its_home(session)
    if sum((once, status, stop)) > 1:
        raise UsageError("--once, --status and --stop do not go together", hint="give one of them")
    if status:
        return _status(session)
    if stop:
        return _stop(session)
    how = WatchOptions(once=once, dry=dry_run, interval=_interval(interval), form=log_format)
    if node:
        from stackctl.cli.agent import run_agent

        if leave_after or background:
            raise UsageError("an agent does not leave by itself", hint="leave --leave-after out")
        return run_agent(session, how)
    return _watch(session, how, leave_after, background)


def _watch(session: Session, how: WatchOptions, leave_after: str | None, background: bool) -> int:
    """Be the supervisor of this state directory."""
    from stackctl.state.journal import Journal, journal_path

    limits = _limits(session, leave_after)
    echo = None if background or session.output.json else sys.stderr
    path = None if how.once or how.dry else journal_path(session.store.home)
    log = Journal(path, form="json" if how.form == "json" else "text", echo=echo)
    supervisor = _supervisor(session, limits, log, how.dry)
    if how.once:
        return 0 if not how.dry and _is_watched(session) else _once(session, supervisor)
    from stackctl.cli.watchman import Watchman
    from stackctl.state.notify import Notifier

    return Watchman(
        session=session,
        supervisor=supervisor,
        log=log,
        notifier=Notifier(os.environ),
        interval=how.interval,
        background=background or leave_after is not None,
    ).watch()


def _print_agent(session: Session, node: bool, show: str | None, image: str | None) -> int:
    from stackctl.cli.agent import print_agent

    if not node or show is None:
        raise UsageError("--print and --image are about the agent of a node", hint="--node --print service")
    print_agent(session, show, image)
    return 0


def _interval(text: str | None) -> float:
    seconds = duration(text, "--interval", 0.0)
    if text is not None and seconds < _LEAST:
        raise UsageError(f"--interval {text} is too short", hint="50ms is the least")
    return seconds


def _limits(session: Session, leave_after: str | None) -> Supervision:
    limits = replace(DEFAULT_SUPERVISION, host_pressure=session.configuration.host_pressure)
    return replace(limits, leave=duration(leave_after, "--leave-after", limits.leave))


def _supervisor(session: Session, limits: Supervision, log: Journal, dry: bool) -> Supervisor:
    from stackctl.cli.watchman import contexts, hook
    from stackctl.ops.supervise import Supervisor

    told = hook(session, log)
    return Supervisor(contexts=contexts(session), limits=limits, log=log, told=told, dry=dry)


def _is_watched(session: Session) -> bool:
    """Whether a sound supervisor does already what one look would do; says so."""
    from stackctl.ops.standing import standing

    found = standing(session.store, session.clock)
    if not found.sound or found.holder is None:
        return False
    session.output.result({"acts": [], "reports": [], "blind": [], "unfinished": [], "watched": True})
    session.output.note(f"nothing to do here: a supervisor watches ({found.words})")
    return True


def _once(session: Session, supervisor: Supervisor) -> int:
    """One look at everything; an engine that cannot be asked is an error here."""
    _, _, plan = supervisor.tick()
    supervisor.finish(patience=supervisor.limits.once)
    blind = supervisor.blind
    if "" in blind:
        session.engine.facts()  # says better than we could why it cannot be asked
    acts = [one.plain() for one in plan.acts]
    reports = [one.plain() for one in plan.reports]
    unfinished = _unfinished(supervisor)
    for sentence in unfinished:
        session.output.warn(sentence)
    done = not blind and not unfinished
    data = {"acts": acts, "reports": reports, "blind": list(blind), "unfinished": unfinished}
    session.output.result({**data, "watched": False}, ok=done)
    if not acts and not reports and not blind:
        session.output.note("nothing to do")
    return 0 if done else 1


def _unfinished(supervisor: Supervisor) -> list[str]:
    """What one look began and did not bring to its end."""
    going_on = f"an act has not ended within {show_duration(supervisor.limits.once)}"
    return [*supervisor.unfinished, *([going_on] if supervisor.acting else [])]


def _status(session: Session) -> int:
    from stackctl.cli.views import standing_data
    from stackctl.ops.standing import standing

    found = standing(session.store, session.clock)
    session.output.result(standing_data(found), ok=found.sound)
    session.output.line(f"supervisor: {found.words}")
    if found.beat is not None and found.alive:
        beat = found.beat
        leaves = ", leaves by itself when idle" if beat.background else ""
        session.output.line(
            f"  version {beat.version}, watches {plural(beat.environments, 'environment')}, "
            f"{plural(beat.containers, 'container')}{leaves}"
        )
    if not found.alive:
        session.output.note("`stackctl up` starts one by itself; `stackctl supervise` runs one here")
    return 0 if found.sound else 1


def _stop(session: Session) -> int:
    from stackctl.ops.keeping_watch import stop

    pid = stop(session.store, session.clock, STOP_SECONDS)
    session.output.result({"pid": pid, "stopped": bool(pid)})
    session.output.line(
        f"the supervisor (pid {pid}) has left; what it watched runs on" if pid else "none runs"
    )
    if pid:
        session.output.note("the next `stackctl up` starts another; an installed service does so at once")
    return 0
