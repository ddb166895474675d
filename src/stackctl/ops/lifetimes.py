"""How much of an environment's lifetime is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.protocols import Clock


def time_left(clock: Clock, record: EnvironmentRecord) -> float:
    """Seconds of a lifetime that are left, suspended time counted; negative when it is over."""
    now = clock.now()
    return record.deadline.left(wall=now.wall, boottime=now.boottime, boot=now.boot)
