"""The supervisor as a process: many descriptors, no room for a beat, an `up` as it leaves, one look."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import Cli
from house import end_process, heartbeat, journal, looks, peer
from waiting import lives, until

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SMALL = "limits: {memory: 64m, pids: 64, cpus: 0.5}\n"
MANY = """
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
HELD = [os.open("/dev/null", os.O_RDONLY) for _ in range(1200)]
"""
AUTO = {"STACKCTL_SUPERVISOR": "auto"}


def calm_stack(cli: Cli, name: str = "calm") -> None:
    """Write a stack with one service that does nothing."""
    cli.template(name, json.dumps({"services": {"web": peer()}}))
    cli.stack(name, f"template: {name}\n{SMALL}")


def up(cli: Cli, *arguments: str, **env: str) -> str:
    """Bring the calm stack up; its project."""
    return str(cli("up", "calm", "--json", *arguments, **env).ok().data["project"])


def standing(cli: Cli) -> dict[str, Any]:
    """What `supervise --status` says."""
    found: dict[str, Any] = cli("supervise", "--status", "--json").data
    return found


@pytest.fixture
def begun(cli: Cli) -> Iterator[list[subprocess.Popen[str]]]:
    """Supervisors that a test started; each is ended after it, and one in the background too."""
    children: list[subprocess.Popen[str]] = []
    yield children
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGCONT)
            child.kill()
        child.communicate(timeout=10)
    pid = standing(cli)["pid"]
    cli("supervise", "--stop").ok()
    until(lambda: pid is None or not lives(pid), 10, "its end")


def watching(
    cli: Cli, begun: list[subprocess.Popen[str]], *arguments: str, **env: str
) -> subprocess.Popen[str]:
    """Start a supervisor and wait for its first good look."""
    child = cli.start("supervise", "--log-format", "json", *arguments, **env)
    begun.append(child)
    until(lambda: heartbeat(cli.home).get("pid") == child.pid, 30, "its first good look")
    return child


def blocked_beat(cli: Cli, child: subprocess.Popen[str]) -> Path:
    """Where a supervisor writes its next heartbeat, before that takes the old one's place."""
    return cli.home / "supervisor" / f".heartbeat.json-{child.pid}"


def test_it_watches_with_more_descriptors_than_select_can_take(
    cli: Cli, begun: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    calm_stack(cli)
    project = up(cli)
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "sitecustomize.py").write_text(MANY)

    child = watching(cli, begun, PYTHONPATH=str(tmp_path / "many"))
    looks(cli.home, 2.0)
    assert len(list(Path(f"/proc/{child.pid}/fd").iterdir())) > 1200
    cli("extend", "calm", "1s").ok()
    until(lambda: cli.record(project)["phase"] == "expired", 30, "the end of its lifetime")

    assert end_process(child)[0] == 0
    assert journal(cli.home, event="bug") == []


def test_what_comes_up_while_it_leaves_is_watched(cli: Cli, begun: list[subprocess.Popen[str]]) -> None:
    calm_stack(cli)
    child = watching(cli, begun, "--leave-after", "8s", "--interval", "1s")
    began = time.monotonic()
    pipe = blocked_beat(cli, child)
    os.mkfifo(pipe)  # it has looked, then waits here until somebody reads, then decides upon that look
    until(lambda: heartbeat(cli.home)["wall"] < time.time() - 3, 20, "it to wait in its beat")

    project = up(cli, **AUTO)
    assert standing(cli)["pid"] == child.pid
    until(lambda: time.monotonic() > began + 9, 20, "the time to leave")
    reader = os.open(pipe, os.O_RDONLY)
    until(lambda: journal(cli.home, event="leaves"), 20, "its leave")
    os.close(reader)

    beat = cli.home / "supervisor" / "heartbeat.json"  # the pipe, until the next one takes its place
    until(lambda: beat.is_file() and heartbeat(cli.home)["environments"] == 1, 20, "a look at what came up")
    assert (standing(cli)["pid"], standing(cli)["sound"]) == (child.pid, True)
    assert [one["event"] for one in journal(cli.home)] == ["began", "leaves", "left", "began"]
    cli("down", project).ok()
    assert child.wait(30) == 0


