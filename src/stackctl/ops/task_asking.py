"""From the words in which a task is asked for to its spec: mounts, data to begin with, stacks' tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import UnknownName, UsageError
from stackctl.core.names import is_task_id, task_project

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.stack import TaskDefinition
    from stackctl.core.tasks import TaskSpec
    from stackctl.ops.protocols import Store


def absolute_mount(word: str, option: str, base: Path = Path()) -> str:
    """`SRC:DST[:ro]` with its source looked up: absolute, and there.

    Args:
        option: How it was given, for messages.
        base: What a relative source is relative to.

    Raises:
        UsageError: There is nothing at its source.
    """
    source, sign, rest = word.partition(":")
    path = base / Path(source).expanduser()
    if sign and not path.exists():
        raise UsageError(
            f"{option} {word}: there is no file or folder `{source}` on this host",
            hint="make it first; a mount never makes what it shows",
        )
    return f"{path.resolve()}{sign}{rest}"


def data_folder(word: str, named: Callable[[str], EnvironmentRecord], store: Store) -> Path | None:
    """The folder that data is copied from: a task's, an environment's, or any; None where nothing is said.

    Args:
        named: The task or environment that a word means.

    Raises:
        UnknownName: It is none of these.
        UsageError: The task or environment runs, so that its data is not at rest.
    """
    if not word:
        return None
    path = Path(word).resolve() if "/" in word or Path(word).is_dir() else None
    record = named(word) if path is None else owner_of(path, store)
    if path is not None and record is None:
        return path
    check_at_rest(record, word)
    return path or (store.folder(record.project) if record is not None else None)


def check_at_rest(record: EnvironmentRecord | None, word: str) -> None:
    """Raise `UsageError` when a task or environment runs, so that its data changes while it is copied."""
    from stackctl.core.records import LIVE

    if record is not None and record.phase in LIVE:
        raise UsageError(
            f"`{word}` is {record.phase}, so its data is not at rest",
            hint=f"end it first: `stackctl {'cancel' if record.task else 'down'} {record.title}`",
        )


def owner_of(path: Path, store: Store) -> EnvironmentRecord | None:
    """The task or environment in whose folder a path lies; None for any other."""
    for folder in (path, *path.parents):
        if is_task_id(folder.name) and store.folder(task_project(folder.name)) == folder:
            return store.read(task_project(folder.name))
    return next((one for one in store.records() if store.folder(one.project) in (path, *path.parents)), None)


def defined(environment: EnvironmentRecord, spec: TaskSpec) -> TaskSpec:
    """The task that an environment's stack defines under the name that stands where the image does.

    What the spec says beside that wins.

    Raises:
        UnknownName: The stack defines no such task.
        StackFileError: The stack's file cannot be read any more.
    """
    from stackctl.core.limits import Setting
    from stackctl.core.stackfile import parse_stack
    from stackctl.ops.finding import read_text

    source = environment.stack_file
    stack = parse_stack(read_text(_stack_file(environment)), name=environment.stack, source=source)
    task: TaskDefinition | None = stack.tasks.get(spec.image)
    if task is None:
        known = ", ".join(sorted(stack.tasks))
        line = f"`tasks: {{{spec.image}: {{image: IMAGE, command: [WORD, ...]}}}}`"
        raise UnknownName(
            f"the stack `{environment.stack}` defines no task `{spec.image}`",
            hint=f"it defines: {known}" if known else f"one is defined in `{source}`, by a line like {line}",
        )
    lifetime = {"lifetime": Setting(task.lifetime, source)} if task.lifetime else {}
    return replace(
        spec,
        image=task.image,
        command=spec.command or task.command,
        name=spec.name or spec.image,
        environment={**task.environment, **spec.environment},
        limits={**stack.limits, **task.limits, **lifetime, **spec.limits},
        watchdog={**stack.watchdog, **spec.watchdog},
        guard=spec.guard or task.guard,
    )


def _stack_file(environment: EnvironmentRecord) -> Path:
    """The file of an environment's stack, wherever we are: the record has its path as it was shown."""
    shown = Path(environment.stack_file).expanduser()
    folder, name = Path(environment.root) / "stacks", environment.stack
    others = (folder / f"{name}.yaml", folder / f"{name}.yml", folder / name / "stack.yaml")
    return next((one for one in (*others, shown) if one.is_file()), shown)
