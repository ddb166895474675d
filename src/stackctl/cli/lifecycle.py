"""`up`, `down`, `restart`, `extend`: the life of an environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command, instance_option, name_or_folder
from stackctl.cli.values import duration
from stackctl.cli.views import environment_data, tunnel_words
from stackctl.cli.words import left_words, named, plural
from stackctl.core.errors import StackctlError, UnknownName, UsageError
from stackctl.core.remote import machine_of
from stackctl.core.units import show_duration

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.preparing import Prepared
    from stackctl.ops.up import UpOptions, UpResult

WAIT_SECONDS = 120.0


@command("up")
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Bring up this compose file as it is, bounded; again for more.",
)
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="With compose files: a profile.")
@instance_option
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable (sidecar.name too)."
)
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Set a limit for every service.")
@click.option("--lifetime", metavar="TIME", help="End it after so long from now (12h unless set).")
@click.option("--wait-timeout", metavar="TIME", help="Wait so long for every service (2m).")
@click.option("--no-wait", is_flag=True, help="Return as soon as everything was started.")
@click.option("--build", is_flag=True, help="Build images anew.")
@click.option("--pull", is_flag=True, help="Ask for newer images even where the engine has one.")
@click.option("--use-volumes-of", "volumes_of", metavar="PROJECT", help="Use its volumes.")
@click.option("--frozen", is_flag=True, help="Refuse where the lock is missing or stale.")
@click.option(
    "--engine",
    "engine",
    type=click.Choice(["local", "swarm"]),
    help="Where: one engine, or the Swarm that it manages; as the stack file says unless given.",
)
@click.option("--allow-unenforced", is_flag=True, help="Go on where the kernel cannot enforce a limit.")
def up_command(
    session: Session,
    name: str | None,
    files: Sequence[Path],
    profiles: Sequence[str],
    instance: str,
    given: Sequence[str],
    limits: Sequence[str],
    lifetime: str | None,
    wait_timeout: str | None,
    no_wait: bool,
    build: bool,
    pull: bool,
    volumes_of: str | None,
    frozen: bool,
    engine: str | None,
    allow_unenforced: bool,
) -> None:
    """Bring an environment up, or make it what its stack file now says.

    Every service runs within its limits, which are proven to be in force. What fails is undone. Without NAME,
    the compose file of this folder, or those that -f names, taken as they are. --use-volumes-of goes on with
    the named volumes of a project that Compose ran before, which nothing ever removes.
    """
    if engine != "swarm":
        session.begin_driver(name or Path.cwd().name)
    from stackctl.cli.choosing import Chosen, prepared_choice
    from stackctl.cli.locking import heed_lock

    chosen = Chosen(name, tuple(files), tuple(profiles), instance)
    prepared = prepared_choice(
        session,
        chosen,
        given,
        limits,
        lifetime,
        meanwhile=lambda project: warm_for(session, project),
    )
    name = prepared.stack.name
    from stackctl.cli.swarm import chosen_engine
    from stackctl.ops.up import UpOptions
    from stackctl.ops.volumes import PROJECT_NAME, checked_project

    options = UpOptions(
        command=session.command("up", name),
        wait=not no_wait,
        wait_timeout=duration(wait_timeout, "--wait-timeout", WAIT_SECONDS),
        lifetime=duration(lifetime, "--lifetime", 0.0) or None,
        build=build,
        pull=pull,
        allow_unenforced=allow_unenforced,
        plain_name=os.environ.get(PROJECT_NAME, ""),
        volumes_of=checked_project(volumes_of),
        engine=chosen_engine(session, prepared, engine),
    )
    heed_lock(session, prepared, frozen)
    _bring_up(session, prepared, options)


def _bring_up(session: Session, prepared: Prepared, options: UpOptions) -> None:
    if options.engine == "swarm":
        from stackctl.cli.swarm import up_swarm

        up_swarm(session, prepared, options)
        return
    from stackctl.cli.watchman import ensure
    from stackctl.ops.up import up

    tell_moved(session, prepared)
    result = up(session.context, prepared, options, announced=lambda _: ensure(session))
    if result.unchanged:
        ensure(session)
    report_up(session, result)


def warm_for(session: Session, project: str) -> None:
    """Load what `up` needs next; let the engine get ready for Compose unless all is probably up."""
    import stackctl.ops.status
    import stackctl.ops.up  # noqa: F401 - that it is loaded is the point

    with suppress(StackctlError):
        record = session.store.read(project)
        if record is None or record.phase != "running":
            session.engine.warm()


def tell_moved(session: Session, prepared: Prepared) -> None:
    """Say that an environment of this stack belongs to a folder that is gone: a moved repository."""
    from stackctl.ops.naming import moved_environments

    if session.store.read(prepared.project) is not None:
        return
    for old in moved_environments(prepared.stack.name, list(session.store.records())):
        session.output.warn(
            f"`{old.project}` belongs to {old.root}, which is gone: if this repository was moved, "
            f"`stackctl move {prepared.stack.name} --from {old.project}` takes its data along"
        )


def report_up(session: Session, result: UpResult) -> None:
    """Say what is up, where it is reached, how long it lives, and what to type next."""
    from stackctl.ops.status import view_of
    from stackctl.ops.up import plan_words

    output, record = session.output, result.record
    watched = tell_watched(session, record)
    view = view_of(session.context, record, result.containers, {})
    output.result(
        {**environment_data(view), "unchanged": result.unchanged, "changes": plan_words(result.changes)}
    )
    output.line(headline(result))
    width = max((len(service.name) for service in view.services), default=0)
    for service in view.services:
        urls = "  ".join(a.host for a in service.addresses if a.host)
        output.line(f"  {service.name:<{width}}  {service.words:<8}  {urls}".rstrip())
    if way := tunnel_words(view):
        output.note(way)
    output.note(f"lifetime: {left_words(view.left)}{watched}")
    output.note(f"next: stackctl status {named(record)} | logs {named(record)} | down {named(record)}")


def headline(result: UpResult) -> str:
    """One line about what `up` did."""
    record = result.record
    services = plural(len(record.services), "service")
    if result.unchanged:
        return f"{record.stack} is already up and unchanged ({record.project}, {services})"
    proof = "limits proven in the kernel" if record.verified == "kernel" else record.verified
    machine = machine_of(record.engine_host)
    where = f" on {machine}" if machine else ""
    return f"{record.stack} is up{where} ({record.project}, {services}, {proof})"


def tell_watched(session: Session, record: EnvironmentRecord) -> str:
    """Who ends the lifetime, as the end of a sentence; a warning where nobody does."""
    from stackctl.cli.watchman import automatic
    from stackctl.ops.standing import standing

    found = standing(session.store, session.clock)
    if found.sound or automatic(session):
        return ", then the supervisor ends it"
    restarts = sorted(name for name, one in record.services.items() if one.restart not in ("no", ""))
    also = f", and nobody restarts {', '.join(restarts)}" if restarts else ""
    session.output.warn(
        f"no supervisor is running (`supervisor: manual`): nobody ends `{record.stack}` when its lifetime of "
        f"{show_duration(record.lifetime)} is over{also}; `stackctl supervise` runs one"
    )
    return ""


@command("down")
@click.argument("name", metavar="[NAME]", required=False)
@instance_option
@click.option("--all", "everything", is_flag=True, help="End every environment of this user.")
def down_command(session: Session, name: str | None, instance: str, everything: bool) -> int:
    """End an environment: its containers and networks are removed, its data stays.

    It works from what is remembered and labelled alone, also when the stack file is gone. Without NAME, the
    environment of this folder's compose file.
    """
    from stackctl.core.records import LIVE

    if everything and name is not None:
        raise UsageError("name one environment, or give --all", hint="`stackctl list` shows every one")
    if not everything:
        records = [_one_to_end(session, name, instance)]
    else:
        there = _projects(session)
        every = [record for record in session.store.records() if record.task is None]
        records = [record for record in every if record.phase in LIVE or record.project in there]
    return _down_each(session, records)


def _one_to_end(session: Session, name: str | None, instance: str) -> EnvironmentRecord:
    try:
        return session.environment(name, instance)
    except UnknownName as error:
        if name is not None:
            raise
        raise UnknownName(f"{error.message}; name one environment, or give --all", hint=error.hint) from None


def _projects(session: Session) -> set[str]:
    """Projects of which the engine has containers or networks that carry this home's label."""
    from stackctl.core.labels import PREFIX

    mine = {f"{PREFIX}home": session.store.identity}
    containers, networks = session.engine.containers(mine), session.engine.networks(mine)
    labels = [*(one.labels for one in containers), *(one.labels for one in networks)]
    return {one.get(f"{PREFIX}project", "") for one in labels}


