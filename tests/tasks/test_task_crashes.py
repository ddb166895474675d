"""`run`, `cancel` and `rm` killed at every point: after `reap` nothing is left that nobody knows of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from commandline import Cli, Done
from waiting import until

from points import each_state
from stackctl.core.records import EnvironmentRecord
from stackctl.core.tasks import FINISHED
from stackctl.state.home import open_home
from stackctl.state.record_files import decode
from tables import show

pytestmark = [pytest.mark.slow, pytest.mark.engine, pytest.mark.timeout(900)]

SMALL = ("--limit", "memory=64m", "--limit", "pids=64")
STILL = "trap 'exit 0' TERM; echo ready; while :; do sleep 1 & wait; done"
KILLED = -9
HEAD = f"{'':<26}{'points':>7}{'runs':>7}{'left':>7}{'lost':>7}   phases after `reap`"


@dataclass(frozen=True)
class Scene:
    """A command that is killed.

    Args:
        words: The command; TASK stands for the id of the task that `before` made.
        before: Makes a task for it, if it needs one.
        may_run: Whether the task may run on: it was detached, or the command came too late.
        sidecar: Whether there is a sidecar whose data must stay.
    """

    name: str
    words: tuple[str, ...]
    before: Callable[[Cli], str] | None = None
    may_run: bool = False
    sidecar: bool = False


def task_that_runs(cli: Cli) -> str:
    return cli("run", "--detach", *SMALL, "busybox:1.35", "--", "sh", "-c", STILL).ok().out.strip()


def task_that_ended(cli: Cli) -> str:
    words = ("run", *SMALL, "--sidecar", "redis", "busybox:1.35", "--", "true")
    cli(*words).ok()
    return str(cli("tasks", "--all", "--json").ok().data[-1]["id"])


SCENES = (
    Scene("run", ("run", *SMALL, "busybox:1.35", "--", "sh", "-c", "echo done; exit 3")),
    Scene("run --detach", ("run", "--detach", *SMALL, "busybox:1.35", "--", "sleep", "300"), may_run=True),
    Scene(
        "run with a sidecar",
        ("run", *SMALL, "--sidecar", "redis", "busybox:1.35", "--", "true"),
        sidecar=True,
    ),
    Scene("cancel", ("cancel", "TASK"), task_that_runs, may_run=True),
    Scene("rm --data", ("rm", "--data", "TASK"), task_that_ended),
)


def points(cli: Cli, scene: Scene, trace: Path) -> list[str]:
    """The points that a command comes by when nobody kills it."""
    trace.unlink(missing_ok=True)
    perform(cli, scene, STACKCTL_FAILPOINT_TRACE=str(trace))
    clear(cli)
    found = trace.read_text().splitlines()
    assert len(found) == len(set(found))
    return found


def perform(cli: Cli, scene: Scene, **env: str) -> Done:
    task = scene.before(cli) if scene.before else ""
    words = [task if word == "TASK" else word for word in scene.words]
    return cli(*words, STACKCTL_TEST="1", **env)


def clear(cli: Cli) -> None:
    cli("cancel", "--all").ok()


def records(cli: Cli) -> list[EnvironmentRecord]:
    return [decode(path.read_bytes()) for path in sorted((cli.home / "tasks").glob("*/record.json"))]


def wrong_after(cli: Cli, scene: Scene) -> list[str]:
    """What is wrong once the reaper came."""
    found = records(cli)
    live = {one.project for one in found if one.phase not in FINISHED}
    wrong = [
        f"{one.project} is {one.phase}" for one in found if one.phase in ("pending", "starting", "stopping")
    ]
    there = {one.labels["stackctl.project"] for one in cli.containers()}
    wrong += [f"{name} is left" for name in sorted(there - live)]
    wrong += [f"{name} runs" for name in sorted(live)] if not scene.may_run else []
    wrong += [f"{name} has nothing" for name in sorted(live - there)]
    if cli.networks() and not live:
        wrong.append(f"networks are left: {cli.networks()}")
    home = open_home(cli.home)
    known = {path.name for path in home.live_tasks.iterdir()}
    wrong += [f"{one} lives and is not marked" for one in live if one.removeprefix("inst-") not in known]
    listed = cli("tasks", "--all", "--json").ok().data
    wrong += ["a task is listed twice"] * (len({one["id"] for one in listed}) != len(listed))
    wrong += ["a record is not listed"] * (
        {f"inst-{one['id']}" for one in listed} != {r.project for r in found}
    )
    if json.loads(cli("reap", "--json").ok().out)["data"]["done"]:
        wrong.append("a second pass found something to do")
    return wrong


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_killed_at_every_point(
    cli: Cli, scene: Scene, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    every = points(cli, scene, tmp_path / "trace")
    assert len(every) >= 8
    problems, phases, runs = [], [], 0
    chosen = each_state(every)
    for point in chosen:
        data = sidecar_data(cli)
        done = perform(cli, scene, STACKCTL_FAILPOINT=f"{point}:kill9")
        if done.code != KILLED:  # how often something is looked at differs from run to run
            clear(cli)
            continue
        runs += 1
        until(lambda: cli("reap", "--json").code == 0, 60, "a reaping that succeeds")
        problems += [f"{point}: {one}" for one in wrong_after(cli, scene)]
        phases += [one.phase for one in records(cli)][-1:]
        lost = [path for path in data if scene.name != "rm --data" and not path.exists()]
        problems += [f"{point}: {path} is gone" for path in lost]
        clear(cli)
    summary = ", ".join(f"{phases.count(one)} {one}" for one in sorted(set(phases)))
    gone = sum("is gone" in one for one in problems)
    show(
        request.config,
        f"{HEAD}\n{scene.name:<26}{len(every):>7}{runs:>7}{len(problems) - gone:>7}{gone:>7}   {summary}",
    )
    assert problems == []
    assert runs >= len(chosen) * 3 // 4


def sidecar_data(cli: Cli) -> list[Path]:
    return [path for path in (cli.home / "tasks").glob("*/data/**/*") if path.is_file()]
