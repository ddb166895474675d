"""`run`: one command in one container of its own, with the limits and the care of an environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command
from stackctl.cli.values import duration, limit_layer, settings
from stackctl.core.errors import StackFileError, UsageError
from stackctl.core.tasks import COMMAND_LINE, TaskSpec, check_environment, parse_mount, parse_sidecars
from stackctl.ops.task_asking import absolute_mount, defined
from stackctl.ops.task_starting import StartOptions

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.limits import Layer
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.stack import SidecarSpec
    from stackctl.ops.context import Context
    from stackctl.ops.task_preparing import Kitchen, PreparedTask
    from stackctl.ops.task_starting import Started

WAIT_SECONDS = 120.0


@command("run", runs=True)
@click.argument("image", metavar="IMAGE")
@click.argument("words", nargs=-1, metavar="[-- CMD [ARG]...]", type=click.UNPROCESSED)
@click.option("--sidecar", "sidecars", multiple=True, metavar="[NAME=]TEMPLATE", help="A service beside it.")
@click.option(
    "--reach",
    "reaches",
    multiple=True,
    metavar="SIDECAR=isolated",
    help="Let containers on no shared network reach a sidecar.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="[SIDECAR.]NAME=VALUE",
    help="Set a limit of it, or of a sidecar (memory=2g, db.memory=1g).",
)
@click.option("--lifetime", metavar="TIME", help="End it after so long (12h unless set).")
@click.option("-e", "--env", "given", multiple=True, metavar="NAME[=VALUE]", help="Set a variable for it.")
@click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Set the variables of a file.")
@click.option("--mount", "mounts", multiple=True, metavar="SRC:DST[:ro]", help="Show it a file or folder.")
@click.option("-w", "--workdir", default="", metavar="DIR", help="Run it in that folder of the container.")
@click.option("-u", "--user", default="", metavar="USER", help="Run it as that user of the container.")
@click.option("--network", default="", metavar="NAME", help="Join that network; `none` for no network.")
@click.option("--in", "inside", metavar="ENV", help="Run a task of that environment's stack, in it.")
@click.option("--instance", default="", metavar="X", help="With --in: another environment of the same stack.")
@click.option("--name", default="", metavar="NAME", help="What to call it in lists.")
@click.option("--data-from", default="", metavar="ID|DIR", help="Begin with a copy of that data.")
@click.option("--allow", multiple=True, metavar="WORD", help="Let it have what policy would refuse.")
@click.option("-d", "--detach", is_flag=True, help="Print its id and leave it to the supervisor.")
@click.option("--keep", is_flag=True, help="Keep its container when it has ended, until `stackctl rm`.")
@click.option("--pull", is_flag=True, help="Ask for newer images even where the engine has one.")
@click.option("--wait-timeout", metavar="TIME", help="Wait so long for its sidecars (2m).")
@click.option("--allow-unenforced", is_flag=True, help="Go on where the kernel cannot enforce a limit.")
def run_command(
    session: Session,
    image: str,
    words: tuple[str, ...],
    sidecars: Sequence[str],
    reaches: Sequence[str],
    limits: Sequence[str],
    lifetime: str | None,
    given: Sequence[str],
    env_files: Sequence[str],
    mounts: Sequence[str],
    workdir: str,
    user: str,
    network: str,
    inside: str | None,
    instance: str,
    name: str,
    data_from: str,
    allow: Sequence[str],
    detach: bool,
    keep: bool,
    pull: bool,
    wait_timeout: str | None,
    allow_unenforced: bool,
) -> int:
    """Run CMD in a container of its own; its exit code is ours. Options go before IMAGE.

    With --in ENV, IMAGE is the name of a task of that environment's stack. 124 says that its lifetime ended,
    137 that a limit did, 125 that stackctl itself failed.
    """
    from stackctl.cli.terminal import has_input, has_terminal

    attended = not detach and not session.output.json
    absolute = [absolute_mount(one, "--mount") for one in mounts]
    spec = TaskSpec(
        image=image,
        command=words[1:] if words[:1] == ("--",) else words,
        name=name,
        environment=variables(given, env_files),
        mounts=tuple(parse_mount(one, {}) for one in absolute),
        workdir=workdir,
        user=user,
        network=network,
        limits=limit_layer([one for one in limits if "." not in one.partition("=")[0]], lifetime),
        sidecar_limits=_sidecar_limits(limits),
        sidecars=_reached(parse_sidecars(sidecars), reaches),
        allow=tuple(allow),
        terminal=attended and has_terminal(),
        stdin=attended and has_input(),
        keep=keep,
    )
    environment = _joined(session, inside, instance)
    if environment is not None:
        spec = defined(environment, spec)
    options = StartOptions(
        command=session.command("run", name or image),
        tied=not detach,
        wait_timeout=duration(wait_timeout, "--wait-timeout", WAIT_SECONDS),
        inside=environment.project if environment else "",
        data_from=data_folder(session, data_from),
        pull=pull,
        allow_unenforced=allow_unenforced,
    )
    return _run(session, spec, options)


def _joined(session: Session, inside: str | None, instance: str) -> EnvironmentRecord | None:
    """The environment that a task is to run in; None for one of its own."""
    if inside == "":
        raise UsageError(
            "--in needs the name of an environment", hint="`make stack-test STACK=NAME`, in make"
        )
    if instance and not inside:
        raise UsageError("--instance goes with --in", hint="such as --in myenv --instance two")
    return session.environment(inside, instance) if inside else None


def _run(session: Session, spec: TaskSpec, options: StartOptions) -> int:
    from stackctl.cli.terminal import OwnTerminal
    from stackctl.core.tasks import exit_code_of, task_line
    from stackctl.ops.context import Silence
    from stackctl.ops.task_running import Attendance

    if not options.tied:
        started = begin(session, spec, options, streams=False)
        started.exit.close()
        session.output.result(task_line(started.record).plain())
        session.output.line(started.record.title)
        return 0
    started = begin(session, spec, options, streams=not session.output.json)
    with OwnTerminal(terminal=spec.terminal, stdin=spec.stdin).held() as terminal:
        attendance = Attendance(
            context=replace(session.context, progress=Silence()),
            started=started,
            terminal=terminal,
            contexts=lambda: _own_context(session),
            command=options.command,
        )
        record = attendance.attend()
    _tell(session, record)
    session.output.result(task_line(record).plain(), ok=record.phase == "succeeded")
    return 128 + terminal.number if record.phase == "cancelled" and terminal.number else exit_code_of(record)


def _own_context(session: Session) -> Context:
    from stackctl.cli.watchman import contexts

    return contexts(session)("")


def begin(session: Session, spec: TaskSpec, options: StartOptions, *, streams: bool) -> Started:
    """Prepare and start a task; a supervisor is started where none watches."""
    from stackctl.cli.watchman import ensure
    from stackctl.ops.task_preparing import prepare_task
    from stackctl.ops.task_starting import new_task_id, start_task

    prepared: PreparedTask = prepare_task(new_task_id(session.context), spec, kitchen(session))
    return start_task(
        session.context, prepared, options, streams=streams, announced=lambda _: ensure(session)
    )


def kitchen(session: Session) -> Kitchen:
    """What tasks of this command are prepared with."""
    from stackctl.ops.task_preparing import Kitchen

    return Kitchen(
        places=session.places,
        configuration=session.configuration,
        machine=session.machine,
        root=Path.cwd().resolve(),
    )


def _tell(session: Session, record: EnvironmentRecord) -> None:
    """One line on what ended it, where that was not itself."""
    ending = record.ending
    if ending is None or record.phase in ("succeeded", "failed"):
        return
    more = f" (`stackctl why {record.title}`)" if ending.incident else ""
    became = "has" if record.phase == "expired" else "was"
    session.output.note(f"task {record.title} {became} {record.phase}: {ending.reason}{more}")


def variables(given: Sequence[str], files: Sequence[str]) -> Mapping[str, str]:
    """The variables of files and of the command line, which wins; a name alone takes our own value, if any.

    Raises:
        UsageError: A file cannot be read, or a name cannot be one.
    """
    found: dict[str, str] = {}
    for file in files:
        found.update(_read_env_file(file))
    words = [
        one if "=" in one else f"{one}={os.environ[one]}" for one in given if "=" in one or one in os.environ
    ]
    found.update(settings(words, "--env"))
    return check_environment(found, COMMAND_LINE)


def _read_env_file(file: str) -> dict[str, str]:
    """NAME=VALUE lines, values as they stand; a name alone takes ours where there is one; # is a comment."""
    from stackctl.ops.finding import read_text

    found: dict[str, str] = {}
    try:
        content = read_text(Path(file))
    except StackFileError as error:
        raise UsageError(f"--env-file: {error.message}", hint="name a file of NAME=VALUE lines") from None
    for number, line in enumerate(content.split("\n"), 1):
        name, sign, value = line.rstrip("\r").partition("=")
        name = name.strip()
        if not name or name.startswith("#") or not (sign or name in os.environ):
            continue
        found |= check_environment({name: value if sign else os.environ[name]}, f"{file}:{number}")
    return found


