"""From a call's arguments to a task that can be started: every problem at once, before docker is asked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from stackctl.api.world import NAME

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

    from stackctl.api.limits import Limits
    from stackctl.api.world import World
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.tasks import TaskSpec
    from stackctl.ops.task_preparing import PreparedTask
    from stackctl.ops.task_starting import StartOptions

Command: TypeAlias = "str | Sequence[str]"
"""Words, or text that is split as a shell splits it and nothing more: no variables, no pipes."""
WAIT_SECONDS = 120.0


class SpecOptions(TypedDict, total=False):
    """What a task may be given beside its image and command; all of it may be left out.

    Args:
        name: What to call it in lists: a-z, 0-9, `-`, `_` and `.`.
        env: Variables for it.
        mounts: Files and folders of this host that it sees, `SRC:DST` or `SRC:DST:ro`.
        workdir: Absolute path in the container.
        user: User of the container, by name or number.
        network: A network to join, or `none`; else its own where it has sidecars, or the engine's bridge.
        sidecars: Services beside it: `"postgres"` or `"repos=gitea"` each, or by name, a template's name or
            the keys of a stack file's sidecar (`{"db": {"template": "postgres", "reach": ["isolated"]}}`).
        limits: For its container, and the lifetime of all of it.
        sidecar_limits: For sidecars, by name.
        guard: Patterns of orphan processes that are swept after each `exec`, or the keys of a stack file's
            guard.
        allow: Words that policy would else refuse, as in a stack file.
        keep: Its container stays when it has ended, until it is forgotten.
    """

    name: str
    env: Mapping[str, str]
    mounts: Sequence[str]
    workdir: str
    user: str | int
    network: str
    sidecars: Sequence[str] | Mapping[str, str | Mapping[str, Any]]
    limits: Limits
    sidecar_limits: Mapping[str, Limits]
    guard: Sequence[str] | Mapping[str, Any]
    allow: Sequence[str]
    keep: bool


class TaskOptions(SpecOptions, total=False):
    """What a task of this process may be given: `SpecOptions`, and how it is started.

    Args:
        data_from: Whose data its sidecars begin with: the id of a task, the name of an environment, or a
            folder.
        inside: Name of an environment whose network it joins; the image may then be the name of a task that
            its stack defines.
        instance: With `inside`, another environment of the same stack.
        wait_timeout: Seconds until its sidecars must be ready, 120 unless given.
        pull: Ask the registry for newer images even where the engine has one.
        allow_unenforced: Go on where the kernel cannot enforce a limit.
    """

    data_from: str | Path
    inside: str
    instance: str
    wait_timeout: float
    pull: bool
    allow_unenforced: bool


_READ = ("name", "env", "mounts", "workdir", "user", "network", "sidecars", "limits", "guard", "allow")
"""What is read as a batch's task is."""


def ask(
    world: World, image: str, command: Command, options: SpecOptions, known: type = TaskOptions
) -> TaskSpec:
    """The spec of a task.

    Args:
        known: Whose keys are options.

    Raises:
        TypeError: There is no such option.
        UsageError: Something of it is wrong; with every problem that reading it shows.
    """
    from stackctl.core.task_requests import read_request
    from stackctl.ops.task_asking import absolute_mount

    names = known.__annotations__
    unknown = sorted(options.keys() - names.keys())
    if unknown:
        raise TypeError(f"a task has no option {unknown[0]!r} here; it has {', '.join(names)}")
    raw = {name: _plain(value) for name, value in options.items() if name in _READ and value is not None}
    raw["image"] = image
    if command:
        raw["command"] = _plain(command)
    if isinstance(raw.get("guard"), list):
        raw["guard"] = {"patterns": raw["guard"]}
    mounts = raw.get("mounts")
    if isinstance(mounts, list):
        raw["mounts"] = [absolute_mount(str(one), "mounts:", world.folder) for one in mounts]
    spec = read_request(raw)
    others = {name: one.layer() for name, one in (options.get("sidecar_limits") or {}).items()}
    return replace(spec, sidecar_limits=others, keep=bool(options.get("keep", False)))


def _plain(value: Any) -> Any:
    """A caller's value as the plain data that a file would hold."""
    from stackctl.api.limits import Limits

    if isinstance(value, Limits):
        return value.plain()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_plain(one) for one in value]
    return value


def prepare(world: World, spec: TaskSpec, *, holder: str = "", key: str = "") -> PreparedTask:
    """The task, rendered and bounded; its id is new.

    Raises:
        UsageError: Something of it is wrong.
        PolicyError: It asks for what policy refuses.
    """
    from stackctl.ops.task_preparing import prepare_task
    from stackctl.ops.task_starting import new_task_id

    spec = replace(spec, holder=holder, key=key)
    return prepare_task(new_task_id(world.context()), spec, world.kitchen)


def project_of(world: World, name: str, instance: str) -> str:
    """The project of an environment that a task is to run in, empty for none.

    Raises:
        UnknownName: There is no such environment.
    """
    from stackctl.ops.naming import environment

    return environment(name, instance, world.places, world.store).project if name else ""


def as_defined(world: World, spec: TaskSpec, project: str) -> TaskSpec:
    """The task as the stack of the environment that it runs in defines it; as it is where that does not.

    Raises:
        StackFileError: The stack's file cannot be read any more.
    """
    from stackctl.core.errors import UnknownName
    from stackctl.ops.task_asking import defined

    record = world.store.read(project) if project else None
    if record is None:
        return spec
    try:
        return defined(record, spec)
    except UnknownName:  # then it is an image
        return spec


def started_with(world: World, options: TaskOptions, *, inside: str, tied: bool = True) -> StartOptions:
    """How the task is started.

    Args:
        inside: Project of the environment that it runs in, empty for none.
        tied: It ends with this process.

    Raises:
        UnknownName: There is no such data to begin with.
        UsageError: That data is not at rest.
    """
    from stackctl.ops.naming import environment
    from stackctl.ops.task_asking import data_folder
    from stackctl.ops.task_starting import StartOptions

    word = os.fspath(options.get("data_from") or "")

    def named(name: str) -> EnvironmentRecord:
        return environment(name, "", world.places, world.store)

    return StartOptions(
        command=NAME,
        tied=tied,
        wait_timeout=options.get("wait_timeout", WAIT_SECONDS),
        inside=inside,
        data_from=data_folder(word, named, world.store),
        pull=bool(options.get("pull")),
        allow_unenforced=bool(options.get("allow_unenforced")),
    )
