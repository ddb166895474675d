"""`tasks`, `wait`, `cancel`, `inspect`, `rm`: what became of tasks, and what is to become of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from stackctl.cli.command import command
from stackctl.cli.values import duration
from stackctl.cli.words import NONE, plural
from stackctl.core.errors import StackctlError, UsageError
from stackctl.core.records import LIVE
from stackctl.core.remote import folder_of
from stackctl.core.tasks import TaskLine, exit_code_of, task_line
from stackctl.core.units import show_duration, show_size

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.records import EnvironmentRecord

ACTIONS = ("prune",)
HEADINGS = ("TASK", "NAME", "PHASE", "EXIT", "AGE", "TOOK", "PEAK MEMORY", "PEAK PIDS", "IMAGE", "WHY")
_FOREVER = float("inf")


@command("tasks")
@click.argument("action", metavar="[prune]", required=False, type=click.Choice(ACTIONS))
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that have ended.")
@click.option("--older-than", metavar="TIME", help="With prune: those that ended so long ago (7d).")
@click.option("--data", is_flag=True, help="With prune: delete their data too.")
@click.option("--dry-run", "dry", is_flag=True, help="With prune: only say what would be forgotten.")
def tasks_command(
    session: Session, action: str | None, everything: bool, older_than: str | None, data: bool, dry: bool
) -> int:
    """List the tasks that live, or all of them.

    `stackctl tasks prune --older-than 7d` forgets those that ended long ago; their sidecars' data stays,
    unless --data is given.
    """
    if action == "prune":
        return _prune(session, older_than, data=data, dry=dry)
    if older_than or data or dry:
        raise UsageError("--older-than, --data and --dry-run go with prune", hint="`stackctl tasks prune`")
    from stackctl.ops.task_looking import list_tasks

    lines = list_tasks(session.context, everything=everything)
    session.output.result([line.plain() for line in lines])
    if session.output.json:
        return 0
    if lines:
        now = session.clock.now().wall
        session.output.table(HEADINGS, [_row(line, now) for line in lines])
    else:
        more = "" if everything else "; `stackctl tasks --all` shows those that have ended"
        session.output.note(f"no task{more}; run one with `stackctl run IMAGE -- CMD`")
    return 0


def _row(line: TaskLine, now: float) -> tuple[str, ...]:
    end = line.finished or now
    return (
        line.id,
        line.name or NONE,
        line.phase,
        NONE if line.exit_code is None else str(line.exit_code),
        show_duration(max(0.0, now - line.created)) or "0s",
        (show_duration(max(0.0, end - line.started)) or "0s") if line.started else NONE,
        show_size(line.peak_memory) if line.peak_memory else NONE,
        str(line.peak_pids) if line.peak_pids else NONE,
        line.image,
        _why(line),
    )


def _why(line: TaskLine) -> str:
    own = line.phase in ("succeeded", "failed") and line.exit_code is not None
    reason = "" if own else line.reason
    return "; ".join(one for one in (reason, "forgotten, its data is kept" if line.forgotten else "") if one)


def _prune(session: Session, older_than: str | None, *, data: bool, dry: bool) -> int:
    if older_than is None:
        raise UsageError(
            "prune needs --older-than TIME", hint="such as `stackctl tasks prune --older-than 7d`"
        )
    age = duration(older_than, "--older-than", 0.0)
    from stackctl.ops.task_forgetting import old_tasks, prune

    chosen = old_tasks(session.context, age, data=data)
    done = chosen if dry else prune(session.context, chosen, data=data)
    session.output.result({"forgotten": [line.id for line in done], "dry_run": dry, "data": data})
    kept = "" if data else "; data of sidecars is kept, `--data` deletes it"
    session.output.note(f"{plural(len(done), 'task')} {'would be ' if dry else ''}forgotten{kept}")
    return 0


def tasks_argument(function: Any) -> Any:
    """The IDs of tasks."""
    return click.argument("names", nargs=-1, metavar="ID...", required=True)(function)


def _chosen(session: Session, names: Sequence[str]) -> list[EnvironmentRecord]:
    from stackctl.ops.naming import task

    found = {(record := task(name, session.store)).project: record for name in names}
    return list(found.values())


@command("wait")
@tasks_argument
@click.option("--timeout", metavar="TIME", help="Give up after so long.")
def wait_command(session: Session, names: Sequence[str], timeout: str | None) -> int:
    """Wait until tasks have ended; the exit code is the first one's that is not 0, as `run` has it."""
    from stackctl.ops.task_looking import wait_for

    limit = duration(timeout, "--timeout", 0.0)
    until = session.clock.now().boottime + limit if limit else _FOREVER
    ended = [wait_for(session.context, one.project, until) for one in _chosen(session, names)]
    codes = [exit_code_of(record) for record in ended]
    session.output.result([task_line(record).plain() for record in ended], ok=not any(codes))
    for record, code in zip(ended, codes, strict=True):
        session.output.line(f"{record.title}  {record.phase}  {code}")
    return next((code for code in codes if code), 0)


