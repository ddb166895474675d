"""What a file of tasks comes to: read, looked up, prepared and fitted, with every problem of it at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from stackctl.core.errors import PolicyError, Problem, StackctlError, StackFileError, UsageError

if TYPE_CHECKING:
    from stackctl.cli.batch_sites import Site
    from stackctl.cli.session import Session
    from stackctl.core.admission import Budget
    from stackctl.core.batchfile import BatchTask, Reading
    from stackctl.core.limits import Layer
    from stackctl.core.tasks import Mount, TaskSpec
    from stackctl.ops.task_preparing import PreparedTask

Found = TypeVar("Found")
Pair = tuple["BatchTask", "PreparedTask"]


@dataclass(slots=True)
class _Findings:
    """Everything that is wrong with one file, and the exit code that stands for it."""

    problems: list[Problem] = field(default_factory=list)
    code: int = StackFileError.exit_code

    def attempt(self, task: BatchTask, work: Callable[[], Found]) -> Found | None:
        """What `work` returns, or None and the problem at the task's place."""
        try:
            return work()
        except (UsageError, PolicyError) as error:
            self.problems += _located(task, error)
            self.code = max(self.code, error.exit_code)
            return None

    def refuse(self, task: BatchTask, problems: tuple[Problem, ...]) -> None:
        """Add what a task asks for and cannot have where it is to run."""
        if problems:
            self.problems += _located(task, PolicyError("not there", problems=problems))
            self.code = max(self.code, PolicyError.exit_code)

    def finish(self, source: str) -> None:
        """Raise `StackFileError` with every problem, where there is one."""
        from stackctl.core.syntax import refusal

        if not self.problems:
            return
        refused = refusal(source, tuple(sorted(self.problems, key=lambda one: one.line)))
        refused.exit_code = self.code
        with _advised():
            raise refused


def read_tasks(
    session: Session,
    file: str,
    limits: Layer,
    holder: str,
    site: Site,
) -> tuple[list[PreparedTask], Budget]:
    """The tasks of a file, ready to be put in line, and the budget that each of them fits into.

    Args:
        file: Its path, `-` for standard input.
        limits: Of the command line, for every task.
        holder: Whose they are.
        site: Where they are to run.

    Raises:
        StackFileError: With every problem; where something else than the file is wrong too, that is left.
        EngineUnavailable, TimedOut: Nothing is wrong with the file, and the engine cannot be asked.
    """
    from stackctl.cli.running import kitchen
    from stackctl.ops.task_preparing import prepare_task
    from stackctl.ops.task_starting import new_task_id

    source = "standard input" if file == "-" else file
    reading = _read(file, source, limits)
    findings, beside = _Findings(list(reading.problems)), kitchen(session)
    base = Path.cwd() if file == "-" else Path(file).resolve().parent

    def prepared(task: BatchTask) -> PreparedTask:
        spec = replace(task.spec, holder=holder, key=task.key)
        findings.refuse(task, tuple(site.refused(spec)))
        spec = findings.attempt(task, lambda: _with_mounts(spec, base)) or replace(spec, mounts=())
        return prepare_task(new_task_id(session.context), spec, beside)

    found = [
        (task, one) for task in reading.tasks if (one := findings.attempt(task, partial(prepared, task)))
    ]
    budget = _fitted(session, found, findings, site)
    findings.finish(source)
    if budget is None:
        raise RuntimeError("a file with nothing wrong has its budget")
    return [one for _, one in found], budget


def _read(file: str, source: str, limits: Layer) -> Reading:
    from stackctl.core.batchfile import form_of, read_batch
    from stackctl.ops.finding import read_text

    with _advised("name a readable file of tasks, JSON lines or YAML; `-` is standard input"):
        content = sys.stdin.read() if file == "-" else read_text(Path(file))
    with _advised():
        return read_batch(content, source=source, form=form_of(file), limits=limits)


@contextmanager
def _advised(advice: str = "correct the file; nothing was started") -> Iterator[None]:
    try:
        yield
    except StackFileError as error:
        error.advice = advice
        raise


def _with_mounts(spec: TaskSpec, base: Path) -> TaskSpec:
    from stackctl.ops.task_asking import absolute_mount

    def looked_up(mount: Mount) -> Mount:
        source = base / Path(mount.source).expanduser()
        absolute_mount(f"{source}:{mount.target}", "the mount")
        return replace(mount, source=str(source.resolve()))

    return replace(spec, mounts=tuple(map(looked_up, spec.mounts)))


def _fitted(
    session: Session,
    found: Sequence[Pair],
    findings: _Findings,
    site: Site,
) -> Budget | None:
    """The budget, and a problem for each task that never fits into it; None where that cannot be told."""
    from stackctl.core.admission import demand_of

    try:
        budget = site.budget(session)
    except StackctlError:
        if findings.problems:  # what is wrong with the file can be mended without an engine
            return None
        raise
    for task, one in found:
        demand = demand_of(one.prepared.bounded.services, site.cpus)
        message, hint = site.misfit(task.key, demand)
        if message:
            findings.problems += _located(task, UsageError(message, hint=hint))
    return budget


def _located(task: BatchTask, error: StackctlError) -> list[Problem]:
    """What is wrong with one task, each problem with its place in the file."""
    source = task.spec.source.removesuffix(f":{task.line}")
    inner = error.problems or (Problem(message=error.message, hint=error.hint),)
    return [
        Problem(
            path=task.path,
            message=": ".join(filter(None, (one.path, one.message.removeprefix(f"{task.spec.source}: ")))),
            hint=one.hint,
            source=source,
            line=task.line,
        )
        for one in inner
    ]
