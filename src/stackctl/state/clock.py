"""The clocks of this host."""

from __future__ import annotations

import time

from stackctl.core.deployment import Instant
from stackctl.state.leases import boot_id


class SystemClock:
    """The real clock; satisfies the use cases' `Clock`."""

    def __init__(self) -> None:
        self._boot = boot_id()
        # Where there is no CLOCK_BOOTTIME (macOS), CLOCK_MONOTONIC counts sleep as well.
        self._counter = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> Instant:
        """Read the clocks."""
        return Instant(wall=time.time(), boottime=time.clock_gettime(self._counter), boot=self._boot)

    def sleep(self, seconds: float) -> None:
        """Let time pass; not at all when `seconds` is zero or less."""
        if seconds > 0:
            time.sleep(seconds)
