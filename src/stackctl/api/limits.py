"""What a caller says of limits, before the defaults and this machine's ceilings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from stackctl.core.limits import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits for a task's container, or for every service of an environment; None leaves one as it is.

    What is not said here comes from the stack's file, the user's configuration, or the defaults that
    `stackctl limits` shows.

    Args:
        memory: Bytes, or text such as "512m" or "8g".
        swap: Memory and swap together, as `memory`; equal to it means no swap, which is the default.
        pids: Processes and threads.
        cpus: Processors' worth of time, such as 0.5.
        lifetime: Seconds, or text such as "90s", "20m" or "12h"; after it stackctl ends the whole.

    Raises:
        UsageError: One cannot be read, is zero, or is unlimited.
    """

    memory: int | str | None = None
    swap: int | str | None = None
    pids: int | None = None
    cpus: float | str | None = None
    lifetime: float | str | None = None

    def __post_init__(self) -> None:
        self.layer()

    def plain(self) -> dict[str, int | float | str]:
        """What was said, by name."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in said.items() if value is not None}

    def layer(self) -> Layer:
        """What was said, read.

        Raises:
            UsageError: A limit cannot be read.
        """
        from stackctl.core.limits import parse_layer

        said = self.plain()
        layer, wrong = parse_layer(said, dict.fromkeys(said, "Limits"))
        for name, sentence in wrong.items():
            raise UsageError(
                f"Limits({name}=…): {sentence}", hint='such as Limits(memory="2g", lifetime="1h")'
            )
        return layer
