"""What `up`, `status`, `down`, `logs`, `exec` and `diff` do and say where an environment is a Swarm's."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stackctl.cli.views import environment_data
from stackctl.cli.words import NONE, left_words, named, plural
from stackctl.core.errors import ServiceFailed, UsageError
from stackctl.core.records import LIVE

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.preparing import Prepared
    from stackctl.ops.status import EnvironmentView
    from stackctl.ops.up import UpOptions

HEADINGS = ("SERVICE", "NODE", "TASK", "WHY")


def chosen_engine(session: Session, prepared: Prepared, option: str | None) -> str:
    """Where a stack is to be brought up: as the command line says, where it is up, or as its file says."""
    record = session.store.read(prepared.project)
    up_there = "swarm" if record is not None and record.on_swarm and record.phase in LIVE else ""
    chosen = option or up_there or prepared.stack.engine
    ignored = [
        name for name, one in prepared.stack.services.items() if one.replicas is not None or one.placement
    ]
    if chosen == "local" and ignored:
        session.output.warn(f"`replicas` and `placement` of {', '.join(ignored)} count on Swarm only")
    return chosen


def up_swarm(session: Session, prepared: Prepared, options: UpOptions) -> None:
    """Bring a stack up on the Swarm that the engine manages, and say what is up.

    Raises:
        UsageError: An option was given that Swarm has no answer to.
    """
    from stackctl.ops.swarm_status import swarm_view
    from stackctl.ops.swarm_up import up_on_swarm

    for given, option in ((options.build, "--build"), (options.volumes_of, "--use-volumes-of")):
        if given:
            hint = "push the image to a registry that every node reaches" if option == "--build" else ""
            raise UsageError(f"{option} is not there for Swarm", hint=hint or "use a sidecar with `data`")
    result = up_on_swarm(session.context, prepared, options)
    record, output = result.record, session.output
    view = swarm_view(session.context, record, result.scene)
    data = {**environment_data(view), "unchanged": result.unchanged, "changes": dict(result.changes)}
    output.result(data)
    services = plural(len(record.services), "service")
    if result.unchanged:
        output.line(f"{record.stack} is already up and unchanged ({record.project}, {services})")
    else:
        output.line(f"{record.stack} is up on Swarm ({record.project}, {services}, limits {record.verified})")
    show_by_node(session, view)
    output.note(f"lifetime: {left_words(view.left)}; {who_watches(session)}")
    output.note(f"next: stackctl status {named(record)} | logs {named(record)} | down {named(record)}")


def who_watches(session: Session) -> str:
    """Whether a service of agents is there, which end lifetimes and what passes its marks."""
    from stackctl.ops.swarm_agents import agents

    found = agents(session.context)
    if found:
        return f"agents watch it; `{found[0].name}` says what they do"
    return "no service of agents is there to end it (`stackctl supervise --node`, see the guide on Swarm)"


def show_by_node(session: Session, view: EnvironmentView) -> None:
    """One line for each service, then one for each task with its node."""
    output = session.output
    if output.json:
        return
    width = max((len(service.name) for service in view.services), default=0)
    for service in view.services:
        urls = "  ".join(a.host for a in service.addresses if a.host)
        output.line(f"  {service.name:<{width}}  {service.words:<12}  {urls}".rstrip())
    rows = [(one.service, one.node or NONE, one.words, one.error or NONE) for one in view.tasks]
    if rows:
        output.table(HEADINGS, rows)


def down_swarm(session: Session, record: EnvironmentRecord) -> dict[str, object]:
    """End an environment on a Swarm, and say so; what `down --json` tells of it."""
    from stackctl.ops.swarm_down import down_on_swarm

    command = session.command("down", record.stack)
    result = down_on_swarm(session.context, record.project, command=command)
    was = "nothing was running"
    if result.services or result.things:
        what = plural(result.services, "service")
        was = f"{what} and {result.things} networks, configs and secrets removed"
    kept = ", its data is kept on its nodes" if record.held else ""
    session.output.line(f"{named(record)} is down: {was}{kept}")
    return {"project": record.project, "containers": 0, "networks": 0, "services": result.services}


def logs_swarm(
    session: Session, record: EnvironmentRecord, services: Sequence[str], how: tuple[bool, str, str]
) -> int:
    """Show the logs of services from every node.

    Raises:
        UsageError: Several are to be followed at once.
        ServiceFailed: It is not up.
        EngineRefused, EngineUnavailable, TimedOut: The managers cannot be asked.
    """
    from stackctl.ops.swarm_looking import manager

    follow, tail, since = how
    names = list(services) or sorted(record.services)
    if follow and len(names) > 1:
        raise UsageError(
            "one service at a time is followed on Swarm", hint=f"its services: {', '.join(names)}"
        )
    if record.phase != "running":
        raise ServiceFailed(f"`{named(record)}` is {record.phase}", hint=f"`stackctl up {named(record)}`")
    manager(session.context)
    swarm = session.engine.swarm()
    codes = [swarm.logs(f"{record.project}_{name}", follow=follow, tail=tail, since=since) for name in names]
    return max(codes, default=0)


def exec_swarm(
    session: Session,
    record: EnvironmentRecord,
    service: str,
    words: Sequence[str],
    how: tuple[str, str, Mapping[str, str]],
    terminal: bool,
) -> int:
    """Run a command in the first running task of a service, by the engine of its node.

    Args:
        how: User, working directory, variables.

    Raises:
        ServiceFailed: None runs, or its node's engine is out of reach; the hint says how it is reached.
    """
    from stackctl.ops.naming import known_service
    from stackctl.ops.swarm_status import engine_of, running_task

    known_service(record, service)
    task, node = running_task(session.context, record, service)
    engine = engine_of(session.context, task, node, service)
    user, workdir, variables = how
    if sys.stderr.isatty():
        session.output.note(f"on node {node.hostname}")
    try:
        return engine.execute(
            task.container, words, terminal=terminal, user=user, workdir=workdir, variables=variables
        )
    finally:
        engine.close()


def diff_swarm(session: Session, prepared: Prepared) -> int:
    """Show what `up` would change on the Swarm; 1 when it would change anything."""
    from difflib import unified_diff

    from stackctl.ops.swarm_looking import look_at_swarm
    from stackctl.ops.swarm_up import planned_on_swarm

    record = session.store.read(prepared.project)
    scene = look_at_swarm(session.context, prepared.project, record)
    planned = planned_on_swarm(session.context, prepared, scene, record)
    path = session.store.folder(prepared.project) / "compose.yaml"
    running = path.read_text() if scene.services and path.is_file() else ""
    lines = list(
        unified_diff(running.splitlines(), prepared.text.splitlines(), "running", "stack file", lineterm="")
    )
    same = all(word == "keep" for word in planned.values()) and not lines
    session.output.result({"changes": planned, "diff": "\n".join(lines)}, ok=same)
    for name, word in planned.items():
        session.output.line(f"{word} {name}")
    for line in lines if running else ():
        session.output.line(line)
    return 0 if same else 1
