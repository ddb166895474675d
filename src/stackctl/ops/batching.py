"""A batch: a file's tasks through one scheduler, and one line in the results for each that has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from stackctl.core.batch_results import (
    FAILED_FAST,
    any_bad,
    counts,
    is_outcome,
    outcomes,
    result_of,
)
from stackctl.core.errors import UsageError
from stackctl.core.names import short_hash, task_project
from stackctl.core.records import LIVE
from stackctl.core.tasks import task_line

if TYPE_CHECKING:
    from pathlib import Path

    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.tasks import TaskLine
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Store
    from stackctl.ops.scheduling import Scheduler
    from stackctl.ops.task_preparing import PreparedTask
    from stackctl.state.results import Results

TAIL = 16384
"""Bytes of a task's output that its last lines are looked for in."""


def holder_of(results: Path) -> str:
    """Whose the tasks of a batch are: they are found again by where its results are."""
    return f"batch-{short_hash(str(results), 12)}"


class Batch:
    """One run over a file's tasks.

    Args:
        context: For the thread that begins.
        results: Where they are written.
        fail_fast: The first task that goes wrong ends the run.
        told: Called for each task that has ended for good, from any thread.
    """

    def __init__(
        self,
        *,
        context: Context,
        results: Results,
        fail_fast: bool,
        told: Callable[[TaskLine], None],
    ) -> None:
        self._context, self._results, self._fail_fast = context, results, fail_fast
        self._told, self._guard = told, Lock()
        self._scheduler: Scheduler | None = None
        self._keys: set[str] = set()
        self.interrupted = 0

    def begin(self, scheduler: Scheduler, tasks: Sequence[PreparedTask], *, resume: bool) -> None:
        """Open the results, take over what an earlier run left, and put the rest in line.

        Raises:
            UsageError: There are results and it is no resumption; or there are none, and tasks of an earlier
                run with the same results have not ended.
            StateError: The results cannot be read or written.
        """
        self._scheduler = scheduler
        self._keys = {one.spec.key for one in tasks}
        store, holder = self._context.store, scheduler.holder
        if not self._results.path.exists():
            store.write_past(holder, self._earlier(store, holder))
        self._results.open(resume=resume)
        found = scheduler.recover(but=store.past(holder))
        for key, line in outcomes(found.ended).items():
            if key in self._keys:
                self._write(line)
        live = {ticket.key for ticket in found.running}
        for task in tasks:
            if task.spec.key not in self._results.found and task.spec.key not in live:
                scheduler.enqueue(task)

    def _earlier(self, store: Store, holder: str) -> list[str]:
        """The ids of an earlier run's tasks, whose results are gone: they are not this one's.

        Raises:
            UsageError: One of them has not ended.
        """
        recent = [one for one in store.records() if one.task and one.task.holder == holder]
        live = [one.title for one in recent if one.phase in LIVE]
        if live:
            raise UsageError(
                f"the results `{self._results.path}` are gone, and {len(live)} of their tasks have not ended",
                hint=f"`stackctl cancel {' '.join(live[:20])}` ends them; or take another file with --out",
            )
        old = [one.id for one in store.finished_tasks() if one.holder == holder]
        return sorted({*old, *(one.title for one in recent)})

    def ended(self, record: EnvironmentRecord) -> None:
        """Write a task's result down; called by its thread.

        Raises:
            StateError: It cannot be written.
        """
        line = task_line(record)
        if not is_outcome(line):
            with self._guard:
                self.interrupted += 1
            return
        self._write(line)
        if self._fail_fast and self._scheduler is not None and any_bad(counts([line.phase])):
            self._scheduler.stop(FAILED_FAST)

    def _write(self, line: TaskLine) -> None:
        output = self._context.store.output_tail(task_project(line.id), TAIL)
        if self._results.add(result_of(line, output.decode(errors="replace"))):
            self._told(line)

    def summary(self) -> dict[str, Any]:
        """How the whole batch stands, with what earlier runs did."""
        found = {key: one for key, one in self._results.found.items() if key in self._keys}
        tally = counts(str(one["phase"]) for one in found.values())
        left = len(self._keys) - len(found)
        return {
            "results": str(self._results.path),
            "tasks": len(self._keys),
            "counts": tally,
            "interrupted": min(self.interrupted, left),
            "not_started": max(0, left - self.interrupted),
            "ok": not any_bad(tally) and not left,
        }
