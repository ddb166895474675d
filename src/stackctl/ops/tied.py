"""`with`: an environment that belongs to one command and ends when that is gone, however it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.records import LIVE, EnvironmentRecord
from stackctl.ops.down import down
from stackctl.ops.reaching import addresses, secret_values, variables, way_words
from stackctl.ops.up import UpOptions, UpResult, up

if TYPE_CHECKING:
    from stackctl.ops.context import Context
    from stackctl.ops.preparing import Prepared

LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedResult:
    """How a tied command went.

    Args:
        kept: Why its environment stays up, as the end of a sentence that begins with its name; empty when
            it was ended.
    """

    code: int
    kept: str = ""


def run_with(
    context: Context,
    prepared: Prepared,
    options: UpOptions,
    *,
    tether: Callable[[EnvironmentRecord], None],
    run: Callable[[Mapping[str, str]], int],
) -> TiedResult:
    """Bring an environment up, run something with its variables, and end it again.

    What was up before stays up, and so does what somebody else brings up meanwhile.

    Args:
        options: With `tied`.
        tether: Starts what ends the environment when this process is killed; called with a tied record,
            before docker hears of anything.
        run: Takes the environment's variables, returns an exit code.

    Raises:
        Busy: It belongs to another such command.
        StackctlError: It did not come up; nothing is left of it.
    """

    def announced(record: EnvironmentRecord) -> None:
        if record.tied:
            tether(record)

    result = up(context, prepared, options, announced=announced)
    if not result.record.tied:
        return TiedResult(code=run(_variables(context, result)), kept="was up before and stays up")
    try:
        code = run(_variables(context, result))
    finally:
        left = _end(context, result.record, options.command)
    taken = left is not None and left.phase == "running"
    return TiedResult(code=code, kept="was taken over by another command and stays up" if taken else "")


def _end(context: Context, mine: EnvironmentRecord, command: str) -> EnvironmentRecord | None:
    """End what belongs to this command, unless it has become another's; the record as it is then."""

    def still(now: EnvironmentRecord) -> bool:
        # asked under the lock: nobody else is at an ending that is not finished
        ours = now.lease == mine.lease or now.phase == "stopping"
        return now.tied and now.generation == mine.generation and ours

    if context.store.read(mine.project) is None:
        return None
    reason = "its command ended"
    return down(context, mine.project, command=command, reason=reason, lock_wait=60.0, still=still).record


def _variables(context: Context, result: UpResult) -> dict[str, str]:
    record = result.record
    found = addresses(record, result.containers, secret_values(context, record))
    if way := way_words(record, found):
        context.progress.warn(way)
    return variables(record, found)


def outlive(context: Context, project: str, generation: str) -> None:
    """Wait until a tied environment's owner is proven dead, and end it.

    Returns as soon as the environment is gone, is another one, or is not tied any more. Whoever ties it to
    another command meanwhile has that one watched.
    """
    while True:
        record = context.store.read(project)
        if record is None or record.generation != generation or not _watched(context, record):
            return
        if record.tied and _dead(context, record):
            _end_abandoned(context, record)
        context.clock.sleep(LOOK_SECONDS)


def _watched(context: Context, record: EnvironmentRecord) -> bool:
    """Whether it is tied; an `up` that unties it and fails gives it back."""
    if record.lease is None or record.phase not in LIVE:
        return False
    return record.tied or (record.phase == "starting" and not _dead(context, record))


def _dead(context: Context, record: EnvironmentRecord) -> bool:
    return record.lease is not None and context.store.lease_alive(record.lease) is False


def _end_abandoned(context: Context, seen: EnvironmentRecord) -> None:
    def still(now: EnvironmentRecord) -> bool:
        return now.tied and now.generation == seen.generation and now.lease == seen.lease

    reason = "the command that it belonged to was killed"
    down(context, seen.project, command="stackctl with", reason=reason, lock_wait=120.0, still=still)
