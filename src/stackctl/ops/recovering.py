"""The cheap pass that a command makes over its own environment first: what a dead command left half done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.recovery import well_made
from stackctl.ops.looking import Scene, look
from stackctl.ops.recording import ended
from stackctl.ops.taking_down import take_down

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context


def recover(context: Context, scene: Scene) -> Scene:
    """Finish what a dead command left half done, so that this one starts from a known state.

    For a caller that holds the environment's lock: a live owner would hold it, so the one of a `starting` or
    `stopping` record is dead. What runs under its own name is kept, and Compose makes it what it should be;
    half-made containers are removed, and with `stopping` all of them.
    """
    record = scene.record
    if record is None or record.phase not in ("starting", "stopping"):
        return scene
    context.progress.step(f"cleaning up what an interrupted `{_command_of(record)}` left")
    kept = [c for c in scene.containers if record.phase == "starting" and well_made(record, c)]
    take_down(context, [c for c in scene.containers if c not in kept], () if kept else scene.networks)
    if not kept:
        _record_end(context, record)
    return look(context, scene.project)


def _record_end(context: Context, record: EnvironmentRecord) -> None:
    reason, incident = "an interrupted command was cleaned up", ""
    phase = record.aim if record.phase == "stopping" else "stopped"
    if record.phase == "stopping" and record.ending is not None:
        reason, incident = record.ending.reason, record.ending.incident
    ended(context, record, phase, reason, incident)


def _command_of(record: EnvironmentRecord) -> str:
    return record.lease.command if record.lease and record.lease.command else f"stackctl {record.phase}"
