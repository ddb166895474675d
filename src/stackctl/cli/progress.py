"""How a command that takes a while tells what it does: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

    from stackctl.cli.output import Output
    from stackctl.ops.context import Progress


class PlainProgress:
    """One line on stderr for each step, and for each service whose state changed."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._states: dict[str, str] = {}

    def step(self, text: str) -> None:
        """Say what begins."""
        self._output.note(text)

    def services(self, states: Mapping[str, str]) -> None:
        """Say whose state changed."""
        for name, words in states.items():
            if self._states.get(name) != words:
                self._output.note(f"  {name}: {words}")
        self._states = dict(states)

    def warn(self, text: str) -> None:
        """Warn."""
        self._output.warn(text)


class LiveProgress(PlainProgress):
    """A spinner with the step and the services that are not ready yet; it leaves no trace."""

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._status: Status | None = None
        self._step = ""

    def step(self, text: str) -> None:
        """Show what begins."""
        self._step = text
        self._show(text)

    def services(self, states: Mapping[str, str]) -> None:
        """Show who is waited for."""
        waiting = [f"{name} {words}" for name, words in states.items() if words not in ("healthy", "running")]
        self._show(f"{self._step}: {', '.join(waiting)}" if waiting else self._step)

    def warn(self, text: str) -> None:
        """Warn above the live line."""
        self.stop()
        super().warn(text)

    def stop(self) -> None:
        """Take the live line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _show(self, text: str) -> None:
        from rich.console import Console

        if self._status is None:
            console = Console(stderr=True, no_color=not self._output.color)
            self._status = console.status(text, spinner="dots")
            self._status.start()
            self._output.before_printing = self.stop
        else:
            self._status.update(text)


def progress_for(output: Output) -> Progress:
    """The progress that fits: live where a person looks, plain lines otherwise."""
    return LiveProgress(output) if output.interactive and output.verbosity == 0 else PlainProgress(output)
