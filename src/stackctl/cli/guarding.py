"""`guard`: commands of this host that leave nothing behind, and a sweep of what others left."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from stackctl.cli.command import command, words_argument
from stackctl.cli.values import duration
from stackctl.cli.words import plural
from stackctl.core.errors import UsageError
from stackctl.core.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackctl.cli.session import Session
    from stackctl.core.orphans import HostProcess

GRACE = 2.0
SHOWN = 10
SWEPT_AGE = 60.0
"""Seconds that an orphan must have lived to be swept, unless something else is said."""


@click.group("guard")
def guard_command() -> None:
    """Keep runaway processes of this host in bounds, outside of any container."""


@command("run", runs=True)
@click.option("--pids", metavar="N", help="Processes and threads of it all together.")
@click.option("--memory", metavar="SIZE", help="Memory of it all together, such as 2g.")
@click.option("--lifetime", metavar="TIME", help="End it after so long.")
@click.option("--grace", metavar="TIME", help="Between TERM and KILL (2s).")
@words_argument("-- CMD [ARG]...")
def run_command(
    session: Session,
    words: Sequence[str],
    pids: str | None,
    memory: str | None,
    lifetime: str | None,
    grace: str | None,
) -> int:
    """Run CMD on this host; whatever it starts ends with it, double forks and sessions of their own too.

    CMD's exit code is ours; 124 when its lifetime ended, 137 when a limit did. Where this user may make a
    cgroup the kernel enforces the limits, else they are looked at ten times a second.
    """
    from stackctl.engine.guarding import GuardLimits, run_guarded
    from stackctl.engine.host_processes import check_platform

    check_platform()
    limits = GuardLimits(
        pids=_number(pids, "--pids", "count"),
        memory=_number(memory, "--memory", "size"),
        lifetime=duration(lifetime, "--lifetime", 0.0),
        grace=duration(grace, "--grace", GRACE),
    )
    done = run_guarded(words, env=os.environ, limits=limits)
    if done.reason:
        session.output.warn(f"ended: {done.reason}")
    if done.left:
        session.output.warn(f"it left {_processes(len(done.left))} behind, ended now: {_names(done.left)}")
    for one in done.stuck:
        session.output.warn(f"process {one.pid} (`{one.command[:60]}`) could not be ended")
    session.output.result(
        {
            "exit_code": done.code,
            "cause": done.cause,
            "reason": done.reason,
            "left": [_data(one) for one in done.left],
            "stuck": [_data(one) for one in done.stuck],
            "cgroup": done.cgroup,
        },
        ok=not done.stuck,
    )
    return done.code


def _number(text: str | None, option: str, kind: str) -> int:
    from stackctl.core.units import parse_count, parse_size

    if text is None:
        return 0
    try:
        return parse_size(text) if kind == "size" else parse_count(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint="such as --pids 200 or --memory 2g") from error


@command("sweep")
@click.option(
    "--pattern", "patterns", multiple=True, required=True, metavar="REGEX", help="What a command line has."
)
@click.option("--older-than", metavar="TIME", help="Only what is older (1m).")
@click.option("--min-count", type=click.IntRange(min=1), default=1, metavar="N", help="Only from N on (1).")
@click.option("--grace", metavar="TIME", help="Between TERM and KILL (2s).")
@click.option("--dry-run", is_flag=True, help="Say what would be ended, and do nothing.")
def sweep_command(
    session: Session,
    patterns: Sequence[str],
    older_than: str | None,
    min_count: int,
    grace: str | None,
    dry_run: bool,
) -> int:
    """End orphans of this user whose command line matches: processes whose parent is gone.

    Never a process with a living owner, never this command or what it was started by, never another user's.
    Exits 1 when something could not be ended.
    """
    from stackctl.core.orphans import ancestors, swept
    from stackctl.engine.host_processes import check_platform, end_processes, read_processes

    check_platform()
    expressions = [_expression(pattern) for pattern in patterns]
    table = read_processes()
    age = duration(older_than, "--older-than", SWEPT_AGE)
    matching = partial(
        swept,
        table,
        {pid: any(one.search(process.command) for one in expressions) for pid, process in table.items()},
        user=os.geteuid(),
        spare=ancestors(os.getpid(), table),
    )
    found = matching(older_than=age)
    if not found:
        _tell_none(session, len(matching(older_than=0.0)), age)
    enough = not found or len(found) >= min_count
    act = bool(found) and enough and not dry_run
    stuck = end_processes(found, duration(grace, "--grace", GRACE)) if act else []
    _tell(session, found, stuck, enough=enough, act=act)
    session.output.result(
        {
            "found": [_data(one) for one in found],
            "ended": len(found) - len(stuck) if act else 0,
            "dry": dry_run,
        },
        ok=not stuck,
    )
    return 1 if stuck else 0


def _tell(
    session: Session, found: Sequence[HostProcess], stuck: Sequence[HostProcess], *, enough: bool, act: bool
) -> None:
    output = session.output
    for one in found[:SHOWN]:
        age = show_duration(one.age)
        output.line(f"{one.pid}  {age}  {one.command[:100]}")
    if len(found) > SHOWN:
        output.line(f"and {len(found) - SHOWN} more")
    if not enough:
        output.note(f"{plural(len(found), 'orphan')}, fewer than --min-count: nothing was ended")
    elif found:
        output.note(f"{plural(len(found), 'orphan')} {'ended' if act else 'would be ended'}")
    for one in stuck:
        output.warn(f"process {one.pid} could not be ended")


def _tell_none(session: Session, young: int, age: float) -> None:
    if not young:
        session.output.note("no orphan matches")
        return
    count = "1 orphan matches and is" if young == 1 else f"{young} orphans match and are all"
    session.output.note(
        f"{count} younger than {show_duration(age)}: nothing was ended; --older-than takes a shorter time"
    )


def _expression(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"--pattern {pattern}: {error}", hint="it is a regular expression, such as 'pytest'"
        ) from error


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _names(processes: Sequence[HostProcess]) -> str:
    from collections import Counter

    most = Counter(one.command[:60] for one in processes).most_common(3)
    return ", ".join(f"{count} x `{name}`" for name, count in most)


def _data(process: HostProcess) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "command": process.command,
        "age_seconds": round(process.age, 1),
        "memory_bytes": process.memory,
        "threads": process.threads,
    }


guard_command.add_command(run_command)
guard_command.add_command(sweep_command)
