"""Gathers what `doctor` judges: asks docker, host and state directory, and never fails where they do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.checkup_facts import Disk, EngineSight, HostFacts, Supervisor, Trouble
from stackctl.core.errors import StackctlError
from stackctl.core.limits import DEFAULT, Limits, effective
from stackctl.core.stack import Configuration, MachinePolicy
from stackctl.ops.doctor_engine import Examined, look_at_engine, trouble_of
from stackctl.ops.doctor_host import disk_of, network_interfaces, programs, routes
from stackctl.ops.doctor_state import Surveyed, look_at_state

if TYPE_CHECKING:
    from stackctl.ops.protocols import Clock

Settings = tuple[Configuration, MachinePolicy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined; nothing is asked of it before `examine`.

    Args:
        environ: The environment of the command.
        home: Where the state directory is or will be.
        open_store: Opens it; may raise StackctlError.
        settings: Reads the configuration and the machine's policy; may raise StackctlError.
        program: The path that this command was started by, empty when it is no command.
        supervisor: Tells how the supervisor stands, None without one.
    """

    environ: Mapping[str, str]
    engine: Examined
    clock: Clock
    home: Path
    open_store: Callable[[], Surveyed]
    settings: Callable[[], Settings]
    program: str = ""
    supervisor: Callable[[], Supervisor | None] = lambda: None


def examine(patient: Patient) -> HostFacts:
    """Look at everything, within about 12 seconds whatever the engine does; changes nothing.

    The state directory is looked at after the engine, so that what an `up` makes meanwhile has its record.
    """
    engine = look_at_engine(patient.engine, patient.clock, patient.environ)
    state = look_at_state(patient.home, patient.open_store)
    configuration, limits, trouble = _settings(patient.settings)
    return HostFacts(
        engine=engine,
        state=state,
        disks=tuple(found for found in (_docker_disk(engine), disk_of("state", patient.home)) if found),
        routes=routes(),
        interfaces=network_interfaces(),
        program=programs(patient.program, patient.environ),
        python=sys.version_info[:2],
        python_path=sys.executable,
        configuration=configuration,
        configuration_trouble=trouble,
        limits=limits,
        supervisor=patient.supervisor(),
    )


def _docker_disk(engine: EngineSight) -> Disk | None:
    if engine.facts is None or not engine.facts.local or not engine.facts.data_root:
        return None
    return disk_of("docker", Path(engine.facts.data_root))


def _settings(read: Callable[[], Settings]) -> tuple[Configuration, Limits, Trouble | None]:
    try:
        configuration, machine = read()
    except StackctlError as error:
        return Configuration(), DEFAULT, trouble_of(error)
    found, _ = effective(configuration.limits, ceilings=machine.ceilings)
    return configuration, found.limits, None