@command("cancel")
@click.argument("names", nargs=-1, metavar="ID...")
@click.option("--all", "everything", is_flag=True, help="Every task that has not ended.")
def cancel_command(session: Session, names: Sequence[str], everything: bool) -> int:
    """End tasks and their sidecars; data is kept. One that has ended already stays as it is."""
    if everything == bool(names):
        raise UsageError("name tasks, or give --all", hint="`stackctl tasks` shows those that live")
    live = [one for one in session.store.records() if one.task and one.phase in LIVE]
    chosen = live if everything else _chosen(session, names)
    done: list[EnvironmentRecord] = []
    failures = [error for one in chosen if (error := _cancel(session, one, done)) is not None]
    session.output.result([task_line(record).plain() for record in done], ok=not failures)
    return failures[0].exit_code if failures else 0


def _cancel(session: Session, one: EnvironmentRecord, done: list[EnvironmentRecord]) -> StackctlError | None:
    """Cancel one task; what it has become is added to `done`, or why it could not be is returned."""
    from stackctl.ops.task_ending import end_task

    try:
        words = session.command("cancel", one.title)
        ended = end_task(session.context, one.project, "cancelled", "by hand", command=words)
    except StackctlError as error:
        session.output.warn(f"{one.title}: {error}")
        return error
    done.append(ended)
    session.output.note(f"task {ended.title} is {ended.phase}")
    return None


@command("inspect")
@click.argument("name", metavar="ID")
def inspect_command(session: Session, name: str) -> None:
    """Show all that is known of a task: how it was asked for, its limits, sidecars, times and end."""
    from stackctl.ops.naming import task
    from stackctl.ops.task_looking import settle

    record = task(name, session.store)
    settle(session.context, [record])
    record = session.store.read(record.project) or record
    plain = inspect_data(session, record)
    session.output.result(plain)
    if not session.output.json:
        for line in _told(plain):
            session.output.line(line)


def inspect_data(session: Session, record: EnvironmentRecord) -> dict[str, Any]:
    """A task as plain data: its line, its limits and thresholds, its sidecars, where its files are."""
    from stackctl.core.records import TASK_SERVICE

    task = record.task
    folder = session.store.folder(record.project)
    own = record.services.get(TASK_SERVICE)
    limits = {"pids": own.pids, "memory": own.memory, "swap": own.swap, "cpus": own.cpus} if own else {}
    reached = _reached(session, record)
    return {
        **task_line(record).plain(),
        "project": record.project,
        "folder": str(folder),
        "lifetime": record.lifetime,
        "deadline": record.deadline.wall,
        "limits": limits,
        "watchdog": dict(own.watchdog) if own else {},
        "variables": list(task.variables) if task else [],
        "mounts": list(task.mounts) if task else [],
        "tied": record.tied,
        "verified": record.verified,
        "containers": {name: list(ids) for name, ids in record.containers.items()},
        "sidecars": {
            name: {
                "env": one.env,
                "data": f"{folder_of(record.placement) or folder}/data/{name}",
                **reached.get(name, {"container_port": one.port}),
            }
            for name, one in record.sidecars.items()
        },
        "warnings": list(record.warnings),
    }


def _reached(session: Session, record: EnvironmentRecord) -> dict[str, dict[str, Any]]:
    """Where the sidecars of a task that lives are reached, in parts; empty where that cannot be asked."""
    if record.phase not in LIVE or not record.sidecars:
        return {}
    from stackctl.cli.inside import containers_of
    from stackctl.cli.views import reach_data
    from stackctl.ops.reaching import addresses, masks

    try:
        found = addresses(record, containers_of(session, record), masks(record))
    except StackctlError as error:
        session.output.warn(f"where its sidecars are reached is not known: {error}")
        return {}
    return {one.service: reach_data(one) for one in found if one.sidecar}


def _told(plain: dict[str, Any]) -> list[str]:
    times = ("created", "started", "finished", "deadline")
    lines = []
    for key, value in plain.items():
        if value in ("", [], {}, None, 0.0) and (key, value) != ("exit_code", 0):
            continue
        if key in times:
            shown = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
        elif key == "sidecars":
            lines += [f"{'sidecar':<12} {name}: {_sidecar_words(one)}" for name, one in value.items()]
            continue
        elif isinstance(value, dict):
            shown = ", ".join(f"{name} {_amount(name, one)}" for name, one in value.items())
        else:
            shown = _amount(key, value)
        lines.append(f"{key:<12} {shown}")
    return lines


def _amount(name: str, value: Any) -> str:
    """A value in the unit that its name tells."""
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    if name == "lifetime" or name.startswith("sustain"):
        return show_duration(value)
    if name.endswith(("memory", "swap")):
        return show_size(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sidecar_words(one: dict[str, Any]) -> str:
    """The variable of a sidecar, where it is reached, and where its data is."""
    host = f"{one['host']}:{one['port']}" if one.get("host") and one.get("port") else ""
    parts = (one["env"], f"port {one['container_port']}", f"from this host {host}" if host else "")
    return ", ".join([*filter(None, parts), f"data in {one['data']}"])


@command("rm")
@tasks_argument
@click.option("--data", is_flag=True, help="Delete their sidecars' data too.")
def rm_command(session: Session, names: Sequence[str], data: bool) -> int:
    """Forget tasks that have ended; a container that was kept goes, sidecars' data stays unless --data."""
    from stackctl.ops.task_forgetting import forget

    chosen = _chosen(session, names)
    for record in chosen:
        words = session.command("rm", record.title)
        kept = forget(session.context, record.project, data=data, command=words)
        more = f"; its sidecars' data is kept, `stackctl rm --data {record.title}` deletes it" if kept else ""
        session.output.note(f"task {record.title} is forgotten{more}")
    session.output.result([record.title for record in chosen])
    return 0
