"""`logs`, `exec`, `shell`: what goes on inside the services of an environment."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command, instance_option, name_argument, name_or_folder, words_argument
from stackctl.cli.values import settings
from stackctl.cli.words import named, not_running
from stackctl.core.errors import ServiceFailed, StackctlError, UnknownName, UsageError
from stackctl.core.records import TASK_SERVICE
from stackctl.ops.naming import known_service

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.facts import Container
    from stackctl.core.records import EnvironmentRecord

SHELL = ("sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh")


@command("logs")
@name_or_folder
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@instance_option
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--tail", default="all", metavar="N", help="Only the last N lines of each service.")
@click.option("--since", default="", metavar="TIME", help="Only what is newer (10m, or a time).")
def logs_command(
    session: Session,
    name: str | None,
    services: Sequence[str],
    instance: str,
    follow: bool,
    tail: str,
    since: str,
) -> int:
    """Show the logs of an environment, all services or those that are named."""
    record, services = session.aimed(name, services, instance)
    for service in services:
        known_service(record, service)
    if record.on_swarm and (record.task is None or record.phase == "running"):
        from stackctl.cli.swarm import logs_swarm

        return logs_swarm(session, record, services, (follow, tail, since))
    containers = () if record.on_swarm else containers_of(session, record)
    if record.task is not None and set(services) <= {TASK_SERVICE}:
        return _task_logs(session, record, containers, (follow, tail, since))
    if not containers:
        return _kept_logs(session, record)
    return session.engine.logs(record.project, services, follow=follow, tail=tail, since=since)


def _task_logs(
    session: Session,
    record: EnvironmentRecord,
    containers: Sequence[Container],
    how: tuple[bool, str, str],
) -> int:
    """What a task wrote: while its container is there by docker's log, then what was kept of it."""
    follow, tail, since = how
    own = next((one for one in containers if one.service == TASK_SERVICE), None)
    if own is not None:
        return session.engine.container_logs(own.id, follow=follow, tail=tail, since=since)
    kept = session.store.folder(record.project) / "output.log"
    if not kept.is_file():
        raise ServiceFailed(
            f"task {record.title} is {record.phase}, and it left no output",
            hint=f"`stackctl inspect {record.title}` shows what is known of it",
        )
    lines = kept.read_bytes().splitlines(keepends=True)
    chosen = lines[-int(tail) :] if tail.isdigit() and int(tail) else [] if tail == "0" else lines
    sys.stdout.flush()
    sys.stdout.buffer.write(b"".join(chosen))
    sys.stdout.buffer.flush()
    return 0


def _kept_logs(session: Session, record: EnvironmentRecord) -> int:
    """What was saved of the logs when an `up` failed; running containers are gone."""
    files = sorted((session.store.folder(record.project) / "logs").glob("*.log"))
    if not files:
        raise ServiceFailed(
            f"nothing of `{named(record)}` is running and no log was kept",
            hint=not_running(record),
        )
    for path in files:
        session.output.note(f"saved in {path}:")
        session.output.line(path.read_text(errors="replace").rstrip())
    return 0


@command("exec", runs=True)
@name_argument
@words_argument("[SERVICE] CMD [ARG]...")
@instance_option
@click.option("-T", "no_terminal", is_flag=True, help="Do not give it a terminal.")
@click.option("-u", "--user", default="", metavar="USER", help="Run it as another user of the container.")
@click.option("-w", "--workdir", default="", metavar="DIR", help="Run it in another folder of the container.")
@click.option("-e", "--env", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable for it.")
def exec_command(
    session: Session,
    name: str,
    words: Sequence[str],
    instance: str,
    no_terminal: bool,
    user: str,
    workdir: str,
    given: Sequence[str],
) -> int:
    """Run a command in a running service; its exit code is ours. Options go before NAME.

    For a task, SERVICE is one of its sidecars; without it, the command runs in the task's own container. In a
    folder whose compose file is up, NAME may be left out.
    """
    record, left = session.aimed(name, words, instance)
    service, words = _aimed(record, left)
    if record.on_swarm:
        from stackctl.cli.swarm import exec_swarm

        terminal = not no_terminal and sys.stdin.isatty() and sys.stdout.isatty()
        return exec_swarm(session, record, service, words, (user, workdir, settings(given, "-e")), terminal)
    container = _container(session, record, service)
    code = session.engine.execute(
        container.id,
        words,
        terminal=not no_terminal and sys.stdin.isatty() and sys.stdout.isatty(),
        user=user,
        workdir=workdir,
        variables=settings(given, "-e"),
    )
    if record.services[service].guard:
        _sweep_after(session, record, container)
    return code


def _aimed(record: EnvironmentRecord, words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Which service is meant, and the command for it.

    Raises:
        UsageError: There is no command.
    """
    rest = words[2:] if words[1:2] == ("--",) else words[1:]
    if record.task is not None and (words[0] not in record.services or not rest):
        return TASK_SERVICE, words
    if not rest:
        raise UsageError(
            f"what is to be run in `{words[0]}`?", hint=f"such as `stackctl exec {named(record)} SERVICE CMD`"
        )
    return words[0], rest


def _sweep_after(session: Session, record: EnvironmentRecord, container: Container) -> None:
    """Sweep what a command left behind; whatever comes of it, the exit code stays the command's."""
    from stackctl.ops.sweeping import sweep_after_exec

    try:
        swept = sweep_after_exec(session.context, record, container)
    except StackctlError as error:
        session.output.warn(error.message)
        return
    if swept.stuck:
        session.output.warn(swept.words)
    elif swept.words:
        session.output.note(swept.words)


@command("shell")
@name_or_folder
@click.argument("service", required=False)
@instance_option
@click.option("-u", "--user", default="", metavar="USER", help="Open it as another user of the container.")
def shell_command(session: Session, name: str | None, service: str | None, instance: str, user: str) -> int:
    """Open a shell in a service (the first that is no sidecar, unless named)."""
    record, left = session.aimed(name, [service] if service else [], instance)
    chosen = left[0] if left else _first_service(record)
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if record.on_swarm:
        from stackctl.cli.swarm import exec_swarm

        return exec_swarm(session, record, chosen, SHELL, (user, "", {}), terminal)
    container = _container(session, record, chosen)
    return session.engine.execute(container.id, SHELL, terminal=terminal, user=user, workdir="", variables={})


def _first_service(record: EnvironmentRecord) -> str:
    names = sorted(record.services, key=lambda name: (record.services[name].sidecar, name))
    if not names:
        raise UnknownName(f"`{named(record)}` has no services")
    return names[0]


def containers_of(session: Session, record: EnvironmentRecord) -> tuple[Container, ...]:
    """The verified containers of an environment, in any state."""
    from stackctl.ops.looking import look

    return look(session.context, record.project).containers


def _container(session: Session, record: EnvironmentRecord, service: str) -> Container:
    known_service(record, service)
    for container in containers_of(session, record):
        if container.service == service and container.state == "running":
            return container
    shown = f"`stackctl status {named(record)}` shows why; `stackctl up {named(record)}` starts it"
    raise ServiceFailed(
        f"`{service}` of `{named(record)}` is not running", hint=not_running(record) if record.task else shown
    )
