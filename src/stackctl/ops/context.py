"""What a use case works with: the engine, the store, the clock, the settings, and whom to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from stackctl.core.stack import Configuration, MachinePolicy

if TYPE_CHECKING:
    from stackctl.ops.protocols import Clock, Engine, Store


class Progress(Protocol):
    """Who is told how a use case is coming along; it must never raise."""

    def step(self, text: str) -> None:
        """One sentence about what begins now."""

    def services(self, states: Mapping[str, str]) -> None:
        """How the services stand: name -> one or two words."""

    def warn(self, text: str) -> None:
        """One sentence that the user must see although the command goes on."""


class Silence:
    """A `Progress` that tells nobody."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def services(self, states: Mapping[str, str]) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything outside that a use case may touch.

    Args:
        user: Numeric id of the caller, who owns what is made.
        group: Numeric group id of the caller.
    """

    engine: Engine
    store: Store
    clock: Clock
    user: int
    group: int
    configuration: Configuration = field(default_factory=Configuration)
    machine: MachinePolicy = field(default_factory=MachinePolicy)
    progress: Progress = field(default_factory=Silence)
