"""The watchdog on cgroup v2: rogues are ended, who only reads files or does nothing lives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from guest import Guest
from guest_command import STILL, GuestCommand, lent

pytestmark = [pytest.mark.slow, pytest.mark.vm, pytest.mark.timeout(1500)]

MEBIBYTE = 1024 * 1024
GATE = "until [ -e /tmp/go ]; do sleep 1; done"
ROGUES = {
    "bomb": f"{GATE}; for i in $(seq 56); do sleep 600 & done; wait",
    "hog": f"{GATE}; head -c {56 * MEBIBYTE} /dev/zero > /tmp/fill; {STILL}",
}
OTHERS = {
    "reader": "dd if=/dev/zero of=/big bs=1M count=80; sync; while :; do cat /big > /dev/null; sleep 1; done",
    "bystander": STILL,
}
SETTINGS: dict[str, Any] = {
    "limits": {"memory": "64m", "pids": 64},
    "watchdog": {"sustain": "5s", "on_violation": "service"},
}


@pytest.fixture(scope="module")
def watched(guest: Guest) -> Iterator[GuestCommand]:
    """An environment of two rogues, a reader and a bystander, watched by a supervisor in the background."""
    with lent(guest, "watched", supervisor="auto") as command:
        scripts = {**ROGUES, **OTHERS}
        services = {
            name: {"command": ["sh", "-c", script], "tmpfs": ["/tmp:size=100m"], "stop_grace_period": "1s"}
            for name, script in scripts.items()
        }
        command.stack("rogues", services, **SETTINGS)
        command.up("rogues")
        yield command


@pytest.fixture(scope="module")
def incidents(watched: GuestCommand) -> dict[str, dict[str, Any]]:
    """Service -> its one incident, once both rogues were let go."""
    for name in ROGUES:
        watched.guest.run(f"docker exec {watched.container('rogues', name)} touch /tmp/go").ok()
    asked = watched.line("incidents rogues --json")
    done = watched.guest.until(
        asked, 120, lambda one: [each["result"] for each in one.data] == ["done", "done"]
    )
    assert sorted(one["service"] for one in done.data) == sorted(ROGUES)
    return {one["service"]: one for one in done.data}


def test_a_supervisor_watches(watched: GuestCommand) -> None:
    asked = watched("supervise --status --json").ok().data
    assert (asked["alive"], asked["sound"]) == (True, True)


def test_a_fork_bomb_is_ended_for_its_processes(incidents: dict[str, dict[str, Any]]) -> None:
    bomb = incidents["bomb"]
    assert (bomb["rule"], bomb["result"]) == ("over_pids", "done")
    assert bomb["violation"]["reading"] > 50
    assert bomb["processes"] > 50
    assert any("sleep 600" in group["command"] for group in bomb["groups"])


def test_a_hog_is_ended_for_its_memory(incidents: dict[str, dict[str, Any]]) -> None:
    hog = incidents["hog"]
    assert (hog["rule"], hog["result"]) == ("over_memory", "done")
    assert 51 * MEBIBYTE < hog["violation"]["reading"] <= 64 * MEBIBYTE


@pytest.mark.usefixtures("incidents")
def test_who_fills_only_the_page_cache_lives(watched: GuestCommand) -> None:
    """Its group is as full as the hog's ever was, and it has been there for longer."""
    reader = watched.container("rogues", "reader")
    group = watched.cgroup(reader)
    assert int(watched.reads(group, "memory.current")["memory.current"]) > 51 * MEBIBYTE
    usage = watched.status("rogues")["services"]["reader"]["usage"]
    assert usage["memory_bytes"] < 20 * MEBIBYTE


@pytest.mark.usefixtures("incidents")
def test_a_bystander_lives_and_why_tells_the_rest(watched: GuestCommand) -> None:
    services = watched.status("rogues")["services"]
    assert {name for name, one in services.items() if one["standing"] == "ready"} == set(OTHERS)
    told = watched("why rogues").ok().out
    assert "was stopped at" in told
    assert "the other services live on" in told


@pytest.mark.usefixtures("incidents")
def test_a_supervisor_that_is_stopped_leaves_stacks_running(watched: GuestCommand) -> None:
    watched("supervise --stop").ok()
    running = watched.guest.run("docker ps --format '{{.Names}}'").ok().out
    assert all(name in running for name in OTHERS)
