"""Orphans in guarded services of a real engine: swept after an exec and by the supervisor, nobody else is."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from commandline import Cli
from house import QUIET, House, journal, looks
from waiting import until

from stackctl.engine.docker import DockerEngine

pytestmark = [pytest.mark.slow, pytest.mark.engine, pytest.mark.timeout(600)]

SETTINGS = "limits: {memory: 128m, pids: 128, cpus: 1}\n"
PATTERN = "sleep 300[0-9]"
KEPT = ["sleep 3000", "sleep 4001"]
"""A bystander of the main process with a name that matches, and an orphan with one that does not."""
LEAVE = "(setsid sleep 3001 &); (sleep 3002 &); (setsid sleep 4001 &)"


def service() -> dict[str, Any]:
    """A service whose main process has a child with a name that matches."""
    return {"image": "busybox:1.35", "command": ["sh", "-c", f"sleep 3000 & {QUIET}"]}


def guard(older_than: str, **also: str) -> str:
    """The setting of a guard, as a stack file has it."""
    words = {"patterns": [PATTERN], "older_than": older_than, **also}
    return f"services: {{web: {{guard: {json.dumps(words)}}}}}\n"


def sleepers(cli: Cli, project: str) -> list[str]:
    """The long sleeps in the service, by their command lines."""
    engine = DockerEngine()
    containers = [one for one in cli.containers(project) if one.service == "web"]
    found = [process.command for one in containers for process in engine.processes(one)]
    return sorted(command for command in found if len(command) == len("sleep 3000"))


def started(cli: Cli, project: str) -> list[tuple[str, float, str]]:
    """Which containers run, and since when."""
    return sorted((one.id, one.started, one.state) for one in cli.containers(project))


@pytest.fixture
def alone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A command line without a supervisor, so that only its own commands sweep."""
    monkeypatch.setenv("STACKCTL_SUPERVISOR", "manual")
    cli.template("guarded", json.dumps({"services": {"web": service()}}))
    return cli


def up(cli: Cli, settings: str) -> str:
    cli.stack("guarded", f"template: guarded\n{SETTINGS}{settings}")
    return str(cli("up", "guarded", "--json").ok().data["project"])


def test_what_an_exec_left_is_swept_after_it_and_its_exit_code_stays(alone: Cli) -> None:
    project = up(alone, guard("200ms"))
    before = started(alone, project)
    until(lambda: sleepers(alone, project) == ["sleep 3000"], 20)

    done = alone("exec", "-T", "guarded", "web", "sh", "-c", f"{LEAVE}; sleep 1; echo out; exit 7")

    assert (done.code, done.out) == (7, "out\n")
    assert f"swept 2 orphans of `web`: {PATTERN}" in done.err
    assert sleepers(alone, project) == KEPT
    assert started(alone, project) == before


def test_what_another_exec_that_lives_has_is_not_swept(alone: Cli) -> None:
    project = up(alone, guard("200ms"))
    until(lambda: sleepers(alone, project) == ["sleep 3000"], 20)
    other = alone.start("exec", "-T", "guarded", "web", "sh", "-c", "sleep 3003 & exec sleep 3004")
    try:
        until(lambda: len(sleepers(alone, project)) == 3, 20, "the other exec")
        done = alone("exec", "-T", "guarded", "web", "sh", "-c", f"{LEAVE}; sleep 1")
        assert (done.code, "swept 2 orphans" in done.err) == (0, True)
        assert sleepers(alone, project) == ["sleep 3000", "sleep 3003", "sleep 3004", "sleep 4001"]
    finally:
        other.kill()
        other.communicate(timeout=20)


@pytest.mark.parametrize("setting", [guard("1h"), guard("200ms", after="never"), ""])
def test_an_exec_says_nothing_of_what_is_not_its_to_sweep(alone: Cli, setting: str) -> None:
    project = up(alone, setting)
    until(lambda: sleepers(alone, project) == ["sleep 3000"], 20)

    done = alone("exec", "-T", "guarded", "web", "sh", "-c", f"{LEAVE}; sleep 1").ok()

    assert done.err == ""
    assert sleepers(alone, project) == ["sleep 3000", "sleep 3001", "sleep 3002", "sleep 4001"]


