"""`reap` and `adopt`: cleaning up after crashes by hand, and taking on what was forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command
from stackctl.cli.values import duration
from stackctl.cli.words import plural
from stackctl.core.errors import UsageError
from stackctl.core.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackctl.cli.session import Session
    from stackctl.ops.reap import Reaped


@command("reap")
@click.argument("name", metavar="[PROJECT]", required=False)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="End PROJECT although no record vouches for it; its data stays.")
def reap_command(session: Session, name: str | None, dry_run: bool, force: bool) -> int:
    """Clean up what crashes left behind, until a pass finds nothing; data is never deleted.

    What cannot be proven to be ours and left behind is kept and listed. Exits 1 when something that should
    be ended could not be.
    """
    if bool(name) != force:
        raise UsageError(
            "PROJECT and --force go together", hint="`stackctl reap` alone cleans up what its records prove"
        )
    if name:
        return _force(session, name, dry_run)
    from stackctl.cli.views import outcome_data, stray_data
    from stackctl.cli.watchman import hook
    from stackctl.core.supervision import DEFAULT_SUPERVISION
    from stackctl.ops.reap import reap
    from stackctl.state.journal import Journal, journal_path

    log = Journal(journal_path(session.store.home))
    reaped = reap(session.context, DEFAULT_SUPERVISION, dry=dry_run, told=hook(session, log))
    _show(session, reaped)
    session.output.result(
        {
            "passes": reaped.passes,
            "done": [outcome_data(one) for one in reaped.outcomes],
            "planned": [one.plain() for one in reaped.planned],
            "kept": [stray_data(one) for one in reaped.strays],
            "reports": [one.plain() for one in reaped.reports],
            "elsewhere": {one.project: one.engine_host for one in reaped.elsewhere},
            "volumes": list(reaped.volumes),
        },
        ok=not reaped.failed,
    )
    return 1 if reaped.failed else 0


def _show(session: Session, reaped: Reaped) -> None:
    output = session.output
    for one in reaped.outcomes:
        output.line(f"{one.action.project}: {one.result}: {one.action.reason}; {one.words}")
    for action in reaped.planned:
        output.line(f"{action.project}: would {action.kind}: {action.reason}")
    for report in reaped.reports:
        if report.rule != "unmanaged":
            output.line(f"{report.project}: {report.reason}")
    for stray in reaped.strays:
        output.line(f"{stray.project}: {stray.kind} {stray.name} is kept: {stray.why}")
    for record in reaped.elsewhere:
        output.line(f"{record.project}: is kept: it was made on another engine, at {record.engine_host}")
        output.note(
            f"if that engine is gone for good, `stackctl reap --force {record.project}` records it as lost"
        )
    for project in sorted({stray.project for stray in reaped.strays}):
        output.note(
            f"`stackctl adopt {project}` takes it on, `stackctl reap --force {project}` ends it, data kept"
        )
    if reaped.volumes:
        output.note(f"volumes are never removed: {', '.join(reaped.volumes)}")
    if not reaped.outcomes and not reaped.planned:
        output.note("nothing to clean up")


def _force(session: Session, project: str, dry: bool) -> int:
    from stackctl.ops.unmanaged import end_unmanaged, made_elsewhere, unmanaged

    if made_elsewhere(session.context, project):
        return _lose(session, project, dry)
    if dry:
        _, found, left = unmanaged(session.context, project)
        containers, networks = len(found), len(left)
    else:
        command_line = session.command("reap --force", project)
        containers, networks = end_unmanaged(session.context, project, command=command_line)
    session.output.result({"project": project, "containers": containers, "networks": networks, "dry": dry})
    what = f"{plural(containers, 'container')} and {plural(networks, 'network')}"
    session.output.line(f"{project}: {what} {'would be ' if dry else ''}removed, data kept")
    return 0


def _lose(session: Session, project: str, dry: bool) -> int:
    from stackctl.ops.unmanaged import lose_elsewhere

    if not dry:
        lose_elsewhere(session.context, project, command=session.command("reap --force", project))
    session.output.result({"project": project, "containers": 0, "networks": 0, "dry": dry})
    session.output.line(f"{project}: {'would be ' if dry else ''}recorded as lost with its engine, data kept")
    return 0


@command("adopt")
@click.argument("project", metavar="PROJECT")
@click.option("--lifetime", metavar="TIME", help="How long it may live from now (12h unless set).")
def adopt_command(session: Session, project: str, lifetime: str | None) -> None:
    """Take on an environment whose record was lost: its record is made anew from what runs of it.

    Limits are taken as the engine has them; from then on it is watched and ended like any other.
    """
    from stackctl.core.limits import effective
    from stackctl.ops.unmanaged import adopt

    found, _ = effective(session.configuration.limits, ceilings=session.machine.ceilings)
    seconds = duration(lifetime, "--lifetime", found.limits.lifetime)
    ceiling = session.machine.ceilings.get("lifetime")
    if ceiling is not None and seconds > ceiling.value:
        raise UsageError(
            f"--lifetime {lifetime} is above this machine's ceiling of {show_duration(ceiling.value)}",
            hint=f"the ceiling stands in {ceiling.origin}",
        )
    record = adopt(
        session.context,
        project,
        lifetime=seconds,
        root=_root(session.places.checkout, project, str(session.places.home)),
        command=session.command("adopt", project),
    )
    session.output.result({"project": record.project, "services": sorted(record.services)})
    session.output.line(
        f"{record.project} is managed again: {plural(len(record.services), 'service')}, "
        f"{show_duration(seconds)} left"
    )


def _root(checkout: Sequence[object], project: str, home: str) -> str:
    """The folder whose stacks have this project's hash, as far as it is one that can be seen from here."""
    from stackctl.core.names import project_name

    stack = project.rpartition("-")[0]
    roots = [*map(str, checkout), home]
    return next((root for root in roots if stack and project_name(stack, root, "") == project), "")
