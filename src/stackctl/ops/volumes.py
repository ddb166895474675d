"""Earlier volumes of an environment: found on its first `up`, used when asked for, then remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import Busy, EngineRefused, UnknownName, UsageError
from stackctl.core.labels import PREFIX
from stackctl.core.names import nearest
from stackctl.core.records import LIVE
from stackctl.core.volumes import (
    PROJECT_LABEL,
    VOLUME_LABEL,
    earlier_volumes,
    own_volumes,
    project_word,
    with_volumes,
)
from stackctl.ops.preparing import with_bounded

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context
    from stackctl.ops.looking import Scene
    from stackctl.ops.preparing import Prepared

PROJECT_NAME = "COMPOSE_PROJECT_NAME"
"""The variable that names a project for plain Compose."""


def settle_volumes(
    context: Context, scene: Scene, prepared: Prepared, wanted: str, plain_name: str = ""
) -> Prepared:
    """The stack with the volumes that it is to use: those of an earlier project, or its own.

    Args:
        wanted: The project whose volumes the caller asked for; empty for what the stack file says, else what
            the environment used last.
        plain_name: What the caller's environment has plain Compose call the project, if it says.

    Raises:
        UsageError: The environment is up with other volumes.
        UnknownName: The project has none of the stack's volumes.
        EngineRefused: A volume that the environment uses is gone, or is another one now.
        Busy: Something that runs uses one of them.
    """
    record, wanted = scene.record, wanted or prepared.stack.use_volumes_of
    if record is not None and record.kept_volumes and wanted in ("", record.volumes_of):
        wanted, kept = record.volumes_of, dict(record.kept_volumes)
        _check_there(context, record, wanted)
    elif wanted:
        kept = _chosen(context, prepared, wanted)
        if scene.containers:
            raise UsageError(
                f"`{scene.project}` is up with other volumes, and its containers would keep them",
                hint=f"`stackctl down {prepared.stack.name}` first; its data is kept",
            )
    else:
        _tell_earlier(context, scene, prepared, plain_name)
        return prepared
    _check_unused(context, scene.project, wanted, kept)
    return _using(prepared, wanted, kept)


def with_kept_volumes(prepared: Prepared, record: EnvironmentRecord | None) -> Prepared:
    """The stack with the volumes that its environment is remembered to use."""
    if record is None or not record.kept_volumes:
        return prepared
    return _using(prepared, record.volumes_of, record.kept_volumes)


def with_volumes_of(
    context: Context, record: EnvironmentRecord, prepared: Prepared, project: str
) -> EnvironmentRecord:
    """The record of an environment that goes on with the named volumes of the one that it was.

    Volumes of an earlier project that it used already, it keeps; a volume that was made beside those is told.

    Args:
        project: What it was called.
    """
    found = earlier_volumes(prepared.bounded.document, context.engine.volumes({PROJECT_LABEL: project}))
    left = sorted(name for key, name in found.items() if key not in record.kept_volumes)
    if not record.kept_volumes:
        return replace(record, volumes_of=project if found else "", kept_volumes=found)
    if left:
        context.progress.warn(f"{', '.join(f'`{name}`' for name in left)} cannot be taken along, and is kept")
    return record


def remaining_volumes(context: Context, record: EnvironmentRecord) -> tuple[str, ...]:
    """Names of the engine's volumes that an environment made or used; nothing here removes them."""
    labels = {f"{PREFIX}home": context.store.identity, f"{PREFIX}project": record.project}
    made = {one.name for one in context.engine.volumes(labels)}
    return tuple(sorted(made | set(record.kept_volumes.values())))


def _using(prepared: Prepared, project: str, kept: Mapping[str, str]) -> Prepared:
    document = with_volumes(prepared.bounded.document, kept)
    return replace(with_bounded(prepared, document), volumes_of=project, kept_volumes=kept)


