"""Limits that the kernel lost since `up` proved them: found by reading, written again by the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused
from stackctl.core.loosening import lost_limits, said

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context


def find_loosened(
    context: Context, record: EnvironmentRecord, containers: Sequence[Container]
) -> dict[str, tuple[str, ...]]:
    """Container id -> what of its limits does not stand in the kernel any more; only where there is any.

    Where cgroups are out of reach nothing is found.
    """
    if record.phase != "running" or not context.engine.local():
        return {}
    running = [one for one in containers if one.state in ("running", "paused")]
    readings = context.engine.readings(running)
    found = {
        one.id: lost_limits(record, one, readings[one.id].limits) for one in running if one.id in readings
    }
    return {key: sentences for key, sentences in found.items() if sentences}


def renew(context: Context, record: EnvironmentRecord, containers: Sequence[Container]) -> str:
    """Have the engine write the limits again, and see that they stand.

    Returns:
        What had been lost, for people.

    Raises:
        EngineRefused: They do not stand all the same.
    """
    lost = find_loosened(context, record, containers)
    if not lost:
        return "they stand again by themselves"
    loose = [one for one in containers if one.id in lost]
    context.engine.renew_limits(loose)
    left = find_loosened(context, record, loose)
    if left:
        words = said({one.service: left[one.id] for one in loose if one.id in left})
        raise EngineRefused(f"its limits cannot be restored: {words}", hint="`stackctl doctor` tells more")
    return f"written again: {said({one.service: lost[one.id] for one in loose})}"
