"""The phases of environments and of tasks."""

from __future__ import annotations

from typing import Literal, get_args

Phase = Literal[
    "pending",
    "starting",
    "running",
    "stopping",
    "stopped",
    "succeeded",
    "failed",
    "cancelled",
    "expired",
    "killed",
    "lost",
]
"""`pending`, `succeeded` and `cancelled` are a task's alone, `stopped` an environment's."""
PHASES: tuple[str, ...] = get_args(Phase)
LIVE: frozenset[str] = frozenset({"pending", "starting", "running", "stopping"})