def test_told_to_leave_it_leaves_although_something_is_up(
    cli: Cli, begun: list[subprocess.Popen[str]]
) -> None:
    calm_stack(cli)
    up(cli)
    child = watching(cli, begun)
    cli("supervise", "--stop").ok()
    assert child.wait(10) == 0
    assert [one["event"] for one in journal(cli.home)] == ["began", "left"]


def test_a_dry_run_needs_no_lock_and_is_nobody_that_watches(
    cli: Cli, begun: list[subprocess.Popen[str]]
) -> None:
    calm_stack(cli)
    up(cli, "--lifetime", "1s")
    dry = cli.start("supervise", "--dry-run", "--log-format", "json")
    begun.append(dry)
    assert dry.stderr is not None
    lines = iter(dry.stderr.readline, "")
    assert any(json.loads(line)["event"] == "would" for line in lines)

    assert not standing(cli)["alive"]
    assert heartbeat(cli.home) == {}
    up(cli, "--instance", "b", **AUTO)
    until(lambda: standing(cli)["sound"] and heartbeat(cli.home), 30, "one that watches")
    beside = cli.start("supervise", "--dry-run", "--log-format", "json")
    begun.append(beside)
    assert beside.stderr is not None
    assert json.loads(beside.stderr.readline())["event"] == "began"
    assert heartbeat(cli.home)["pid"] not in (dry.pid, beside.pid)
    assert [end_process(one)[0] for one in (dry, beside)] == [0, 0]


def test_its_heartbeat_says_how_often_it_looks(cli: Cli, begun: list[subprocess.Popen[str]]) -> None:
    watching(cli, begun, "--interval", "1m")
    assert heartbeat(cli.home)["interval"] == 60.0


def test_one_that_cannot_write_its_beat_counts_as_alive_and_is_not_replaced(
    cli: Cli, begun: list[subprocess.Popen[str]]
) -> None:
    calm_stack(cli)
    up(cli)
    child = watching(cli, begun)
    blocked_beat(cli, child).mkdir()

    until(lambda: heartbeat(cli.home)["wall"] < time.time() - 17, 40, "a beat that is old")

    found = standing(cli)
    assert (found["sound"], found["age_seconds"] < 10) == (True, True)
    up(cli, **AUTO)
    assert child.poll() is None
    assert standing(cli)["pid"] == child.pid


@pytest.mark.slow
def test_one_that_hangs_is_replaced(cli: Cli, begun: list[subprocess.Popen[str]]) -> None:
    calm_stack(cli)
    up(cli)
    child = watching(cli, begun)
    child.send_signal(signal.SIGSTOP)
    until(lambda: standing(cli)["stale"], 40, "its heartbeat growing stale")

    up(cli, **AUTO)

    assert child.wait(10) == -signal.SIGKILL
    until(lambda: standing(cli)["sound"] and heartbeat(cli.home)["pid"] != child.pid, 30, "its successor")


def test_thawed_while_it_is_looked_at_again_it_is_not_replaced(
    cli: Cli, begun: list[subprocess.Popen[str]]
) -> None:
    calm_stack(cli)
    up(cli)
    child = watching(cli, begun)
    child.send_signal(signal.SIGSTOP)
    until(lambda: standing(cli)["stale"], 40, "its heartbeat growing stale")
    changing = cli.start("up", "calm", **AUTO)
    begun.append(changing)
    child.send_signal(signal.SIGCONT)

    assert changing.wait(60) == 0
    assert child.poll() is None
    assert standing(cli)["pid"] == child.pid