def test_what_cannot_be_swept_is_said_and_the_exit_code_stays(alone: Cli, tmp_path: Path) -> None:
    """Through a docker command that knows every process of the container to be somewhere else."""
    up(alone, guard("200ms"))
    host = "ssh://nobody@stackctl.invalid"
    (tmp_path / "bin").mkdir()
    real = Path("/usr/bin/docker")
    wrapper = tmp_path / "bin" / "docker"
    wrapper.write_text(f'#!/bin/sh\nunset DOCKER_HOST\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    path = f"{wrapper.parent}:{os.environ['PATH']}"

    done = alone("exec", "-T", "guarded", "web", "sh", "-c", "exit 3", PATH=path, DOCKER_HOST=host)

    assert done.code == 3
    assert "the guard of `web` cannot sweep" in done.err


def leave_and_die(house: House, project: str, script: str, count: int) -> None:
    """Begin an exec that leaves processes behind, and kill it half-way."""
    child = house.cli.start("exec", "-T", "guarded", "web", "sh", "-c", f"{script}; exec sleep 3009")
    try:
        until(lambda: len(sleepers(house.cli, project)) == count, 30, "what the exec began")
        assert child.poll() is None
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate(timeout=20)


def swept(house: House, project: str) -> dict[str, Any]:
    """The first line of the log that tells of a sweep that was done."""
    found: list[dict[str, Any]] = []

    def told() -> bool:
        found[:] = [one for one in journal(house.home, project, "done") if one["rule"] == "littered"]
        return bool(found)

    until(told, 60, f"a sweep: {journal(house.home, project)}")
    return found[0]


def test_the_supervisor_sweeps_what_a_killed_exec_left_once_a_guard_is_there(house: House) -> None:
    project = house.up("guarded", {"web": service()}, SETTINGS)
    before = started(house.cli, project)
    leave_and_die(house, project, LEAVE, 5)
    assert house.cli.record(project)["services"]["web"]["guard"] == {}

    house.cli.stack(
        "guarded", f"template: guarded\nsidecars: {{db: {{template: keeper}}}}\n{SETTINGS}{guard('1s')}"
    )
    house.cli("up", "guarded").ok()
    line = swept(house, project)

    assert line["words"] == f"swept 2 orphans of `web`: {PATTERN}"
    assert "incident" not in line
    # the exec's own process lives on, and is nobody's orphan while it does
    assert sleepers(house.cli, project) == ["sleep 3000", "sleep 3009", "sleep 4001"]
    assert started(house.cli, project) == before
    assert house.cli.record(project)["phase"] == "running"
    assert house.incidents("guarded") == []
    looks(house.home, 3)  # what was seen before the sweep asks for no other one
    assert [one["rule"] for one in journal(house.home, project, "acts")] == ["littered"]
    house.cli("down", "guarded").ok()


def test_many_at_once_are_reported_and_the_environment_lives_on(house: House) -> None:
    project = house.up("many", {"web": service()}, SETTINGS + guard("1s", after="never"))
    before = started(house.cli, project)
    script = "for n in $(seq 60); do setsid sleep 3005 & done; sleep 2"  # so that all are lost at once
    house.cli("exec", "-T", "many", "web", "sh", "-c", script).ok()

    line = swept(house, project)

    assert line["words"].startswith("swept ")
    until(lambda: sleepers(house.cli, project) == ["sleep 3000"], 60, "every orphan swept")
    (incident,) = house.incidents("many")
    assert (incident["rule"], incident["action"], incident["service"]) == ("littered", "report", "web")
    assert (incident["id"], incident["done"]) == (line["incident"], [line["words"]])
    assert any(group["command"] == "sleep 3005" for group in incident["groups"])
    until(lambda: len(list(house.delivered.glob("*.json"))) == 1, 20, "the hook")
    told = house.cli("why", "many").ok().out
    assert "`web` was reported at" in told
    assert f"`: {PATTERN}" in told
    assert started(house.cli, project) == before
    assert house.cli.record(project)["phase"] == "running"
    house.cli("down", "many").ok()
