"""How a batch is told as it goes: a bar where a person looks, a line for each task with `-v` elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stackctl.core.batch_results import BAD
from stackctl.core.units import show_duration

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from stackctl.cli.output import Output
    from stackctl.core.tasks import TaskLine


class Shown:
    """A line for each task that has ended, where that was asked for."""

    def __init__(self, output: Output, total: int) -> None:
        self._output, self._total = output, total
        self._done = 0

    def __enter__(self) -> Self:
        """Begin to show."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show no more."""

    def standing(self, found: Mapping[str, int]) -> None:
        """What earlier runs have done."""
        self._done = max(self._done, sum(found.values()))

    def ended(self, line: TaskLine) -> None:
        """One has ended; from any thread."""
        self._done += 1
        if self._output.verbosity > 0:
            self._output.note(self._words(line))

    def running(self, found: Mapping[Any, int]) -> None:
        """How many wait, are being started, and run."""

    def _words(self, line: TaskLine) -> str:
        took = show_duration(max(0.0, line.finished - line.started)) if line.started else "0s"
        why = "" if line.phase in ("succeeded", "failed") else f" ({line.reason})"
        code = "" if line.exit_code in (None, 0) else f", exit code {line.exit_code}"
        return f"{self._done}/{self._total} {line.key} {line.phase} in {took}{code}{why}"


class Bar(Shown):
    """A bar with how many run, how many went well and how not, and the time that is left."""

    def __init__(self, output: Output, total: int) -> None:
        super().__init__(output, total)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True, no_color=not output.color)
        self._progress = Progress(*columns, console=console, transient=True)
        self._bar = self._progress.add_task("", total=total, words="")
        self._counts: dict[str, int] = {}
        self._running = 0

    def __enter__(self) -> Self:
        """Draw it."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it away."""
        self._progress.stop()

    def standing(self, found: Mapping[str, int]) -> None:
        """What earlier runs have done."""
        super().standing(found)
        self._counts = {**found, **{name: max(found[name], self._counts.get(name, 0)) for name in found}}
        self._draw()

    def ended(self, line: TaskLine) -> None:
        """One more."""
        self._done += 1
        self._counts[line.phase] = self._counts.get(line.phase, 0) + 1
        if self._output.verbosity > 0:
            self._progress.console.print(self._words(line), markup=False, highlight=False)
        self._draw()

    def running(self, found: Mapping[Any, int]) -> None:
        """How many run now."""
        self._running = found["running"] + found["starting"]
        self._draw()

    def _draw(self) -> None:
        well = self._counts.get("succeeded", 0)
        parts = [f"{self._running} running", f"{well} ok"]
        parts += [f"{self._counts[name]} {name}" for name in BAD if self._counts.get(name)]
        self._progress.update(self._bar, completed=self._done, words=", ".join(parts))


def shown(output: Output, total: int) -> Shown:
    """What fits: a bar on a terminal, lines elsewhere."""
    return Bar(output, total) if output.interactive else Shown(output, total)
