"""`batch` killed at random moments, again and again: each task is done exactly once, and nothing is left."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from batches import ROOM, counted, live, phases, ran, write
from commandline import Cli
from house import end_process, until

from points import each_state
from tables import show_toll

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

TASKS = 200
KILLS = 20


@pytest.mark.parametrize("watched", [False, True], ids=["nobody-watches", "a-supervisor-watches"])
def test_killed_at_random_moments_each_task_is_done_exactly_once(
    cli: Cli, tmp_path: Path, watched: bool, pytestconfig: pytest.Config
) -> None:
    seed = int(os.environ.get("BATCH_SEED", random.randrange(1 << 32)))
    print(f"BATCH_SEED={seed}")
    chance = random.Random(seed)
    seen = tmp_path / "seen"
    seen.mkdir()
    seen.chmod(0o777)
    tasks = [counted(seen, f"k{number}", f"sleep {chance.random():.2f}") for number in range(TASKS)]
    file = write(cli.checkout / "crash.jsonl", tasks)
    out = file.with_name("crash.jsonl.results.jsonl")
    supervisor = cli.start("supervise") if watched else None
    kills = 0
    try:
        while len(phases_whole(out)) < TASKS:
            words = ["--resume"] if out.exists() else []
            child = cli.start("batch", str(file), "-j", "8", *words, *ROOM)
            if kills < KILLS:
                time.sleep(0.3 + chance.random() * 1.5)  # the moment is what is chosen, nothing is waited for
                child.send_signal(signal.SIGKILL)
                kills += 1
            _, err = child.communicate(timeout=300)
            assert child.returncode in (0, -signal.SIGKILL), err
        assert kills == KILLS, "the tasks were done before it was killed often enough to tell"
        done = cli("batch", str(file), "--resume", *ROOM)
        assert done.code == 0, done.err
        assert phases(out) == {f"k{number}": "succeeded" for number in range(TASKS)}
        show_toll(pytestconfig, f"batch -j 8, watched: {watched}", ran(seen), tasks=TASKS, kills=kills)
        assert ran(seen) == {f"k{number}": 1 for number in range(TASKS)}
        until(lambda: live(cli) == [], 30, "no record says that a task lives")
        until(lambda: cli("reap").code == 0 and cli.containers() == (), 60, "no container is left")
    finally:
        if supervisor is not None:
            end_process(supervisor)


def phases_whole(out: Path) -> list[str]:
    """The lines of the results that are whole; the last may be torn by a kill."""
    return out.read_text().split("\n")[:-1] if out.exists() else []


def points_of(cli: Cli, file: Path, trace: Path) -> list[str]:
    """Every point that a batch of one task comes by, from its beginning to its end."""
    cli("batch", str(file), *ROOM, STACKCTL_TEST="1", STACKCTL_FAILPOINT_TRACE=str(trace)).ok()
    return list(dict.fromkeys(trace.read_text().split()))


def test_killed_before_and_after_each_change_a_task_is_done_exactly_once(
    cli: Cli, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    seen.chmod(0o777)
    points = points_of(cli, write(cli.checkout / "trace.jsonl", [counted(seen, "trace")]), tmp_path / "trace")
    assert {"start-container#1:before", "start-container#1:after"} <= set(points)
    assert len(points) > 30
    chosen = each_state(points)
    for number, point in enumerate(chosen):
        file = write(cli.checkout / f"p{number}.jsonl", [counted(seen, f"p{number}", "sleep 0.2")])
        out = file.with_name(f"{file.name}.results.jsonl")
        hit = cli("batch", str(file), *ROOM, STACKCTL_TEST="1", STACKCTL_FAILPOINT=f"{point}:kill9")
        assert hit.code == -signal.SIGKILL, (point, hit.err)
        done = cli("batch", str(file), *(["--resume"] if out.exists() else []), *ROOM)
        assert done.code == 0, (point, done.err)
        assert phases(out) == {f"p{number}": "succeeded"}, point
        assert ran(seen)[f"p{number}"] == 1, point
        assert live(cli) == [], point
    began = {key: times for key, times in ran(seen).items() if key != "trace"}
    show_toll(pytestconfig, "batch, at each point", began, tasks=len(chosen), kills=len(chosen))
    until(lambda: cli("reap").code == 0 and cli.containers() == (), 60, "no container is left")
