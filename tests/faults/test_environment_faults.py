"""Signals, races, strangers, links and stuck processes around an environment: told, bounded, nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import Daemons, PrivateDaemon
from ground import QUICK, Ground, new_ground
from invariants import Canaries, broken, fingerprints, plant_data, untold
from waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SLOW = f"""
services:
  db:
    image: busybox:1.35
    command: [sh, -c, "{QUICK}"]
    healthcheck: {{test: [CMD, test, -e, /never], interval: 500ms, retries: 200}}
  app:
    image: busybox:1.35
    command: [sh, -c, "{QUICK}"]
    depends_on: {{db: {{condition: service_healthy}}}}
"""


def slow_up(ground: Ground) -> subprocess.Popen[str]:
    """An `up` that waits for what never comes, under way."""
    ground.template("t", SLOW)
    ground.stack("s", "template: t\n")
    child = ground.start("up", "s")
    until(ground.containers, 60, "the first container")
    return child


def test_a_second_signal_ends_it_at_once_and_reap_cleans_up(daemon: PrivateDaemon, ground: Ground) -> None:
    child = slow_up(ground)
    os.kill(child.pid, signal.SIGTERM)
    os.kill(child.pid, signal.SIGTERM)
    begun = time.monotonic()

    done = ground.ended(child)

    assert done.code == 143
    assert time.monotonic() - begun < 40
    ground("reap").ok()
    assert broken(ground, second=("reap",)) == []


def test_a_reader_that_went_away_is_no_error(ground: Ground) -> None:
    reader, writer = os.pipe()
    child = subprocess.Popen(
        ground.argv("templates"),
        cwd=ground.checkout,
        env=ground.environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    os.close(reader)
    _, err = child.communicate(timeout=60)

    assert child.returncode in (1, 141)
    assert err == ""


@pytest.mark.slow
def test_up_and_down_and_reap_at_once_are_one_after_the_other(daemon: PrivateDaemon, ground: Ground) -> None:
    ground.pair()
    project = ground("up", "s", "--json").ok().data["project"]
    data = plant_data(ground, project)
    canaries = Canaries(ground).plant(project)
    words = (("up", "s"), ("down", "s"), ("reap",), ("supervise", "--once"))

    for _ in range(3):
        children = [ground.start(*one) for one in words]
        ends = [ground.ended(child, 200) for child in children]
        assert {done.code for done in ends} <= {0, 7}, [done.err for done in ends]
        assert not any("Traceback" in done.err for done in ends)
        there = [one for one in ground.containers(project) if one.id not in canaries.ids]
        phase = ground.record(project)["phase"]
        assert (phase, len(there)) in {("running", 3), ("stopped", 0)}

    ground("down", "s").ok()
    assert broken(ground, data=data, canaries=canaries, second=("reap",)) == []


def test_the_loser_of_a_race_learns_who_holds_it(daemon: PrivateDaemon, ground: Ground) -> None:
    ground.pair()
    child = ground.start("up", "s", STACKCTL_FAILPOINT="document#1:before:hang")
    until(lambda: list(ground.home.glob("environments/*/record.json")), 60, "the record")

    done = ground("up", "s")

    assert untold(done, 7, f"pid {child.pid}") == []
    reaped = ground("reap")
    assert ground.record(ground.project_of())["phase"] == "starting", reaped.out
    os.kill(child.pid, signal.SIGKILL)
    ground.ended(child)
    ground("reap").ok()
    assert broken(ground, second=("reap",)) == []


def test_a_stranger_with_composes_labels_for_one_of_our_services_is_not_replaced(
    daemon: PrivateDaemon, ground: Ground
) -> None:
    """It carries every label by which Compose finds the container of a service, and none of ours."""
    ground.pair()
    project = ground("up", "s", "--json").ok().data["project"]
    labels = dict(next(one for one in ground.containers(project) if one.service == "web").labels)
    ground("down", "s").ok()
    forged = {name: value for name, value in labels.items() if name.startswith("com.docker.compose")}
    words = [word for name, value in forged.items() for word in ("--label", f"{name}={value}")]
    stranger = daemon.docker("run", "-d", "--name", "stranger", *words, "busybox:1.35", "sh", "-c", QUICK)
    before = daemon.docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}} {{.State.Status}}", stranger)

    done = ground("up", "s")

    assert (
        daemon.docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}} {{.State.Status}}", stranger) == before
    )
    assert untold(done, 5, "stranger") == []
    ground("down", "s")
    ground("reap").ok()
    assert (
        daemon.docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}} {{.State.Status}}", stranger) == before
    )
    assert broken(ground, second=("reap",)) == []


@pytest.mark.slow
def test_strangers_of_every_kind_outlive_up_down_purge_and_the_reaper(
    daemon: PrivateDaemon, ground: Ground
) -> None:
    ground.pair()
    project = ground("up", "s", "--json").ok().data["project"]
    canaries = Canaries(ground).plant(project)

    for words in (("reap",), ("supervise", "--once"), ("down", "s"), ("up", "s"), ("purge", "s", "--yes")):
        ground(*words)
        assert canaries.harmed() == [], words

    assert broken(ground, canaries=canaries, second=("reap",)) == []


def test_a_data_folder_that_became_a_link_is_refused_and_nothing_behind_it_is_touched(
    daemon: PrivateDaemon, ground: Ground, tmp_path: Path
) -> None:
    """As a container that may write there could make it."""
    ground.pair()
    project = ground("up", "s", "--json").ok().data["project"]
    ground("down", "s").ok()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("do not touch")
    folder = ground.home / "environments" / project / "data" / "db"
    shutil.rmtree(folder)
    folder.symlink_to(outside)

    done = ground("up", "s")

    assert untold(done, 1, str(folder)) == []
    assert ground.containers(project) == ()
    (folder.parent / "also").symlink_to(outside)
    ground("purge", "s", "--yes").ok()
    assert (outside / "precious").read_text() == "do not touch"
    assert sorted(path.name for path in outside.iterdir()) == ["precious"]
    assert broken(ground, second=("reap",)) == []


def test_data_of_another_user_is_warned_of_and_kept(daemon: PrivateDaemon, ground: Ground) -> None:
    ground.pair()
    project = ground("up", "s", "--json").ok().data["project"]
    data = plant_data(ground, project)
    ground("down", "s").ok()
    folder = ground.home / "environments" / project / "data" / "db"
    os.chown(folder, 4242, 4242)

    done = ground("up", "s")

    assert "4242" in done.err
    assert folder.stat().st_uid == 4242
    ground("down", "s")
    ground("reap").ok()
    assert broken(ground, data=data, second=("reap",)) == []


def test_a_repository_that_was_deleted_is_no_obstacle(
    daemon: PrivateDaemon, ground: Ground, tmp_path: Path
) -> None:
    ground.pair()
    project = ground("up", "s", "--json").ok().data["project"]
    data = plant_data(ground, project)
    shutil.rmtree(ground.checkout / "stacks")
    shutil.rmtree(ground.checkout / "templates")

    ground("supervise", "--once").ok()
    assert len(ground.containers(project)) == 3
    ground("down", project, cwd=tmp_path).ok()

    assert broken(ground, data=data, second=("reap",)) == []


def test_a_spike_of_memory_is_ended_by_the_kernel_and_named(daemon: PrivateDaemon, ground: Ground) -> None:
    spike = "[dd, if=/dev/zero, of=/dev/null, bs=300M]"
    health = "{test: ['CMD', 'false'], start_period: 60s}"  # so that `up` waits, however slow the spike is
    ground.template(
        "t", f"services:\n  app: {{image: 'busybox:1.35', command: {spike}, healthcheck: {health}}}\n"
    )
    ground.stack("s", "template: t\nlimits: {memory: 32m}\n")

    done = ground("up", "s")

    assert done.code == 1
    assert "memory" in done.err
    assert broken(ground, second=("reap",)) == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can be frozen; mounted where it can be seen by a daemon made later."""
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    place.chmod(0o777)
    try:
        yield place
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(place)], check=False, capture_output=True)
        until(
            lambda: subprocess.run(["umount", str(place)], capture_output=True).returncode == 0, 30, "umount"
        )


