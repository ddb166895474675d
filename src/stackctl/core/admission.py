"""What may run at once: the sum of the limits of all running tasks stays within a budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.errors import UsageError
from stackctl.core.names import shorten
from stackctl.core.units import format_size, parse_cpus, parse_size, show_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackctl.core.records import ServiceRecord

_NANO = 1_000_000_000
EXAMPLE = "memory=16g,cpus=8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a task may use with all its sidecars.

    Args:
        memory: Bytes.
        nano_cpus: Processors in the engine's own unit, whole numbers so that sums are exact.
    """

    memory: int = 0
    nano_cpus: int = 0

    def __add__(self, other: Demand) -> Demand:
        return Demand(memory=self.memory + other.memory, nano_cpus=self.nano_cpus + other.nano_cpus)

    @property
    def words(self) -> str:
        """For messages."""
        return f"{show_size(self.memory)} of memory and {self.nano_cpus / _NANO:g} cpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What all tasks that run at once may use together.

    Args:
        memory: Bytes.
        nano_cpus: As in `Demand`.
        tasks: The most that run at once.
    """

    memory: int
    nano_cpus: int
    tasks: int

    def holds(self, demand: Demand) -> bool:
        """Whether so much fits into it."""
        return demand.memory <= self.memory and demand.nano_cpus <= self.nano_cpus

    @property
    def words(self) -> str:
        """For messages."""
        return Demand(memory=self.memory, nano_cpus=self.nano_cpus).words


def demand_of(services: Mapping[str, ServiceRecord], host_cpus: int) -> Demand:
    """What a task's services may use together; no single one more processors than the host has."""
    every = services.values()
    return Demand(
        memory=sum(one.memory * one.replicas for one in every),
        nano_cpus=sum(round(_lowered(one.cpus, host_cpus) * _NANO) * one.replicas for one in every),
    )


def _lowered(cpus: float, host: int) -> float:
    return min(cpus, float(host)) if host > 0 else cpus


def host_budget(memory: int, cpus: int, tasks: int) -> Budget:
    """The whole of the engine's host; what it does not say (0) bounds nothing."""
    return Budget(memory=memory or 1 << 62, nano_cpus=cpus * _NANO or 1 << 62, tasks=tasks)


def parse_budget(text: str, otherwise: Budget) -> Budget:
    """Read `memory=16g,cpus=8`; what is not named stays as it was.

    Raises:
        UsageError: It cannot be read.
    """
    found = {"memory": otherwise.memory, "cpus": otherwise.nano_cpus}
    for part in text.split(","):
        name, sign, value = part.partition("=")
        name = name.strip()
        if not sign or name not in found:
            raise UsageError(f"--budget cannot take `{shorten(part)}`", hint=f"such as --budget {EXAMPLE}")
        try:
            found[name] = parse_size(value) if name == "memory" else round(parse_cpus(value) * _NANO)
        except ValueError as error:
            raise UsageError(f"--budget {name}: {error}", hint=f"such as --budget {EXAMPLE}") from None
    return Budget(memory=found["memory"], nano_cpus=found["cpus"], tasks=otherwise.tasks)


def admit(waiting: Sequence[Demand], running: Iterable[Demand], budget: Budget) -> int:
    """How many of those that wait may start now: the first ones, strictly in order.

    What does not fit lets nothing behind it pass, so that everything that fits alone starts some time.
    """
    used = list(running)
    total = sum(used, Demand())
    room = budget.tasks - len(used)
    for count, demand in enumerate(waiting):
        if count >= room or not budget.holds(total + demand):
            return count
        total += demand
    return len(waiting)


def misfit(task: str, demand: Demand, budget: Budget) -> tuple[str, str]:
    """Why a task can never start, and what to do about it; two empty texts where it can."""
    if budget.holds(demand):
        return "", ""
    least = f"memory={format_size(demand.memory)},cpus={demand.nano_cpus / _NANO:g}"
    name = shorten(task)
    message = f"task `{name}` may use {demand.words}, and the budget is {budget.words}: it never fits"
    lower = "lower its limits (`limits: {memory: 512m}`, or `--limit memory=512m` for all)"
    return message, f"{lower}, or raise the budget (`--budget {least}`)"
