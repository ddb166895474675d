"""The supervisor itself: killed, frozen, doubled, starved, outdated, its clocks set: nobody is harmed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from daemon import PrivateDaemon
from ground import Ground
from invariants import Canaries, broken, plant_data, untold
from waiting import kill, lives, until
from watching import good_look, heartbeat, journal, said, supervisor

pytestmark = [pytest.mark.engine, pytest.mark.slow]
SLOW = pytest.mark.slow

CGROUPS = Path("/sys/fs/cgroup")
FIRST = (CGROUPS / "memory").is_dir()
"""Whether memory is limited by the first version of cgroups."""


def up(ground: Ground, *arguments: str) -> str:
    ground.pair()
    return str(ground("up", "s", "--json", *arguments).ok().data["project"])


def started(ground: Ground) -> dict[str, float]:
    return {one.id: one.started for one in ground.containers()}


def test_a_second_supervisor_says_who_holds_it(ground: Ground) -> None:
    with supervisor(ground) as first:
        second = ground("supervise")

        assert untold(second, 7, f"pid {first.pid}") == []
        assert lives(first.pid)


@pytest.mark.slow
def test_one_that_is_killed_again_and_again_harms_nobody(daemon: PrivateDaemon, ground: Ground) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    canaries = Canaries(ground).plant(project)
    before = started(ground)

    for number in range(6):
        child = ground.start("supervise", "--log-format", "json", "--quiet")
        until(lambda n=number: len(journal(ground.home, "began")) > n, 60, "its beginning")
        kill([child.pid])
        child.communicate(timeout=10)

    assert started(ground) == before
    assert journal(ground.home, "acts") == []
    ground("down", "s").ok()
    assert broken(ground, data=data, canaries=canaries, second=("reap",)) == []


@pytest.mark.parametrize(
    "point",
    [
        "record:stopping#1:after",
        *(pytest.param(one, marks=SLOW) for one in ("incident#1:after", "stop#1:before", "stop#2:after")),
    ],
)
def test_one_that_was_killed_in_the_middle_of_an_act_is_continued_by_the_next(
    daemon: PrivateDaemon, ground: Ground, point: str
) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    ground("extend", "s", "1s").ok()
    time.sleep(1)

    first = ground.at(point, "kill9", "supervise", "--once")
    second = ground("supervise", "--once")

    assert first.code == -signal.SIGKILL
    assert untold(second, 0) == []
    assert ground.record(project)["phase"] == "expired"
    assert "lifetime" in ground("why", "s").ok().out
    assert broken(ground, data=data, second=("supervise", "--once")) == []


@pytest.mark.slow
def test_one_that_hangs_is_told_by_status_and_its_successor_goes_on(
    ground: Ground, daemon: PrivateDaemon
) -> None:
    up(ground)
    with supervisor(ground) as child:
        good_look(ground)
        assert ground("supervise", "--status").code == 0
        os.kill(child.pid, signal.SIGSTOP)
        until(lambda: ground("supervise", "--status").code == 1, 60, "a stale heartbeat")
        status = ground("supervise", "--status")
        assert "s ago" in status.out or "hung" in status.out or "stale" in status.out, status.out
        assert ground("status", "s", "--require-supervisor").code == 1
        os.kill(child.pid, signal.SIGCONT)
        good_look(ground)
        assert ground("supervise", "--status").code == 0
    ground("down", "s").ok()


def test_one_that_the_kernel_killed_for_memory_is_followed_by_one_that_catches_up(
    ground: Ground, daemon: PrivateDaemon
) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    ground("extend", "s", "1s").ok()
    time.sleep(1)
    cage = (CGROUPS / "memory" if FIRST else CGROUPS) / f"stackctl-test-{ground.run}"
    cage.mkdir()
    try:
        (cage / ("memory.limit_in_bytes" if FIRST else "memory.max")).write_text(str(12 << 20))
        script = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        starved = subprocess.run(
            ["sh", "-c", script, str(cage), *ground.argv("supervise", "--once")],
            cwd=ground.checkout,
            env=ground.environment(),
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert starved.returncode == -signal.SIGKILL
        assert "oom_kill 1" in (cage / ("memory.oom_control" if FIRST else "memory.events")).read_text()
    finally:
        until(lambda: not (cage / "cgroup.procs").read_text().split(), 20, "its end")
        cage.rmdir()

    ground("supervise", "--once").ok()

    assert ground.record(project)["phase"] == "expired"
    assert broken(ground, data=data, second=("supervise", "--once")) == []


def test_a_record_of_a_newer_version_is_told_and_its_environment_left_alone(
    ground: Ground, daemon: PrivateDaemon
) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    before = started(ground)
    path = ground.home / "environments" / project / "record.json"
    old = path.read_text()
    path.write_text(json.dumps({**json.loads(old), "schema": 99}))
    newer = path.read_text()

    for words in (("reap",), ("supervise", "--once")):
        ground(*words)
        assert started(ground) == before
        assert path.read_text() == newer
    done = ground("down", project)
    assert done.code != 0
    assert "newer" in done.err
    path.write_text(old)
    ground("down", "s").ok()
    assert broken(ground, data=data, second=("reap",)) == []


@pytest.mark.parametrize("days", [365, *(pytest.param(one, marks=SLOW) for one in (-365, 1 / 24, -1 / 24))])
def test_a_clock_that_was_set_ends_nobody(
    ground: Ground, daemon: PrivateDaemon, tmp_path: Path, days: float
) -> None:
    """The clock of python alone is set: `time.time` of every process of ours; the engine's is not."""
    up(ground, "--lifetime", "2h")
    before = started(ground)
    (tmp_path / "sitecustomize.py").write_text(
        f"import time\n_real = time.time\ntime.time = lambda: _real() + {days * 86400}\n"
    )

    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    for words in (("supervise", "--once"), ("reap",), ("status", "s")):
        ground(*words, PYTHONPATH=path).ok()

    assert started(ground) == before
    left = ground("status", "s", "--json", PYTHONPATH=path).ok().data["left_seconds"]
    assert 6000 < left <= 7200
    ground("down", "s").ok()
    assert broken(ground, second=("reap",)) == []


