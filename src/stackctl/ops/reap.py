"""`reap`: the supervisor's clean-up as one command, pass after pass until one finds nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackctl.core.labels import PREFIX
from stackctl.core.records import LIVE
from stackctl.core.verdicts import REAPING, decide
from stackctl.ops.acting import Outcome, act
from stackctl.ops.swarm_reaping import reap_swarm
from stackctl.ops.watch import Watch

if TYPE_CHECKING:
    from stackctl.core.actions import Action
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.supervision import Supervision
    from stackctl.core.world import Stray
    from stackctl.ops.context import Context

PASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """What a reaping did.

    Args:
        passes: How many there were; the last one found nothing more to do.
        outcomes: What was done, or not, in order.
        planned: What would be done, for a dry run.
        reports: What was seen and left alone.
        strays: Objects that nothing vouches for, kept.
        elsewhere: Environments that are up on another engine, which was not looked at.
        volumes: Names of volumes of environments that do not run; they are never removed.
    """

    passes: int
    outcomes: tuple[Outcome, ...] = ()
    planned: tuple[Action, ...] = ()
    reports: tuple[Action, ...] = ()
    strays: tuple[Stray, ...] = ()
    elsewhere: tuple[EnvironmentRecord, ...] = ()
    volumes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether something that should be done was not."""
        return any(one.result in ("stuck", "failed", "busy") for one in self.outcomes)


def reap(
    context: Context,
    limits: Supervision,
    *,
    dry: bool = False,
    told: Callable[[bytes], None] | None = None,
    command: str = "stackctl reap",
) -> Reaped:
    """Bring what this engine has of ours back to what the records say.

    Nothing that is data is ever removed: no volume, no bind mount, no image.

    Raises:
        EngineUnavailable, TimedOut: The engine cannot be asked; nothing was done.
    """
    limits = replace(limits, retry=0.0)  # whoever asks by hand waits for nothing
    there = reap_swarm(context, command=command, dry=dry)
    outcomes: list[Outcome] = list(there.outcomes)
    tried: set[tuple[str, str]] = set()
    watch = Watch(context, limits)
    passes = 0
    while passes < PASSES:
        passes += 1
        watch.relist_soon()
        world = watch.look(context.store.recall())
        plan = decide(world, limits, REAPING)
        acts = tuple(one for one in plan.acts if (one.project, one.rule) not in tried)
        if dry or not acts:
            break
        for action in acts:
            tried.add((action.project, action.rule))
            context.progress.step(f"{action.project}: {action.reason}")
            trails = watch.all_trails()
            outcome = act(context, action, limits, trails=trails, rules=REAPING, told=told, command=command)
            outcomes.append(outcome)
    return Reaped(
        passes=passes,
        outcomes=tuple(outcomes),
        planned=(*there.planned, *acts) if dry else (),
        reports=plan.reports,
        strays=world.strays,
        elsewhere=tuple(
            one.record
            for one in world.environments
            if not one.here and one.record.phase in LIVE and one.record.engine != there.cluster
        ),
        volumes=_volumes(context),
    )


def _volumes(context: Context) -> tuple[str, ...]:
    """Volumes with this state directory's label whose environment does not run."""
    live = [record for record in context.store.records() if record.phase in LIVE]
    projects = {record.project for record in live}
    kept = {name for record in live for name in record.kept_volumes.values()}
    found = context.engine.volumes({f"{PREFIX}home": context.store.identity})
    return tuple(
        sorted(
            one.name
            for one in found
            if one.labels.get(f"{PREFIX}project") not in projects and one.name not in kept
        )
    )
