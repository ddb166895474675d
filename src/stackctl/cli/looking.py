"""`status` and `list`: what runs, within which limits, and for how long."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command, instance_option
from stackctl.cli.views import environment_data, record_data, standing_data, tunnel_words
from stackctl.cli.words import NONE, cpu_words, left_words, memory_words, named, pids_words, plural
from stackctl.core.errors import UsageError
from stackctl.core.records import LIVE, EnvironmentRecord
from stackctl.core.units import show_duration, show_size

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.facts import Container
    from stackctl.core.heartbeat import Standing
    from stackctl.ops.status import EnvironmentView

WATCH_SECONDS = 2.0
HEADINGS = ("SERVICE", "STATE", "CPU / LIMIT", "MEMORY / ACTS AT / LIMIT", "PIDS / ACTS AT / LIMIT", "URL")


@command("status")
@click.argument("name", metavar="[NAME]", required=False)
@instance_option
@click.option("--watch", is_flag=True, help="Show it again every 2 seconds until Ctrl-C.")
@click.option("--require-supervisor", "required", is_flag=True, help="Exit 1 when none watches.")
def status_command(session: Session, name: str | None, instance: str, watch: bool, required: bool) -> int:
    """Show how an environment stands: services, usage, limits, thresholds, URLs, lifetime left.

    Without NAME, every environment that is up. Exits 1 when one is not as it should be.
    """
    from stackctl.ops.standing import standing

    if watch and session.output.json:
        raise UsageError("--watch does not go with --json", hint="run `stackctl status --json` in a loop")
    while True:
        views, hidden = _views(session, name, instance)
        found = standing(session.store, session.clock)
        if watch:
            click.clear()
        for view in views:
            _show(session, view, found)
        if not watch:
            break
        time.sleep(WATCH_SECONDS)
    if not views and not hidden:
        session.output.note("no environment is up; start one with `stackctl up NAME`")
    _tell_strays(session, everything=not name)
    healthy = not hidden and all(view.healthy for view in views) and (found.sound or not required)
    if required and not found.sound:
        session.output.warn(f"supervisor: {found.words}, and one is required")
    data = [{**environment_data(view), "supervisor": standing_data(found)} for view in views]
    session.output.result(data[0] if name else data, ok=healthy)
    return 0 if healthy else 1


def _views(session: Session, name: str | None, instance: str) -> tuple[list[EnvironmentView], int]:
    """What is to be shown, and of how many environments nothing can be; each of these is a warning."""
    from stackctl.core.errors import EngineRefused, StateError

    if name:
        return [_view(session, session.environment(name, instance))], 0

    def view(record: EnvironmentRecord) -> EnvironmentView | None:
        try:
            return _view(session, record)
        except (EngineRefused, StateError) as error:
            session.output.warn(f"`{record.project}` cannot be shown: {error.message}; {error.hint}")
            return None

    found = [
        view(record) for record in session.store.records() if record.phase in LIVE and record.task is None
    ]
    views = [one for one in found if one is not None]
    return views, len(found) - len(views)


def _view(session: Session, record: EnvironmentRecord) -> EnvironmentView:
    from stackctl.ops.status import status
    from stackctl.ops.swarm_status import status_on_swarm

    look = status_on_swarm if record.on_swarm else status
    return look(session.context, record.project)


def _tell_strays(session: Session, *, everything: bool) -> None:
    """Say what cannot be read and is therefore left alone, and of everything, what no record vouches for."""
    containers = _containers(session) if everything else ()  # before the records, which are written first
    unreadable = dict(session.store.unreadable())
    for project, reason in unreadable.items():
        session.output.warn(f"the record of `{project}` cannot be read and is left alone: {reason}")
    records = {record.project: record for record in session.store.records()}
    for project, (number, why) in _strays(containers, records, unreadable).items():
        forgotten = project not in records and project not in unreadable
        adopt = f"`stackctl adopt {project}` takes on and " if forgotten else ""
        session.output.warn(
            f"{plural(number, 'container')} of `{project}` left alone: {why}; {adopt}"
            f"`stackctl reap --force {project}` ends what is there, data is kept"
        )


def _containers(session: Session) -> Sequence[Container]:
    """What carries this home's label; empty when the engine cannot be asked."""
    from stackctl.core.errors import StackctlError
    from stackctl.core.labels import PREFIX

    try:
        return session.engine.containers({f"{PREFIX}home": session.store.identity})
    except StackctlError:
        return ()


def _strays(
    containers: Sequence[Container],
    records: Mapping[str, EnvironmentRecord],
    unreadable: Mapping[str, str],
) -> dict[str, tuple[int, str]]:
    """Project -> how many containers no record vouches for, and why."""
    from stackctl.core.labels import PREFIX
    from stackctl.ops.watch import why_stray

    found: dict[str, tuple[int, str]] = {}
    for one in containers:
        project = one.labels.get(f"{PREFIX}project", "")
        if project and (why := why_stray(records, unreadable, one.labels)):
            found[project] = (found.get(project, (0, ""))[0] + 1, why)
    return found


