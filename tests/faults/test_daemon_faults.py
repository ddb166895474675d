"""A daemon that is killed, frozen, restarted, rebooted: what is ours comes to rest, and no byte is lost."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from daemon import Daemons, PrivateDaemon
from ground import Ground, new_ground
from invariants import Canaries, broken, fingerprints, plant_data, untold
from waiting import command_line, lives, processes, until
from watching import good_look, journal, said, supervisor

pytestmark = [pytest.mark.engine, pytest.mark.slow]

FROZEN = 45
"""Seconds within which every command must have given up on a daemon that does not answer."""


def up(ground: Ground, *arguments: str) -> str:
    """Bring the pair up; its project."""
    ground.pair()
    return str(ground("up", "s", "--json", *arguments).ok().data["project"])


def states(ground: Ground, project: str) -> set[str]:
    return {one.state for one in ground.containers(project)}


def test_after_a_killed_daemon_nothing_is_forgotten_and_up_starts_it_again(
    daemon: PrivateDaemon, ground: Ground
) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    canaries = Canaries(ground).plant(project)
    with supervisor(ground):
        good_look(ground)
        daemon.kill()
        said(ground, "blind")
        daemon.start()
        said(ground, "sees")
        good_look(ground)

    assert [one for one in journal(ground.home, "acts") if one["project"] == project] == []
    assert {one.exit_code for one in ground.containers(project) if one.state == "exited"} <= {0, 137}
    assert proxies(daemon) == []
    canaries.rebooted()
    ground("up", "s").ok()
    assert states(ground, project) == {"running", *canary_states(ground, canaries, project)}
    ground("down", "s").ok()
    assert broken(ground, data=data, canaries=canaries, second=("reap",)) == []


def canary_states(ground: Ground, canaries: Canaries, project: str) -> set[str]:
    return {one.state for one in ground.containers(project) if one.id in canaries.ids}


def proxies(daemon: PrivateDaemon) -> list[int]:
    """Processes that hold published ports in the daemon's own network."""
    own = network_of(daemon.space)
    return [pid for pid in processes() if "docker-proxy" in command_line(pid) and network_of(pid) == own]


def network_of(pid: int) -> str:
    """Which network namespace a process is in, empty when it is gone."""
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


@pytest.mark.slow
def test_containers_that_outlive_their_daemon_keep_their_limits_and_their_lifetime(daemons: Daemons) -> None:
    daemon = daemons(live_restore=True)
    ground = new_ground(daemon.root / "ground", daemon.host)
    project = up(ground, "--lifetime", "25s")
    data = plant_data(ground, project)
    before = {one.id: (one.pid, one.started) for one in ground.containers(project)}
    with supervisor(ground):
        good_look(ground)
        daemon.stop()
        said(ground, "blind")
        assert all(lives(pid) for pid, _ in before.values())
        daemon.start()
        said(ground, "sees")
        assert {one.id: (one.pid, one.started) for one in ground.containers(project)} == before
        said(ground, "done", 90)

    assert ground.record(project)["phase"] == "expired"
    assert broken(ground, data=data, second=("reap",)) == []


@pytest.mark.slow
def test_a_frozen_daemon_holds_up_no_command_for_long_and_is_watched_again_when_it_thaws(
    daemon: PrivateDaemon, ground: Ground
) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    before = {one.id: one.started for one in ground.containers(project)}
    with supervisor(ground):
        good_look(ground)
        daemon.freeze()
        begun = time.monotonic()
        for words in (("status", "s"), ("up", "s"), ("down", "s"), ("reap",)):
            done = ground(*words, timeout=FROZEN)
            assert untold(done, 6, "did not answer") == [], words
        assert time.monotonic() - begun < 4 * FROZEN
        said(ground, "blind")
        assert ground.record(project)["phase"] == "running"
        daemon.thaw()
        said(ground, "sees")
        good_look(ground)

    assert {one.id: one.started for one in ground.containers(project)} == before
    ground("down", "s").ok()
    assert broken(ground, data=data, second=("reap",)) == []


@pytest.mark.slow
def test_a_containerd_that_was_killed_alone_does_not_make_down_lie(
    daemon: PrivateDaemon, ground: Ground
) -> None:
    project = up(ground)
    data = plant_data(ground, project)

    daemon.kill_containerd()
    first = ground("down", "s")

    left = ground.containers(project)
    assert (first.code == 0) == (not left), first.err
    if left:
        assert untold(first, first.code) == []
        assert ground.record(project)["phase"] == "stopping"
    until(daemon.containerd, 60, "another containerd")
    until(lambda: ground("down", "s").code == 0, 90, "the end of `down`")
    assert broken(ground, data=data, second=("reap",)) == []