def _down_each(session: Session, records: Sequence[EnvironmentRecord]) -> int:
    from stackctl.cli.swarm import down_swarm
    from stackctl.ops.down import down

    done: list[dict[str, object]] = []
    failures = []
    for record in records:
        try:
            if record.on_swarm:
                done.append(down_swarm(session, record))
                continue
            result = down(session.context, record.project, command=session.command("down", record.stack))
        except StackctlError as error:
            if len(records) == 1:
                raise
            session.output.warn(f"`{record.project}`: {error}")
            failures.append(error.exit_code)
            continue
        told = {"project": record.project, "containers": result.containers, "networks": result.networks}
        done.append(told)
        removed = f"{plural(result.containers, 'container')} and {plural(result.networks, 'network')} removed"
        was = removed if result.containers or result.networks else "nothing was running"
        session.output.line(f"{named(record)} is down: {was}, its data is kept")
    if not records:
        session.output.note("no environment is up")
    session.output.result(done, ok=not failures)
    return failures[0] if failures else 0


@command("restart")
@name_or_folder
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@instance_option
@click.option("--wait-timeout", metavar="TIME", help="Wait so long for every service (2m).")
def restart_command(
    session: Session, name: str | None, services: Sequence[str], instance: str, wait_timeout: str | None
) -> None:
    """Restart services of an environment (all of them unless named); its lifetime goes on."""
    from stackctl.ops.restart import restart

    record, services = session.aimed(name, services, instance)
    seconds = duration(wait_timeout, "--wait-timeout", WAIT_SECONDS)
    names = restart(
        session.context, record, services, command=session.command("restart", record.title), timeout=seconds
    )
    session.output.result({"project": record.project, "restarted": list(names)})
    session.output.line(f"{named(record)}: restarted {', '.join(names)}")


@command("extend")
@name_or_folder
@click.argument("time", metavar="TIME", required=False)
@instance_option
def extend_command(session: Session, name: str | None, time: str | None, instance: str) -> None:
    """Give an environment TIME from now (the lifetime that it began with unless given)."""
    from stackctl.ops.restart import extend
    from stackctl.ops.swarm_status import extend_on_swarm

    record, left = session.aimed(name, [time] if time else [], instance, _is_time)
    seconds = duration(left[0] if left else None, "TIME", record.lifetime)
    act = extend_on_swarm if record.on_swarm else extend
    record = act(
        session.context, session.machine, record, seconds, command=session.command("extend", record.title)
    )
    session.output.result({"project": record.project, "left_seconds": seconds, "until": record.deadline.wall})
    session.output.line(f"{named(record)} lives for {show_duration(seconds)} from now")


def _is_time(record: EnvironmentRecord, word: str) -> bool:
    """Whether a word can only be a time, so that no name was given."""
    from stackctl.core.units import parse_duration

    try:
        return parse_duration(word) > 0
    except ValueError:
        return False
