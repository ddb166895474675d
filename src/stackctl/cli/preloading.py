"""Loads what a supervisor may need later, while the files that it was started from are still there.

Most modules load others only when they need them. A process that lives for days must not: the package
may be replaced or removed under it, and a mixture of two versions is nothing that anybody tested.
"""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "json",
    "select",
    "traceback",
    "stackctl.core.heartbeat",
    "stackctl.engine.api",
    "stackctl.engine.dialing",
    "stackctl.engine.dialled",
    "stackctl.engine.docker",
    "stackctl.engine.errors",
    "stackctl.engine.events",
    "stackctl.engine.host",
    "stackctl.engine.parse",
    "stackctl.engine.process",
    "stackctl.engine.processes",
    "stackctl.engine.roster",
    "stackctl.engine.sampler",
    "stackctl.engine.stats",
    "stackctl.engine.strays",
    "stackctl.ops.acting",
    "stackctl.ops.supervise",
    "stackctl.state.journal",
    "stackctl.state.notify",
    "stackctl.state.store",
)


def preload() -> None:
    """Load every module that a look, an act, an incident or a hook needs."""
    for name in MODULES:
        import_module(name)