def test_one_look_says_when_what_it_did_failed(cli: Cli, begun: list[subprocess.Popen[str]]) -> None:
    calm_stack(cli)
    project = up(cli, "--lifetime", "1s")
    until(lambda: time.time() > cli.record(project)["deadline"]["wall"], 10, "the end of its lifetime")
    point = {"STACKCTL_TEST": "1", "STACKCTL_FAILPOINT": "stop#1:before:raise"}

    failed = cli("supervise", "--once", "--json", **point)

    assert failed.code == 1
    assert [project in sentence for sentence in failed.data["unfinished"]] == [True]
    until(lambda: cli("supervise", "--once").ok() and cli.containers() == (), 60, "the act, tried again")


def test_one_look_beside_a_sound_supervisor_does_nothing_twice(
    cli: Cli, begun: list[subprocess.Popen[str]]
) -> None:
    calm_stack(cli)
    project = up(cli, "--lifetime", "1s")
    until(lambda: time.time() > cli.record(project)["deadline"]["wall"], 10, "the end of its lifetime")
    watching(cli, begun, STACKCTL_TEST="1", STACKCTL_FAILPOINT="stop#1:before:hang")

    beside = cli("supervise", "--once").ok()
    data = cli("supervise", "--once", "--json").ok().data

    assert "a supervisor watches" in beside.err
    assert (data["watched"], data["acts"], data["reports"]) == (True, [], [])


def test_status_shows_the_others_beside_one_of_another_engine(cli: Cli) -> None:
    calm_stack(cli)
    project, other = up(cli), up(cli, "--instance", "b")
    path = cli.home / "environments" / other / "record.json"
    original = path.read_bytes()
    elsewhere(cli, other)

    text, data = cli("status"), cli("status", "--json")

    path.write_bytes(original)
    assert (text.code, data.code) == (1, 1)
    assert project in text.out
    assert f"`{other}` cannot be shown: " in text.err
    assert [one["project"] for one in data.data] == [project]
    assert cli("status").ok().code == 0


def elsewhere(cli: Cli, project: str) -> None:
    """Let a record say that its environment was made on another engine."""
    from dataclasses import replace

    from stackctl.state.home import open_home
    from stackctl.state.store import FileStore

    store = FileStore(open_home(cli.home))
    record = store.read(project)
    assert record is not None
    store.write(replace(record, engine="ANOTHER", engine_host="ssh://far"))


def test_status_names_what_runs_without_a_record(cli: Cli) -> None:
    calm_stack(cli)
    project = up(cli)
    path = cli.home / "environments" / project / "record.json"
    original = path.read_bytes()

    path.unlink()
    lost = cli("status").ok().err
    path.write_text("damaged")
    damaged = cli("status").ok().err
    path.write_bytes(original)

    assert f"nothing is remembered of `{project}`" in lost
    assert f"`stackctl adopt {project}`" in lost
    assert f"`stackctl reap --force {project}`" in lost
    assert "cannot be read" in damaged
    assert f"`stackctl reap --force {project}`" in damaged
    assert "adopt" not in damaged
    assert "warning" not in cli("status", "calm").ok().err


@pytest.mark.slow
def test_its_successor_waits_until_what_is_under_way_has_had_its_time(
    cli: Cli, begun: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    from test_process import version_of

    calm_stack(cli)
    project = up(cli)
    hang = {"STACKCTL_TEST": "1", "STACKCTL_FAILPOINT": "stop#1:before:hang"}
    old = watching(cli, begun, PYTHONPATH=version_of(tmp_path / "old", "0.0.1"), **hang)
    cli("extend", "calm", "1s").ok()
    until(lambda: cli.record(project)["phase"] == "stopping", 30, "the act")

    done = cli("up", "calm", "--instance", "b", **AUTO).ok()

    assert "no supervisor could be started" not in done.err
    assert old.wait(5) == 0
    until(lambda: standing(cli)["sound"] and heartbeat(cli.home)["pid"] != old.pid, 30, "its successor")
