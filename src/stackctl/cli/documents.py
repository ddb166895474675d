"""`render`, `diff`, `limits`: what a stack file comes to, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackctl.cli.choosing import Chosen, prepared_choice, prepared_stack
from stackctl.cli.command import command, instance_option, name_or_folder
from stackctl.core.errors import PolicyError, StateError, UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.ops.preparing import Prepared

SET = click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable (sidecar.name too)."
)


@command("render")
@name_or_folder
@SET
@click.option("--output", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write it there.")
@click.option("--check", is_flag=True, help="With --output: exit 1 when FILE is not what would be written.")
def render_command(
    session: Session, name: str | None, given: Sequence[str], target: Path | None, check: bool
) -> int:
    """Print the bounded compose document of a stack, the same bytes on every machine.

    What belongs to a host stands in it as `${STACKCTL_…}` and is filled by `up`. Without NAME, that of the
    compose file of this folder.
    """
    prepared = prepared_choice(session, Chosen(name), given)
    if target is None and check:
        raise UsageError("--check needs --output FILE", hint="name the file that is to be checked")
    if target is None:
        session.output.result({"document": prepared.bounded.document})
        session.output.line(prepared.text.rstrip("\n"))
        return 0
    return _check(session, prepared, target) if check else _write(session, prepared, target)


def _write(session: Session, prepared: Prepared, target: Path) -> int:
    from stackctl.state.atomic import write_atomic

    write_atomic(target.absolute(), prepared.text.encode(), mode=0o644)
    session.output.result({"file": str(target)})
    session.output.note(f"wrote {target}")
    return 0


def _check(session: Session, prepared: Prepared, target: Path) -> int:
    try:
        same = target.read_text() == prepared.text
    except FileNotFoundError:
        same = False
    except OSError as error:
        raise StateError(f"{target} cannot be read: {error.strerror}") from error
    session.output.result({"file": str(target), "same": same}, ok=same)
    again = f"stackctl render {prepared.stack.name} --output {target}"
    session.output.line(f"{target} is up to date" if same else f"{target} is out of date; run `{again}`")
    return 0 if same else 1


@command("diff")
@name_or_folder
@instance_option
@SET
def diff_command(session: Session, name: str | None, instance: str, given: Sequence[str]) -> int:
    """Show what `up` would change in what runs; exits 1 when it would change anything."""
    from difflib import unified_diff

    from stackctl.ops.looking import look
    from stackctl.ops.remote_files import settled
    from stackctl.ops.up import plan, plan_words
    from stackctl.ops.volumes import with_kept_volumes

    prepared = prepared_choice(session, Chosen(name, instance=instance), given)
    record = session.store.read(prepared.project)
    if record.on_swarm if record is not None else prepared.stack.engine == "swarm":
        from stackctl.cli.swarm import diff_swarm

        return diff_swarm(session, prepared)
    scene = look(session.context, prepared.project)
    prepared = settled(scene.facts, with_kept_volumes(prepared, scene.record))
    planned = plan(session.context, scene, prepared)
    same = all(change.kind == "keep" for change in planned)
    running = _running_text(session, prepared) if scene.containers else ""
    lines = list(
        unified_diff(running.splitlines(), prepared.text.splitlines(), "running", "stack file", lineterm="")
    )
    session.output.result({"changes": plan_words(planned), "diff": "\n".join(lines)}, ok=same and not lines)
    for change in planned:
        session.output.line(str(change))
    for line in lines if scene.containers else ():
        session.output.line(line)
    return 0 if same and not lines else 1


def _running_text(session: Session, prepared: Prepared) -> str:
    path = session.store.folder(prepared.project) / "compose.yaml"
    return path.read_text() if path.is_file() else ""


@command("limits")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Show it with this limit set.")
@click.option("--suggest", "suggest", is_flag=True, help="Propose limits from what its services used.")
@click.option("--write", "write", is_flag=True, help="With --suggest: write them into the stack file.")
def limits_command(
    session: Session, name: str | None, limits: Sequence[str], suggest: bool, write: bool
) -> None:
    """Show each limit, what it bounds, and where it came from, for a stack or in general.

    --suggest proposes limits from the peaks that the supervisor measured: memory half as much again, twice
    the processes. Without NAME it means the compose file of this folder.
    """
    if write and not suggest:
        raise UsageError("--write goes with --suggest", hint="`stackctl limits NAME --suggest --write`")
    if suggest:
        from stackctl.cli.suggesting import suggest_limits

        suggest_limits(session, prepared_choice(session, Chosen(name), (), limits), write)
        return
    from stackctl.cli.values import limit_layer
    from stackctl.ops.limits import general_limits, stack_limits

    if name:
        prepared = prepared_stack(session, name, "", (), limits)
        rows = stack_limits(prepared)
    else:
        rows, wrong = general_limits(session.configuration, session.machine, limit_layer(limits))
        if wrong:
            raise PolicyError("; ".join(wrong), hint="ask for less, or have the machine's policy changed")
    session.output.result([row.as_data() for row in rows])
    if session.output.json:
        return
    headings = ("SERVICE", "LIMIT", "VALUE", "ACTS AT", "FROM", "WHAT IT BOUNDS")
    table = [(r.service, r.name, r.value, r.threshold, r.origin, r.sentence) for r in rows]
    if name:
        session.output.table(headings, table)
    else:
        session.output.table(headings[1:], [row[1:] for row in table])
