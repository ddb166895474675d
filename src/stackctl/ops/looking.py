"""One look at an environment: what its record says, and what of it the engine has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused
from stackctl.core.labels import PREFIX, Stamp, read_stamp
from stackctl.core.records import LIVE

if TYPE_CHECKING:
    from stackctl.core.facts import Container, EngineFacts, Network
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is of one environment.

    Args:
        record: None when stackctl remembers nothing of it.
        containers: Those whose labels agree with the record; only these may be acted on.
        networks: Likewise.
        strangers: Names of objects that claim this project and are not verified as this environment's.
    """

    project: str
    facts: EngineFacts
    record: EnvironmentRecord | None
    containers: tuple[Container, ...]
    networks: tuple[Network, ...]
    strangers: tuple[str, ...] = ()


def look(context: Context, project: str) -> Scene:
    """Read the record and list what the engine has of the environment.

    Raises:
        EngineUnavailable, TimedOut: The engine cannot be asked.
        StateError: The record cannot be read.
        EngineRefused: The environment is up on another engine than the one that answers.
    """
    record = context.store.read(project)
    _check_orchestrator(record)
    facts = context.engine.facts()
    _check_engine(record, facts)
    return _listed(context, project, record, facts)


def look_again(context: Context, scene: Scene, record: EnvironmentRecord) -> Scene:
    """What the engine has of the environment by now, on the same engine as before.

    Raises:
        EngineUnavailable, TimedOut: The engine cannot be asked.
    """
    return _listed(context, scene.project, record, scene.facts)


def _listed(context: Context, project: str, record: EnvironmentRecord | None, facts: EngineFacts) -> Scene:
    containers = context.engine.containers({f"{PREFIX}project": project})
    networks = context.engine.networks({f"{PREFIX}project": project})
    ours = tuple(c for c in containers if verified(record, read_stamp(c.labels)))
    mine = tuple(n for n in networks if verified(record, read_stamp(n.labels)))
    strangers = {c.name for c in containers if c not in ours} | {n.name for n in networks if n not in mine}
    return Scene(
        project=project,
        facts=facts,
        record=record,
        containers=ours,
        networks=mine,
        strangers=tuple(sorted(strangers)),
    )


def verified(record: EnvironmentRecord | None, stamp: Stamp | None) -> bool:
    """Both keys agree: the label's generation, engine, home and user are the record's."""
    if record is None or stamp is None:
        return False
    return (
        stamp.generation == record.generation
        and stamp.project == record.project
        and stamp.engine == record.engine
        and stamp.home == record.home
        and stamp.user == record.user
    )


def _check_orchestrator(record: EnvironmentRecord | None) -> None:
    """What asks one engine would take a Swarm's environment for gone."""
    if record is not None and record.on_swarm:
        raise EngineRefused(
            f"`{record.project}` is a Swarm's, and this is not there for Swarm yet",
            hint="up, down, status, logs, exec, shell, url, env, extend, diff and purge are; "
            "`--instance NAME` makes another environment of the same stack on this engine",
        )


def _check_engine(record: EnvironmentRecord | None, facts: EngineFacts) -> None:
    if record is None or record.engine == facts.id or record.phase not in LIVE:
        return
    raise EngineRefused(
        f"`{record.project}` was made on the engine at {record.engine_host} ({record.engine}), "
        f"and {facts.host} is another one ({facts.id})",
        hint="set DOCKER_HOST or the docker context back, and try again",
    )
