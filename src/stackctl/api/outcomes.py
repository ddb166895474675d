"""What comes of a task, and of a command in a container."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord

OUTPUT = "output.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The most that was read of a task's own container.

    Args:
        memory: Working set in bytes; 0 when it ended before anything was read.
        pids: Processes and threads; 0 likewise.
    """

    memory: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a task ended.

    Args:
        id: 12 hex digits.
        name: What it was called, empty for nothing.
        key: What tells it from the others of its orchestrator, empty for none.
        phase: `succeeded`, `failed`, `cancelled`, `expired`, `killed` or `lost`.
        exit_code: Its own where it ended by itself; else 124 for its lifetime, 137 for a limit, 143 where it
            was cancelled, 125 where stackctl failed.
        reason: One sentence on why it ended.
        incident: Id of the incident where a limit or its lifetime ended it (`stackctl why ID`), else empty.
        peaks: The most that it used.
        started, finished: Seconds since the epoch by the engine's clock, 0 where it never started.
        folder: Where its record, its output and its sidecars' data are.
    """

    id: str
    name: str
    key: str
    phase: str
    exit_code: int
    reason: str
    incident: str
    peaks: Peaks
    started: float
    finished: float
    folder: Path

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.phase == "succeeded"

    @property
    def seconds(self) -> float:
        """How long it ran; 0 where it never started."""
        return max(0.0, self.finished - self.started) if self.started else 0.0

    def logs(self) -> str:
        """What both its streams had, in order; what is no UTF-8 is replaced; empty where it left none."""
        return read_output(self.folder)


def read_output(folder: Path) -> str:
    """What was kept of what a task wrote; empty where nothing was."""
    try:
        return (folder / OUTPUT).read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ""


def outcome_of(record: EnvironmentRecord, folder: Path) -> Outcome:
    """The outcome of a task that has ended.

    Args:
        folder: The task's.
    """
    from stackctl.core.tasks import exit_code_of, task_line

    line = task_line(record)
    return Outcome(
        id=line.id,
        name=line.name,
        key=line.key,
        phase=line.phase,
        exit_code=exit_code_of(record),
        reason=line.reason,
        incident=line.incident,
        peaks=Peaks(memory=line.peak_memory, pids=line.peak_pids),
        started=line.started,
        finished=line.finished,
        folder=folder,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a command in a container ended.

    Args:
        exit_code: Its exit code; 126 or 127 where there is no such program in the container.
        stdout, stderr: What it wrote to each; what is no UTF-8 is replaced.
        output: Both, in the order in which they were written.
    """

    exit_code: int
    stdout: str
    stderr: str
    output: str

    @property
    def ok(self) -> bool:
        """Whether its exit code is 0."""
        return self.exit_code == 0


def completed_of(code: int, written: tuple[tuple[int, bytes], ...]) -> Completed:
    """A command's end from its exit code and what it wrote, in order: (1 or 2, bytes)."""

    def joined(*streams: int) -> str:
        return b"".join(data for stream, data in written if stream in streams).decode(errors="replace")

    return Completed(exit_code=code, stdout=joined(1), stderr=joined(2), output=joined(1, 2))