@pytest.mark.parametrize(("ahead", "phase"), [(3600, "running"), (3 * 3600, "expired")])
def test_time_spent_suspended_counts_and_no_more_than_that(
    ground: Ground, daemon: PrivateDaemon, ahead: int, phase: str
) -> None:
    """A time namespace whose CLOCK_BOOTTIME is ahead, as it is after the host slept."""
    project = up(ground, "--lifetime", "2h")
    data = plant_data(ground, project)

    done = subprocess.run(
        ["unshare", "--time", "--boottime", str(ahead), "--fork", *ground.argv("supervise", "--once")],
        cwd=ground.checkout,
        env=ground.environment(),
        capture_output=True,
        text=True,
        timeout=90,
    )

    assert done.returncode == 0, done.stderr
    assert ground.record(project)["phase"] == phase
    ground("down", "s").ok()
    assert broken(ground, data=data, second=("reap",)) == []


def test_an_owner_whose_number_was_given_to_another_process_is_dead(
    ground: Ground, daemon: PrivateDaemon
) -> None:
    """The record's owner has the pid of a process that lives and was started at another time."""
    project = up(ground)
    assert ground.at("stop#1:before", "kill9", "down", "s").code == -signal.SIGKILL
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    try:
        rewrite(ground, project, pid=other.pid)
        ground("reap").ok()
        assert ground.record(project)["phase"] == "stopped"
    finally:
        other.kill()
        other.wait(10)
    assert broken(ground, second=("reap",)) == []


def test_an_owner_that_is_a_zombie_is_dead(ground: Ground, daemon: PrivateDaemon) -> None:
    """`down` hangs, is killed, and its parent does not wait for it."""
    project = up(ground)
    script = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(120)"
    env = ground.environment(STACKCTL_FAILPOINT="stop#1:before:kill9")
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *ground.argv("down", "s")], env=env, cwd=ground.checkout
    )
    try:
        until(lambda: ground.record(project)["phase"] == "stopping", 60, "the record")
        owner = ground.record(project)["lease"]["pid"]
        until(lambda: not lives(owner) and Path(f"/proc/{owner}").exists(), 60, "a zombie")
        ground("reap").ok()
        assert ground.record(project)["phase"] == "stopped"
    finally:
        parent.kill()
        parent.wait(10)
    assert broken(ground, second=("reap",)) == []


def rewrite(ground: Ground, project: str, **lease: object) -> None:
    """Change the lease in a record, with a checksum that is right."""
    from dataclasses import replace

    from stackctl.state.record_files import decode, encode

    path = ground.home / "environments" / project / "record.json"
    record = decode(path.read_bytes())
    assert record.lease is not None
    path.write_bytes(encode(replace(record, lease=replace(record.lease, **lease))))  # type: ignore[arg-type]  # as given


@pytest.mark.slow
def test_with_no_engine_it_waits_and_deletes_nothing(ground: Ground, daemon: PrivateDaemon) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    daemon.stop()
    record = (ground.home / "environments" / project / "record.json").read_bytes()
    with supervisor(ground):
        blind = said(ground, "blind", more_than=1)
        assert "nothing is deleted" in blind["words"]
        assert heartbeat(ground.home).get("blind")
        assert (ground.home / "environments" / project / "record.json").read_bytes() == record
        daemon.start()
        said(ground, "sees", 90)
    ground("down", "s").ok()
    assert broken(ground, data=data, second=("reap",)) == []