@pytest.mark.slow
def test_a_process_that_the_kernel_holds_is_reported_stuck_and_shields_no_other(
    disk: Path, daemons: Daemons, tmp_path: Path
) -> None:
    daemon = daemons()
    ground = new_ground(tmp_path / "ground", daemon.host)
    ground.pair()
    writer = "while :; do date >> /disk/file; sync; done"
    ground.template(
        "stuck",
        f"services:\n  app:\n    image: busybox:1.35\n    command: [sh, -c, '{writer}']\n"
        f"    volumes: ['{disk}:/disk']\n",
    )
    ground.stack("stuck", "template: stuck\nallow: {app: [outside-mount]}\nlimits: {memory: 32m, pids: 32}\n")
    project = ground("up", "stuck", "--json").ok().data["project"]
    ground("up", "s").ok()
    until((disk / "file").exists, 30, "the first write")
    subprocess.run(["fsfreeze", "--freeze", str(disk)], check=True)
    (container,) = ground.containers(project)
    until(lambda: held(container.pid), 30, "a process in the kernel's hands")

    begun = time.monotonic()
    done = ground("down", "stuck", timeout=200)

    assert untold(done, 5) == []
    assert time.monotonic() - begun < 150
    assert ground.record(project)["phase"] == "stopping"
    assert ground.record(project)["attempts"] == 1
    ground("down", "s").ok()
    subprocess.run(["fsfreeze", "--unfreeze", str(disk)], check=True)
    until(lambda: ground("down", "stuck").code == 0, 60, "the end of what was stuck")
    assert (disk / "file").read_text()
    assert broken(ground, second=("reap",)) == []


def held(pid: int) -> bool:
    """Whether a process or one of its children is in uninterruptible sleep."""
    from waiting import descendants, state

    return any(state(one) == "D" for one in {pid, *descendants([pid])})


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
def test_a_purge_that_is_killed_while_it_deletes_is_finished_by_the_next(
    daemon: PrivateDaemon, ground: Ground, seed: int
) -> None:
    """Thousands of files; a bystander's data is next to them."""
    import random

    ground.pair()
    ground.pair(name="other")
    project = ground("up", "s", "--json").ok().data["project"]
    ground("up", "other").ok()
    ground("down", "--all").ok()
    kept = plant_data(ground, ground.project_of("other"))
    folder = ground.home / "environments" / project / "data" / "db"
    for number in range(3000):
        (folder / f"{number}").write_bytes(b"x" * 100)
    trace = ground.home.parent / "trace"
    child = ground.start("purge", "s", "--yes", STACKCTL_FAILPOINT_TRACE=str(trace))
    until(lambda: trace.exists() and "purge#1:before" in trace.read_text(), 60, "purge")
    time.sleep(random.Random(seed).uniform(0, 0.1))
    os.kill(child.pid, signal.SIGKILL)
    ground.ended(child)

    ground("up", "s").ok()
    ground("purge", "s", "--yes").ok()

    assert list((ground.home / "trash").iterdir()) == []
    assert fingerprints(ground.home) == kept
    assert broken(ground, data=kept, second=("reap",)) == []