def _show(session: Session, view: EnvironmentView, found: Standing) -> None:
    output, record = session.output, view.record
    if output.json:
        return
    output.line(f"{named(record)}  {record.project}  {record.phase}, {_life(view)}")
    if record.ending and record.phase not in LIVE:
        output.line(ended_words(record))
    if record.on_swarm:
        _show_swarm(session, view)
        return
    if any(service.containers for service in view.services):
        output.table(HEADINGS, [_row(view, index) for index in range(len(view.services))])
        if way := tunnel_words(view):
            output.line(way)
        output.line(f"limits: {_proof(record) or 'not proven yet'}")
        if view.peaks:
            output.line(f"peaks: {_peaks(view)}")
    nobody = "" if found.alive else ", nobody ends an environment whose lifetime is over"
    output.line(f"supervisor: {found.words}{nobody}")
    for sentence in (*record.warnings, *(f"`{name}` is not this environment's" for name in view.strangers)):
        output.warn(sentence)


def _show_swarm(session: Session, view: EnvironmentView) -> None:
    """The services by node; what they use and who ends them is not a manager's to know."""
    from stackctl.cli.swarm import show_by_node, who_watches

    if view.record.phase in LIVE:
        show_by_node(session, view)
        session.output.line(f"limits: {view.record.verified or 'not proven yet'}")
        session.output.line(f"supervisor: {who_watches(session)}")
    for sentence in view.record.warnings:
        session.output.warn(sentence)


def _peaks(view: EnvironmentView) -> str:
    """The most that the supervisor saw each service use."""
    return "; ".join(
        f"{name} {peak.get('pids', NONE)} processes, {show_size(peak.get('memory', 0))}"
        for name, peak in sorted(view.peaks.items())
        if isinstance(peak, dict)
    )


def _life(view: EnvironmentView) -> str:
    return left_words(view.left) if view.record.phase in LIVE else "its data is kept"


def _proof(record: EnvironmentRecord) -> str:
    return "proven in the kernel when it was brought up" if record.verified == "kernel" else record.verified


def _row(view: EnvironmentView, index: int) -> Sequence[str]:
    service = view.services[index]
    urls = "\n".join(a.host or f"{a.container} (inside)" for a in service.addresses) or NONE
    asked, usage = service.asked, service.usage
    return (
        service.name,
        service.words,
        cpu_words(usage, asked),
        memory_words(usage, asked),
        pids_words(usage, asked),
        urls,
    )


def ended_words(record: EnvironmentRecord) -> str:
    """When and why an environment ended, that its data is kept, and how to start it again."""
    if record.ending is None:
        return ""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.ending.at))
    reason = record.ending.reason
    if record.task is not None:
        return f"ended {when} ({reason}); `stackctl inspect {record.title}` shows what is known of it"
    return f"ended {when} ({reason}); its data is kept, `stackctl up {named(record)}` starts it again"


@command("list")
@click.option("--stacks", is_flag=True, help="List the stacks that can be brought up instead.")
def list_command(session: Session, stacks: bool) -> None:
    """List every environment of this user, with its path, age and lifetime left.

    Environments of other users are listed by their labels when the engine can be asked.
    """
    if stacks:
        _list_stacks(session)
        return
    found = session.store.recall()
    records = [record for record in found.records if record.task is None]
    others = _others(session)
    session.output.result({"environments": _data(session, records), "others": others})
    if session.output.json:
        return
    if records:
        rows = [_list_row(session, record) for record in records]
        session.output.table(("ENVIRONMENT", "PHASE", "AGE", "LIFETIME", "PATH"), rows)
    else:
        session.output.note("no environment yet; start one with `stackctl up hello`")
    for project, user in others.items():
        session.output.line(f"{project}  of user {user}, not managed here")
    for project, reason in found.unreadable:
        session.output.warn(f"the record of `{project}` cannot be read and is left alone: {reason}")


def _data(session: Session, records: Sequence[EnvironmentRecord]) -> list[dict[str, object]]:
    from stackctl.ops.lifetimes import time_left

    return [record_data(record, time_left(session.clock, record)) for record in records]


def _others(session: Session) -> dict[str, str]:
    """Projects of other users or state roots, by their labels; empty when the engine cannot be asked."""
    from stackctl.core.errors import StackctlError
    from stackctl.core.labels import PREFIX

    try:
        containers = session.engine.containers({f"{PREFIX}project": ""})
    except StackctlError:
        return {}
    return {
        container.labels[f"{PREFIX}project"]: container.labels.get(f"{PREFIX}user", "?")
        for container in containers
        if container.labels.get(f"{PREFIX}home") != session.store.identity
    }


def _list_row(session: Session, record: EnvironmentRecord) -> tuple[str, ...]:
    from stackctl.ops.lifetimes import time_left

    age = session.clock.now().wall - record.created
    life = left_words(time_left(session.clock, record)) if record.phase in LIVE else NONE
    return record.project, record.phase, show_duration(age), life, record.root


def _list_stacks(session: Session) -> None:
    from stackctl.ops.finding import stack_files

    files = {name: str(path) for name, path in sorted(stack_files(session.places).items())}
    session.output.result(files)
    if not session.output.json:
        session.output.table(("STACK", "FILE"), list(files.items()))
