"""When `up` fails: logs are kept, exactly what it made is removed, the record says what remains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.convergence import standings
from stackctl.core.errors import Interrupted, StackctlError
from stackctl.ops.looking import Scene, look
from stackctl.ops.recording import ended, ids_by_service
from stackctl.ops.taking_down import made_since, take_down

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.core.records import EnvironmentRecord, Phase
    from stackctl.ops.context import Context

KEPT_LINES = 200
SHOWN_LINES = 20
LOOKS = 3
BETWEEN_LOOKS = 0.3
"""Seconds: what was asked of the daemon before its client died may appear that late."""


def undo(context: Context, before: Scene, record: EnvironmentRecord, error: BaseException) -> None:
    """Save the logs, then remove exactly what was made since `before`; the record says what remains."""
    reason = str(error) or type(error).__name__
    try:
        left = _remove_new(context, before, record, error)
    except StackctlError as problem:
        context.progress.warn(f"not everything could be undone: {problem}")
        context.store.write(replace(record, warnings=(f"the last `up` failed: {reason}",)))
        return
    phase = _phase_of(before, left)
    if before.record is not None and phase is not None:
        kept = replace(
            before.record,
            phase=phase,
            placement=record.placement,
            document="",
            lease=before.record.lease if before.record.tied else None,
            containers=ids_by_service(left.containers),
            ending=before.record.ending if phase == "lost" else None,
            warnings=(f"the last `up` failed and was undone: {reason}",),
        )
        context.store.write(kept)
        return
    by_hand = isinstance(error, (KeyboardInterrupt, Interrupted))
    ended(context, record, "stopped" if by_hand else "failed", "interrupted" if by_hand else reason)


def _phase_of(before: Scene, left: Scene) -> Phase | None:
    """What an environment is of which something is left that was there before; None when nothing counts.

    What only exists (after a reboot) is no leftover of a failure: its containers hold what they wrote.
    """
    if any(container.state == "running" for container in left.containers):
        return "running"
    was = before.record.phase if before.record is not None else None
    return was if was in ("running", "lost") and left.containers else None


def _remove_new(context: Context, before: Scene, record: EnvironmentRecord, error: BaseException) -> Scene:
    """Look and remove until nothing new appears: the daemon may still finish what a dead client asked for.

    Returns:
        What is left: less than before where Compose had replaced something.
    """
    for number in range(LOOKS):
        after = look(context, record.project)
        made = made_since(before.containers, after.containers)
        containers = [container for container in after.containers if container in made]
        networks = made_since(before.networks, after.networks)
        if number == 0:
            keep_logs(context, record, containers, error)
            context.progress.step("undoing what this call made")
        take_down(context, containers, [network for network in after.networks if network in networks])
        if number + 1 < LOOKS:
            context.clock.sleep(BETWEEN_LOOKS)
    return look(context, record.project)


def keep_logs(
    context: Context, record: EnvironmentRecord, containers: Sequence[Container], error: BaseException
) -> None:
    """Keep every container's last lines on disk, and show those of the culprits with the error."""
    culprits = {state.culprit for state in standings(record.services, containers) if state.culprit}
    shown = []
    for container in containers:
        tail = context.engine.log_tail(container.id, KEPT_LINES)
        path = context.store.write_log(record.project, container.service, tail)
        lines = tail.rstrip().splitlines()[-SHOWN_LINES:]
        if container.id in culprits and lines:
            shown.append("\n".join([f"last lines of `{container.service}` ({path}):", *lines]))
    if isinstance(error, StackctlError):
        error.details = tuple(shown)
        error.hint = error.hint or f"`stackctl logs {record.stack}` shows what every service wrote"