def checked_project(word: str | None) -> str:
    """The project that `--use-volumes-of` names, empty where it is not given.

    Raises:
        UsageError: It cannot be one.
    """
    try:
        return "" if word is None else project_word(word)
    except ValueError as error:
        hint = "`docker volume ls --format '{{.Name}}'` shows them: `<project>_<volume>`"
        raise UsageError(f"--use-volumes-of: {error}", hint=hint) from None


def _check_there(context: Context, record: EnvironmentRecord, project: str) -> None:
    there = {one.name: one for one in context.engine.volumes({PROJECT_LABEL: project})}
    for key, name in record.kept_volumes.items():
        if name not in there or there[name].labels.get(VOLUME_LABEL) != key:
            raise EngineRefused(
                f"the volume `{name}` of the project `{project}`, which `{record.project}` uses, is gone",
                hint=f"bring it back, or choose anew: `stackctl up {record.stack} --use-volumes-of PROJECT`; "
                f"`stackctl purge {record.stack}` forgets it",
            )


def _chosen(context: Context, prepared: Prepared, project: str) -> dict[str, str]:
    document = prepared.bounded.document
    kept = earlier_volumes(document, context.engine.volumes({PROJECT_LABEL: project}))
    if not kept:
        raise _none_of(context, prepared, project)
    for key in own_volumes(document):
        if key not in kept:
            context.progress.warn(f"`{project}` has no volume `{key}`, so a new one is made")
    return kept


def _none_of(context: Context, prepared: Prepared, project: str) -> UnknownName:
    """That a project has no volume for the stack, and which projects have one."""
    keys = own_volumes(prepared.bounded.document)
    every = context.engine.volumes({PROJECT_LABEL: "", VOLUME_LABEL: ""})
    others = sorted({one.labels[PROJECT_LABEL] for one in every if one.labels[VOLUME_LABEL] in keys})
    near = nearest(project, others) or tuple(others)
    listed = ", ".join(f"`{name}`" for name in near[:5])
    asked = f"`{prepared.stack.name}` has {', '.join(keys)}" if keys else "it has no named volume at all"
    return UnknownName(
        f"the project `{project}` has no volume of `{prepared.stack.name}`",
        hint=f"{asked}; such volumes are there of {listed}" if listed else asked,
    )


def _tell_earlier(context: Context, scene: Scene, prepared: Prepared, plain_name: str) -> None:
    """On the first `up` of compose files, say which volumes plain Compose left of them."""
    told = scene.record is not None and bool(scene.record.document)
    if told or not prepared.stack.compose or not own_volumes(prepared.bounded.document):
        return
    from stackctl.ops.composing import plain_project

    project = plain_project(prepared.found, prepared.stack, plain_name)
    found = earlier_volumes(prepared.bounded.document, context.engine.volumes({PROJECT_LABEL: project}))
    if found:
        names = ", ".join(f"`{name}`" for name in sorted(found.values()))
        one = len(found) == 1
        context.progress.warn(
            f"{'volume' if one else 'volumes'} {names} of the project `{project}` "
            f"{'holds' if one else 'hold'} earlier data, and {'is' if one else 'are'} left alone; "
            f"`stackctl down {prepared.stack.name}`, then `up --use-volumes-of {project}` goes on with it"
        )


def _check_unused(context: Context, own: str, project: str, kept: Mapping[str, str]) -> None:
    """Two databases on one volume destroy it.

    Raises:
        Busy: A container of the project runs, or another environment uses one of its volumes.
    """
    names = set(kept.values())
    running = [
        one.name for one in context.engine.containers({PROJECT_LABEL: project}) if one.state == "running"
    ]
    if running and project != own:
        listed = ", ".join(f"`{name}`" for name in sorted(running))
        raise Busy(
            f"{listed} of the project `{project}` runs, and may write to the same volumes",
            hint=f"`docker compose -p {project} stop` ends it",
        )
    for record in context.store.records():
        shared = names & set(record.kept_volumes.values())
        if record.project != own and record.phase in LIVE and shared:
            raise Busy(
                f"`{record.project}` is up and uses {', '.join(f'`{name}`' for name in sorted(shared))}",
                hint=f"`stackctl down {record.project}` first",
            )