def after_reboot(ground: Ground, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command to which the kernel tells another boot id, in a mount namespace of its own."""
    fake = folder / "boot_id"
    fake.write_text("6f0f3c1e-0000-4000-8000-000000000001\n")
    script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, str(fake), *ground.argv(*words)],
        cwd=ground.checkout,
        env=ground.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.parametrize("point", ["", "compose-up#1:after", "record:starting#1:after"])
def test_after_a_reboot_everything_is_marked_and_nothing_is_lost(
    daemon: PrivateDaemon, ground: Ground, tmp_path: Path, point: str
) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    canaries = Canaries(ground).plant(project)
    if point:
        ground("down", "s").ok()
        assert ground.at(point, "kill9", "up", "s").code == -9

    daemon.reboot()
    daemon.start()
    canaries.rebooted()
    reaped = after_reboot(ground, tmp_path, "reap")

    assert reaped.returncode == 0, reaped.stderr
    phase = ground.record(project)["phase"]
    assert phase == ("failed" if point else "lost")
    if not point:
        assert "lost" in after_reboot(ground, tmp_path, "status", "s").stdout
    again = after_reboot(ground, tmp_path, "up", "s")
    assert again.returncode == 0, again.stderr
    assert after_reboot(ground, tmp_path, "down", "s").returncode == 0
    assert broken(ground, data=data, canaries=canaries, second=("reap",)) == []


@pytest.mark.slow
def test_what_down_began_a_restarted_daemon_does_not_bring_back(
    daemon: PrivateDaemon, ground: Ground
) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    ids = [one.id for one in ground.containers(project)]
    daemon.docker("update", "--restart=always", *ids)

    assert ground.at("stop#2:after", "kill9", "down", "s").code == -9
    daemon.restart()

    assert states(ground, project) == {"exited"}
    ground("reap").ok()
    assert ground.record(project)["phase"] == "stopped"
    assert broken(ground, data=data, second=("reap",)) == []


@pytest.mark.slow
def test_what_was_ended_and_still_came_back_is_removed(daemon: PrivateDaemon, ground: Ground) -> None:
    """Somebody gave it a restart policy behind our back, and the daemon was killed before `down`."""
    project = up(ground)
    daemon.docker("update", "--restart=always", *[one.id for one in ground.containers(project)])
    daemon.kill()
    daemon.start()
    until(lambda: states(ground, project) == {"running"}, 30, "their return")

    ground("down", "s").ok()
    daemon.restart()

    assert broken(ground, second=("reap",)) == []


@pytest.mark.parametrize("how", ["pause", "rename"])
def test_what_was_paused_or_renamed_behind_our_back_is_ended_all_the_same(
    daemon: PrivateDaemon, ground: Ground, how: str
) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    (web,) = [one for one in ground.containers(project) if one.service == "web"]
    daemon.docker(how, web.id, *(["quite-another"] if how == "rename" else []))

    ground("down", "s").ok()

    assert broken(ground, data=data, second=("reap",)) == []


def test_with_another_engine_in_its_place_an_environment_is_left_alone(
    daemons: Daemons, ground: Ground
) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    before = {one.id: one.started for one in ground.containers(project)}
    other = daemons()

    for words in (("up", "s"), ("down", "s"), ("purge", "s", "--yes")):
        done = subprocess.run(
            ground.argv(*words),
            cwd=ground.checkout,
            env=ground.environment(DOCKER_HOST=other.host),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 5, done.stderr
        assert ground.host in done.stderr
        assert other.host in done.stderr

    assert {one.id: one.started for one in ground.containers(project)} == before
    assert other.docker("ps", "--all", "--quiet") == ""
    ground("down", "s").ok()
    assert broken(ground, data=data, second=("reap",)) == []


def test_a_state_directory_that_was_deleted_ends_nobody_and_adopt_takes_it_on(
    daemon: PrivateDaemon, ground: Ground
) -> None:
    project = up(ground)
    data = plant_data(ground, project)
    before = {one.id: one.started for one in ground.containers(project)}
    (ground.home / "environments" / project / "record.json").unlink()

    reaped = ground("reap").ok()

    assert project in reaped.out
    assert {one.id: one.started for one in ground.containers(project)} == before
    ground("adopt", project).ok()
    assert ground.record(project)["phase"] == "running"
    ground("down", project).ok()
    assert broken(ground, data=data, second=("reap",)) == []


@pytest.mark.slow
def test_a_full_range_of_subnets_is_told_and_makes_nothing(daemon: PrivateDaemon, ground: Ground) -> None:
    """Strangers' networks leave room for two."""
    config = ground.home.parent / "config" / "stackctl" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("subnets: 10.213.64.0/20\n")
    for taken in ("64.0/21", "72.0/22", "76.0/23", "78.0/24", "79.0/25"):
        daemon.docker("network", "create", f"--subnet=10.213.{taken}", f"taken-{taken.replace('/', '-')}")
    for name in "abc":
        ground.pair(name=name)
    ground("up", "a").ok()
    ground("up", "b").ok()

    third = ground("up", "c")

    assert untold(third, 5, "10.213.64.0/20") == []
    assert "hint:" in third.err
    assert {one.labels["stackctl.stack"] for one in ground.containers()} == {"a", "b"}
    ground("down", "--all").ok()
    assert broken(ground, second=("reap",)) == []


@pytest.mark.slow
def test_a_network_of_the_same_name_is_not_taken_for_ours(daemon: PrivateDaemon, ground: Ground) -> None:
    project = up(ground)
    (name,) = ground.networks()
    ground("down", "s").ok()
    strangers = [daemon.docker("network", "create", name)]

    done = ground("up", "s")

    there = daemon.docker("network", "ls", "--quiet", "--no-trunc").split()
    assert set(strangers) <= set(there)
    members = daemon.docker("network", "inspect", "--format", "{{len .Containers}}", *strangers)
    assert members == "0"
    assert untold(done, 5, name) == []
    assert ground.containers(project) == ()
    daemon.docker("network", "rm", *strangers)
    ground("up", "s").ok()
    ground("down", "s").ok()
    assert broken(ground, second=("reap",)) == []


@pytest.mark.slow
def test_data_is_as_it_was_after_all_of_it(daemon: PrivateDaemon, ground: Ground) -> None:
    """Kill, restart, reboot, one after the other, with `up` in between."""
    project = up(ground)
    data = plant_data(ground, project)
    for fault in (daemon.kill, daemon.stop, daemon.reboot):
        fault()
        daemon.start()
        ground("up", "s").ok()
        assert fingerprints(ground.home) == data
    ground("down", "s").ok()
    assert broken(ground, data=data, second=("reap",)) == []
