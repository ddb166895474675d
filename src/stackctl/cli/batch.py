"""`batch`: many tasks from a file, so many at a time, each done once however often we are killed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command
from stackctl.cli.values import limit_layer
from stackctl.cli.words import plural
from stackctl.core.batch_results import INTERRUPTED
from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from types import FrameType

    from stackctl.cli.batch_progress import Shown
    from stackctl.cli.session import Session
    from stackctl.core.admission import Budget
    from stackctl.ops.batching import Batch
    from stackctl.ops.context import Context
    from stackctl.ops.grounds import Ground
    from stackctl.ops.scheduling import Scheduler
    from stackctl.ops.task_preparing import PreparedTask

TICK = 0.1
"""Seconds between two looks at how a batch stands."""
WATCH = 60.0
"""Seconds between two looks whether a supervisor is there."""
AT_ONCE = 10.0
"""Seconds for the tasks of a batch that was interrupted twice to be gone."""
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@command("batch")
@click.argument("file", metavar="FILE")
@click.option("-j", "--jobs", type=click.IntRange(1, 1000), metavar="N", help="Run at most N at a time.")
@click.option("--resume", is_flag=True, help="Go on with what is not finished.")
@click.option("--fail-fast", is_flag=True, help="After the first failure start nothing, end what runs.")
@click.option("--out", metavar="FILE", help="Write the results there (else to FILE.results.jsonl).")
@click.option("--budget", metavar="memory=SIZE,cpus=N", help="What all may use at once (else the host).")
@click.option(
    "--engine",
    type=click.Choice(["local", "swarm"]),
    help="Where: one engine (unless given), or the nodes of the Swarm that it manages.",
)
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Set a limit for every task.")
@click.option("--lifetime", metavar="TIME", help="End a task after so long (12h unless set).")
def batch_command(
    session: Session,
    file: str,
    jobs: int | None,
    resume: bool,
    fail_fast: bool,
    out: str | None,
    budget: str | None,
    engine: str | None,
    limits: Sequence[str],
    lifetime: str | None,
) -> int:
    """Run the tasks of FILE, JSON lines or YAML (`-`: JSON lines from standard input), within a budget.

    Each task that has ended has one line in the results. Killed at any moment, the same command with --resume
    goes on, and each task is done once. 1 if a task failed, was killed, expired or was lost.
    """
    from stackctl.cli.batch_reading import read_tasks
    from stackctl.cli.batch_sites import Wishes, site_of
    from stackctl.core.admission import host_budget, parse_budget
    from stackctl.ops.batching import holder_of

    path = _results_path(file, out)
    if budget:  # its words first; what it is for is read next
        parse_budget(budget, host_budget(1, 1, 1))
    layer = limit_layer(limits, lifetime)
    site = site_of(session, engine, holder_of(path), Wishes(jobs=jobs, budget=budget))
    tasks, most = read_tasks(session, file, layer, holder_of(path), site)
    words = session.command("batch", file)
    return _run(session, tasks, path, most, words, site.ground, resume=resume, fail_fast=fail_fast)


def _run(
    session: Session,
    tasks: Sequence[PreparedTask],
    path: Path,
    budget: Budget,
    words: str,
    ground: Ground,
    *,
    resume: bool,
    fail_fast: bool,
) -> int:
    from stackctl.cli.batch_progress import shown
    from stackctl.cli.running import kitchen
    from stackctl.ops.batching import Batch, holder_of
    from stackctl.ops.scheduling import Scheduler
    from stackctl.state.results import Results

    results = Results(path)
    progress = shown(session.output, len(tasks))
    batch = Batch(context=session.context, results=results, fail_fast=fail_fast, told=progress.ended)
    scheduler = Scheduler(
        contexts=_contexts(session),
        kitchen=kitchen(session),
        budget=budget,
        holder=holder_of(path),
        command=words,
        on_end=batch.ended,
        ground=ground,
    )
    with scheduler.open(), results, progress, _Signals().caught() as signals:
        watch = _watch if ground.supervised else _nobody
        watch(session)
        batch.begin(scheduler, tasks, resume=resume)
        progress.standing(batch.summary()["counts"])
        _stay(session, scheduler, signals, progress, watch)
    return _tell(session, batch, signals)


def _results_path(file: str, out: str | None) -> Path:
    if out is None and file == "-":
        raise UsageError("tasks from standard input need --out FILE", hint="there is no file to write beside")
    path = Path(out if out is not None else f"{file}.results.jsonl")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder `{path.parent}` for the results", hint="make it first")
    return path.resolve()


def _contexts(session: Session) -> Callable[[], Context]:
    """Makes contexts for threads; all that is made only once is made here."""
    from stackctl.ops.context import Silence

    whole = replace(session.context, progress=Silence())
    return lambda: replace(whole, engine=session.engine_at(""))


def _watch(session: Session) -> None:
    from stackctl.cli.watchman import ensure

    ensure(session)


def _nobody(session: Session) -> None:
    """No supervisor watches what runs on the nodes of a Swarm."""


class _Signals:
    """How often somebody asked us to end."""

    def __init__(self) -> None:
        self.heard, self.number = 0, 0

    @contextmanager
    def caught(self) -> Iterator[_Signals]:
        before = {
            number: signal.signal(number, self._hear)
            for number in _ENDS
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard += 1
        self.number = number


def _stay(
    session: Session,
    scheduler: Scheduler,
    signals: _Signals,
    progress: Shown,
    watch: Callable[[Session], None],
) -> None:
    """Stay until every task has ended, or those that run are gone after Ctrl-C: twice means at once."""
    heeded, watched, until = 0, session.clock.now().boottime, float("inf")
    while not scheduler.wait(TICK):
        now = session.clock.now().boottime
        progress.running(scheduler.counts)
        if signals.heard > heeded:
            heeded = signals.heard
            if heeded == 1:
                session.output.note("no new task is started, and those that run are ended; again: at once")
                scheduler.stop(INTERRUPTED)
            else:
                scheduler.kill()
                until = min(until, now + AT_ONCE)
        if now >= until:
            session.output.warn(
                "not every task is gone yet; the supervisor or `stackctl reap` ends what is left"
            )
            return
        if now - watched >= WATCH:
            watched = now
            watch(session)


def _tell(session: Session, batch: Batch, signals: _Signals) -> int:
    summary = batch.summary()
    parts = [f"{count} {phase}" for phase, count in summary["counts"].items() if count]
    parts += [f"{summary[name]} {words}" for name, words in _REST if summary[name]]
    session.output.result(summary, ok=summary["ok"])
    session.output.note(
        f"{plural(summary['tasks'], 'task')}: {', '.join(parts)}; results in {summary['results']}"
    )
    if summary["interrupted"] or summary["not_started"]:
        session.output.note("--resume goes on with what is not finished")
    if signals.number:
        return 128 + signals.number
    return 0 if summary["ok"] else 1


_REST = (("interrupted", "interrupted"), ("not_started", "not started"))
