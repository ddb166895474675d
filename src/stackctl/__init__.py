"""Dev stacks on Docker: rendered, bounded, watched, and cleaned up after a crash.

For programs: `from stackctl import Client, Limits`. Everything here is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stackctl.api.asking import SpecOptions, TaskOptions
    from stackctl.api.client import Client
    from stackctl.api.environments import Environment, ServiceStatus, Status
    from stackctl.api.limits import Limits
    from stackctl.api.orchestrator import Orchestrator, Ticket
    from stackctl.api.outcomes import Completed, Outcome, Peaks
    from stackctl.api.services import Service
    from stackctl.api.tasks import OwnTask, Task
    from stackctl.core.errors import (
        Busy,
        ComposeMissing,
        DaemonDown,
        DaemonFrozen,
        DockerMissing,
        EngineForbidden,
        EngineRefused,
        EngineUnavailable,
        ImageMissing,
        Interrupted,
        LimitsUnenforced,
        NotReady,
        PolicyError,
        PortTaken,
        Problem,
        ServiceFailed,
        StackctlError,
        StackFileError,
        StateError,
        TemplateError,
        TimedOut,
        UnknownName,
        UsageError,
    )
    from stackctl.core.tasks import TaskLine

__all__ = [
    "Busy",
    "Client",
    "Completed",
    "ComposeMissing",
    "DaemonDown",
    "DaemonFrozen",
    "DockerMissing",
    "EngineForbidden",
    "EngineRefused",
    "EngineUnavailable",
    "Environment",
    "ImageMissing",
    "Interrupted",
    "Limits",
    "LimitsUnenforced",
    "NotReady",
    "Orchestrator",
    "Outcome",
    "OwnTask",
    "Peaks",
    "PolicyError",
    "PortTaken",
    "Problem",
    "Service",
    "ServiceFailed",
    "ServiceStatus",
    "SpecOptions",
    "StackFileError",
    "StackctlError",
    "StateError",
    "Status",
    "Task",
    "TaskLine",
    "TaskOptions",
    "TemplateError",
    "Ticket",
    "TimedOut",
    "UnknownName",
    "UsageError",
    "__version__",
]
_ROOMS = {
    "Client": "stackctl.api.client",
    "Completed": "stackctl.api.outcomes",
    "Environment": "stackctl.api.environments",
    "Limits": "stackctl.api.limits",
    "Orchestrator": "stackctl.api.orchestrator",
    "Outcome": "stackctl.api.outcomes",
    "OwnTask": "stackctl.api.tasks",
    "Peaks": "stackctl.api.outcomes",
    "Service": "stackctl.api.services",
    "ServiceStatus": "stackctl.api.environments",
    "SpecOptions": "stackctl.api.asking",
    "Status": "stackctl.api.environments",
    "Task": "stackctl.api.tasks",
    "TaskLine": "stackctl.core.tasks",
    "TaskOptions": "stackctl.api.asking",
    "Ticket": "stackctl.api.orchestrator",
}
"""Where each name is; what is not here is one of the errors."""

if not TYPE_CHECKING:  # a checker would believe that every name is here

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(_ROOMS.get(name, "stackctl.core.errors")), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
