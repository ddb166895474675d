"""What passes between state and engine by way of the use cases: the files of an environment, and the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a name in annotations only: the core never touches a path
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The files that compose is driven with; never the caller's own `.env` or `COMPOSE_*`.

    Args:
        project: Compose project name.
        folder: The environment's folder, compose's project directory.
        document: The bounded document.
        placement: The env file that fills its holes.
    """

    project: str
    folder: Path
    document: Path
    placement: Path


@dataclass(frozen=True, slots=True)
class Instant:
    """The clocks read at once: `wall` since the epoch, `boottime` of CLOCK_BOOTTIME, in seconds."""

    wall: float
    boottime: float
    boot: str
