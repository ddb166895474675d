"""`eject`: an environment as a folder that plain Compose runs, its data where it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from stackctl.core.documents import dump
from stackctl.core.dotenv import dotenv
from stackctl.core.ejecting import Belongings, ejected, notes, restarts
from stackctl.core.errors import Busy, UsageError
from stackctl.core.holes import FILES, PROJECT, ROOT, SECRETS, data_hole, hole_name
from stackctl.core.labels import Stamp
from stackctl.core.placement import place
from stackctl.core.rules import says_no
from stackctl.ops.looking import look
from stackctl.ops.placing import connection_files, world_of
from stackctl.ops.volumes import with_kept_volumes
from stackctl.state.ejected_folder import Contents, check_free, write_ejected

if TYPE_CHECKING:
    from pathlib import Path

    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.stack import DataFolder
    from stackctl.ops.context import Context
    from stackctl.ops.looking import Scene
    from stackctl.ops.preparing import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Ejected:
    """What `eject` wrote.

    Args:
        files: At the top of the folder.
        has: What it works with on this host.
    """

    folder: Path
    project: str
    files: tuple[str, ...]
    has: Belongings


def eject(context: Context, prepared: Prepared, folder: Path, *, command: str) -> Ejected:
    """Write a folder that runs a stack without stackctl, on the data that its environment has.

    Raises:
        Busy: The environment is up, and two of them would share its data.
        UsageError: The folder is not free.
        PortTaken, EngineRefused: It cannot be placed on this host.
    """
    check_free(folder)
    with context.store.lock(prepared.project, command=command):
        scene = look(context, prepared.project)
        if scene.facts.remote:
            raise UsageError(
                f"what is ejected mounts folders beside it, and the engine at {scene.facts.host} has none of "
                "this machine",
                hint="eject it with an engine of this machine; `stackctl render NAME` prints the document",
            )
        if scene.containers:
            raise Busy(
                f"`{prepared.stack.name}` is up, and what is ejected uses its data and its ports",
                hint=f"`stackctl down {prepared.stack.name}` first; its data stays",
            )
        return _eject(context, scene, with_kept_volumes(prepared, scene.record), folder)


def _eject(context: Context, scene: Scene, prepared: Prepared, folder: Path) -> Ejected:
    document = ejected(prepared.bounded.document, prepared.rendered.document)
    home = context.store.folder(prepared.project)
    missing = [one for one in prepared.rendered.data if not (home / "data" / one.name).is_dir()]
    values = _values(context, scene, prepared, document, missing)
    has = _belongings(prepared, document, values)
    texts = {
        "compose.yaml": dump(document),
        ".env": dotenv(values),
        "NOTES.md": notes(prepared.stack.name, prepared.project, has),
    }
    contents = Contents(
        texts=texts,
        files=prepared.rendered.files,
        secrets=prepared.rendered.secrets,
        known=_known_secrets(context, scene.record, prepared),
        connections=partial(connection_files, prepared),
        data=missing,
        owner=(context.user, context.group),
    )
    write_ejected(folder, contents)
    return Ejected(folder=folder, project=prepared.project, files=tuple(texts), has=has)


def _values(
    context: Context,
    scene: Scene,
    prepared: Prepared,
    document: Mapping[str, Any],
    missing: list[DataFolder],
) -> dict[str, str]:
    """What fills the document's holes: as the environment has it; rendered files lie in the folder itself."""
    with context.store.lock("placement", command=f"ejecting {prepared.project}", wait=30.0):
        placement = place(
            document,
            world=world_of(context, scene, prepared),
            kept=scene.record.placement if scene.record else {},
            stamp=Stamp(
                project=prepared.project,
                stack=prepared.stack.name,
                instance=prepared.instance,
                generation="",
                home=context.store.identity,
                user=context.user,
                engine=scene.facts.id,
            ),
            folder=str(context.store.folder(prepared.project)),
            owner=(context.user, context.group),
            caller_is_root=context.user == 0,
            data=prepared.rendered.data,
            services=prepared.bounded.services,
        )
    for note in placement.notes:
        context.progress.warn(note)
    own = {hole_name(FILES): "./files", hole_name(SECRETS): "./secrets"}
    own |= {hole_name(data_hole(one.name)): f"./data/{one.name}" for one in missing}
    return {name: own.get(name, text) for name, text in placement.values.items()}


def _known_secrets(context: Context, record: EnvironmentRecord | None, prepared: Prepared) -> dict[str, str]:
    """The secrets that were generated for the environment; data was made with them."""
    stored = set(record.secrets) if record else set()
    names = [one.name for one in prepared.rendered.secrets if not one.from_file and one.name in stored]
    return {name: context.store.secret(prepared.project, name) for name in names}


def _belongings(prepared: Prepared, document: Mapping[str, Any], values: Mapping[str, str]) -> Belongings:
    named = _volumes(document, prepared.project)
    return Belongings(
        data={one.name: values[hole_name(data_hole(one.name))] for one in prepared.rendered.data},
        volumes=tuple(name for name, external in named if not external),
        external=tuple(name for name, external in named if external),
        secrets=tuple(one.name for one in prepared.rendered.secrets),
        restarts=restarts(document),
        built=tuple(sorted(name for name, one in document["services"].items() if one.get("build"))),
        root=values.get(hole_name(ROOT), ""),
    )


def _volumes(document: Mapping[str, Any], project: str) -> list[tuple[str, bool]]:
    """The name of each volume on the engine, and whether it is an external one."""
    found = []
    for key, section in sorted((document.get("volumes") or {}).items()):
        one = section or {}
        name = str(one.get("name") or f"{project}_{key}").replace(PROJECT, project)
        found.append((name, not says_no(one.get("external"))))
    return found