def _reached(sidecars: Mapping[str, SidecarSpec], words: Sequence[str]) -> Mapping[str, SidecarSpec]:
    """The sidecars with from where they are reached beside the task's network.

    Raises:
        UsageError: A word names no sidecar of the task, or no place.
    """
    found = dict(sidecars)
    for name, place in settings(words, "--reach").items():
        if name not in found or place not in ("host", "isolated"):
            raise UsageError(
                f"--reach {name}={place}: there is no such sidecar, or no such place",
                hint="name one of --sidecar, and host or isolated",
            )
        found[name] = replace(found[name], reach=("host", "isolated") if place == "isolated" else ("host",))
    return found


def _sidecar_limits(words: Sequence[str]) -> Mapping[str, Layer]:
    """The limits that are set for sidecars, `db.memory=1g` each."""
    found: dict[str, list[str]] = {}
    for word in words:
        owner, dot, name = word.partition("=")[0].rpartition(".")
        if dot:
            found.setdefault(owner, []).append(f"{name}={word.partition('=')[2]}")
    return {owner: limit_layer(limits) for owner, limits in found.items()}


def data_folder(session: Session, word: str) -> Path | None:
    """The folder that data is copied from, as `ops.task_asking.data_folder`."""
    from stackctl.ops import task_asking

    return task_asking.data_folder(word, session.environment, session.store)
