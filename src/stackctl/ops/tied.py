"""`with`: an environment that belongs to one command and ends when that is gone, however it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.records import LIVE, EnvironmentRecord
from stackctl.ops.down import down
from stackctl.ops.reaching import addresses, secret_values, variables
from stackctl.ops.up import UpOptions, UpResult, up

if TYPE_CHECKING:
    from stackctl.ops.context import Context
    from stackctl.ops.preparing import Prepared

LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedResult:
    """How a tied command went; `kept` when its environment was up before and stays up."""

    code: int
    kept: bool


def run_with(
    context: Context,
    prepared: Prepared,
    options: UpOptions,
    *,
    tether: Callable[[EnvironmentRecord], None],
    run: Callable[[Mapping[str, str]], int],
) -> TiedResult:
    """Bring an environment up, run something with its variables, and end it again.

    What was up before is used as it is and stays up. `tether` starts what ends the environment when this
    process is killed; it is started before docker hears of anything.

    Args:
        run: Takes the environment's variables, returns an exit code.

    Raises:
        StackctlError: It did not come up; nothing is left of it.
    """
    before = context.store.read(prepared.project)
    if before is not None and before.phase == "running" and not before.tied:
        result = up(context, prepared, options)
        return TiedResult(code=run(_variables(context, result)), kept=True)
    result = up(context, prepared, options, announced=tether)
    try:
        code = run(_variables(context, result))
    finally:
        down(context, prepared.project, command=options.command, reason="its command ended", lock_wait=60.0)
    return TiedResult(code=code, kept=False)


def _variables(context: Context, result: UpResult) -> dict[str, str]:
    record = result.record
    return variables(record, addresses(record, result.containers, secret_values(context, record)))


def outlive(context: Context, project: str, generation: str) -> bool:
    """Wait until a tied environment's owner is proven dead, and end it; True when that was needed.

    Returns False as soon as the environment is gone, belongs to somebody else, or is not tied any more.
    """
    while True:
        record = context.store.read(project)
        if record is None or record.generation != generation or record.phase not in LIVE:
            return False
        if not record.tied or record.lease is None:
            return False
        if context.store.lease_alive(record.lease) is False:
            reason = "the command that it belonged to was killed"
            down(context, project, command="stackctl with", reason=reason, lock_wait=120.0)
            return True
        context.clock.sleep(LOOK_SECONDS)
