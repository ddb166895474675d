"""The supervisor as a process: one for each home, started, replaced, frozen, killed and told to leave."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import Cli
from daemon import PrivateDaemon
from ground import new_ground
from house import docker, end_process, heartbeat, journal, looks, new_cli, peer, rogue
from waiting import lives, state, until

import stackctl

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SMALL = "limits: {memory: 64m, pids: 64, cpus: 0.5}\n"
MANY = """
children = [os.fork() or time.sleep(60) for _ in range(61)]
time.sleep(60)
"""


def calm_stack(cli: Cli, name: str = "calm", **also: Any) -> None:
    """Write a stack with one service that does nothing."""
    cli.template(name, json.dumps({"services": {"web": {**peer(), **also}}}))
    cli.stack(name, f"template: {name}\n{SMALL}")


def up(cli: Cli, *arguments: str, name: str = "calm", **env: str) -> str:
    """Bring a stack up; its project."""
    return str(cli("up", name, "--json", *arguments, **env).ok().data["project"])


def standing(cli: Cli) -> dict[str, Any]:
    """What `supervise --status` says."""
    found: dict[str, Any] = cli("supervise", "--status", "--json").data
    return found


@pytest.fixture
def begun(cli: Cli) -> Iterator[list[subprocess.Popen[str]]]:
    """Supervisors that a test started; each is ended after it."""
    children: list[subprocess.Popen[str]] = []
    yield children
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGCONT)
            child.kill()
        child.communicate(timeout=10)


@pytest.fixture
def background(cli: Cli) -> Iterator[None]:
    """After the test the supervisor in the background is told to leave, and must have left."""
    yield
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


def test_there_is_one_for_each_home_and_it_leaves_when_told_while_stacks_run_on(
    cli: Cli, begun: list[subprocess.Popen[str]]
) -> None:
    calm_stack(cli)
    project = up(cli)
    assert cli("supervise", "--status").code == 1
    assert cli("status", "calm").ok().code == 0
    assert cli("status", "calm", "--require-supervisor").code == 1

    child = watching(cli, begun)
    second = cli("supervise")

    assert second.code == 7
    assert f"pid {child.pid}" in second.err
    assert standing(cli)["pid"] == child.pid
    assert cli("supervise", "--status").ok().out.startswith(f"supervisor: pid {child.pid}, last good look ")
    assert cli("status", "calm", "--require-supervisor").ok().code == 0
    other = new_cli(cli.home.parent / "other")
    assert watching(other, begun).poll() is None

    stopped = cli("supervise", "--stop").ok()

    assert f"(pid {child.pid}) has left" in stopped.out
    assert child.wait(10) == 0
    assert [one.state for one in cli.containers(project)] == ["running"]
    assert cli.record(project)["phase"] == "running"
    assert journal(cli.home)[-1]["event"] == "left"
    assert cli("supervise", "--stop").ok().out == "none runs\n"
    assert cli("supervise", "--status").code == 1
    assert standing(other)["sound"]


def test_each_line_of_its_log_is_one_object_and_a_quiet_look_writes_none(
    cli: Cli, begun: list[subprocess.Popen[str]]
) -> None:
    calm_stack(cli)
    project = up(cli)
    child = watching(cli, begun)
    looks(cli.home, 2.0)
    quiet = [one["event"] for one in journal(cli.home)]
    cli("extend", "calm", "1s").ok()
    until(lambda: journal(cli.home, project, "done"), 30, "the end of its lifetime")

    code, err = end_process(child)

    assert code == 0
    assert quiet == ["began"]
    shown = [json.loads(line) for line in err.splitlines()]
    assert shown == journal(cli.home)
    assert [one["event"] for one in shown] == ["began", "acts", "done", "left"]
    assert shown[1] == {
        "time": shown[1]["time"],
        "event": "acts",
        "project": project,
        "rule": "expired",
        "action": "end",
        "phase": "expired",
        "reason": "its lifetime of 1s is over",
    }
    assert shown[-1]["signal"] == "SIGTERM"


def test_up_starts_one_in_the_background_and_only_one(cli: Cli, background: None) -> None:
    calm_stack(cli)

    up(cli, STACKCTL_SUPERVISOR="auto")

    until(lambda: standing(cli)["sound"] and heartbeat(cli.home).get("environments") == 1, 30, "a supervisor")
    first = standing(cli)
    assert first["heartbeat"]["background"]
    assert os.getsid(first["pid"]) == first["pid"]
    up(cli, STACKCTL_SUPERVISOR="auto")
    up(cli, "--instance", "b", STACKCTL_SUPERVISOR="auto")
    assert standing(cli)["pid"] == first["pid"]
    assert [one["event"] for one in journal_text(cli.home)] == ["began"]


def journal_text(home: Path) -> list[dict[str, str]]:
    """The events of a log in its text form."""
    lines = (home / "supervisor" / "supervisor.log").read_text().splitlines()
    return [{"event": line.split()[1], "line": line} for line in lines]


def test_manual_means_that_up_starts_none(cli: Cli) -> None:
    calm_stack(cli)

    done = cli("up", "calm").ok()

    assert "no supervisor is running (`supervisor: manual`)" in done.err
    assert not standing(cli)["alive"]
    assert not (cli.home / "supervisor" / "supervisor.log").exists()


def test_it_leaves_when_nothing_was_left_to_watch_and_not_before(
    cli: Cli, begun: list[subprocess.Popen[str]]
) -> None:
    calm_stack(cli)
    up(cli)
    child = watching(cli, begun, "--leave-after", "1s")
    looks(cli.home, 3.0)
    assert child.poll() is None

    cli("down", "calm").ok()

    assert child.wait(30) == 0
    assert [one["event"] for one in journal(cli.home)][-2:] == ["leaves", "left"]


def version_of(folder: Path, version: str) -> str:
    """A copy of the package that calls itself another version; what to put on PYTHONPATH."""
    shutil.copytree(Path(stackctl.__file__).parent, folder / "stackctl")
    start = folder / "stackctl" / "__init__.py"
    start.write_text(start.read_text().replace(stackctl.__version__, version))
    return str(folder)


def test_a_newer_version_takes_over_from_an_older_one(
    cli: Cli, begun: list[subprocess.Popen[str]], background: None, tmp_path: Path
) -> None:
    calm_stack(cli)
    old = watching(cli, begun, PYTHONPATH=version_of(tmp_path / "old", "0.0.1"))
    assert standing(cli)["heartbeat"]["version"] == "0.0.1"

    project = up(cli, STACKCTL_SUPERVISOR="auto")

    assert old.wait(15) == 0
    until(lambda: standing(cli)["sound"] and heartbeat(cli.home)["pid"] != old.pid, 30, "its successor")
    assert heartbeat(cli.home)["version"] == stackctl.__version__
    assert [one.state for one in cli.containers(project)] == ["running"]


def test_an_older_version_leaves_a_newer_one_in_its_place(
    cli: Cli, begun: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    calm_stack(cli)
    new = watching(cli, begun, PYTHONPATH=version_of(tmp_path / "new", "99.1.0"))

    up(cli, STACKCTL_SUPERVISOR="auto")

    assert new.poll() is None
    assert standing(cli)["pid"] == new.pid
    assert standing(cli)["heartbeat"]["version"] == "99.1.0"


def test_what_a_newer_version_wrote_is_refused_and_nothing_of_it_is_reaped(cli: Cli) -> None:
    calm_stack(cli)
    project = up(cli, "--lifetime", "1s")
    path = cli.home / "environments" / project / "record.json"
    original = path.read_bytes()
    record = json.loads(original)
    path.write_text(json.dumps({**record, "schema": 99, "phase": "stopped"}))
    written = path.read_bytes()
    until(lambda: time.time() > record["deadline"]["wall"], 10, "the end of its lifetime")
    before = cli.containers(project), cli.networks()

    said = cli("supervise", "--once", "--json").ok().data
    reaped = cli("reap", "--json").ok().data

    assert said["acts"] == []
    assert {one["rule"] for one in said["reports"]} == {"unmanaged"}
    assert all("schema 99 is newer" in one["reason"] for one in said["reports"])
    assert len(reaped["kept"]) == 2
    assert (cli.containers(project), cli.networks()) == before
    assert path.read_bytes() == written
    assert cli("up", "calm").code == 1
    assert cli("down", "calm").code != 0
    assert (cli.containers(project), path.read_bytes()) == (before[0], written)
    path.write_bytes(original)


POINTS = (
    "incident#1:after",
    "record:stopping#1:after",
    "stop#1:after",
    "remove-containers#1:after",
    "remove-networks#1:before",
    "record:{phase}#1:before",
    "record:{phase}#1:after",
)


@pytest.mark.parametrize("point", POINTS)
def test_an_ending_that_was_cut_short_is_finished_as_what_it_was(cli: Cli, point: str) -> None:
    calm_stack(cli)
    project = up(cli, "--lifetime", "1s")
    deadline = cli.record(project)["deadline"]["wall"]
    until(lambda: time.time() > deadline, 10, "the end of its lifetime")

    killed = cli(
        "supervise",
        "--once",
        STACKCTL_TEST="1",
        STACKCTL_FAILPOINT=f"{point.format(phase='expired')}:kill9",
    )
    first = [one["id"] for one in cli("incidents", "calm", "--json").ok().data]
    cli("supervise", "--once").ok()

    assert killed.code == -signal.SIGKILL
    assert cli.containers() == ()
    assert cli.networks() == []
    record = cli.record(project)
    incidents = cli("incidents", "calm", "--json").ok().data
    assert record["phase"] == "expired"
    assert record["lease"] is None
    assert record["ending"]["reason"] == "its lifetime of 1s is over"
    assert record["ending"]["incident"] in {one["id"] for one in incidents}
    assert first[0] == incidents[0]["id"]
    if not point.startswith("record:{phase}#1:after"):
        (done,) = incidents[-1]["done"]
        assert (incidents[-1]["result"], done.endswith("ended and removed, data kept")) == ("done", True)
    if not point.startswith("incident"):
        assert [record["ending"]["incident"]] == first == [one["id"] for one in incidents]
    assert "its lifetime of 1s is over" in cli("why", "calm").ok().out
    again = cli("supervise", "--once", "--json").ok().data
    assert (again["acts"], again["reports"]) == ([], [])


def test_a_violation_that_was_cut_short_is_finished_as_killed(cli: Cli) -> None:
    cli.template("many", json.dumps({"services": {"rogue": rogue(MANY)}}))
    cli.stack("many", f"template: many\n{SMALL}")
    project = up(cli, name="many")
    (container,) = cli.containers(project)
    docker("exec", container.id, "touch", "/tmp/go")
    point = {"STACKCTL_TEST": "1", "STACKCTL_FAILPOINT": "stop#1:after:kill9"}

    def struck() -> bool:
        return cli("supervise", "--once", **point).code == -signal.SIGKILL

    until(struck, 30, "an act")
    (before,) = cli("incidents", "many", "--json").ok().data
    cli("supervise", "--once").ok()

    record = cli.record(project)
    (incident,) = cli("incidents", "many", "--json").ok().data
    assert (record["phase"], record["ending"]["incident"]) == ("killed", before["id"])
    assert incident["id"] == before["id"]
    assert cli.containers() == ()
    assert cli("why", "many").ok().out.startswith("`rogue` was stopped at ")


STUBBORN = {"command": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]}


def test_told_to_leave_while_it_acts_it_finishes_what_it_does(
    cli: Cli, begun: list[subprocess.Popen[str]]
) -> None:
    calm_stack(cli, **STUBBORN, stop_grace_period="4s")
    project = up(cli)
    child = watching(cli, begun)
    cli("extend", "calm", "1s").ok()
    until(lambda: cli.record(project)["phase"] == "stopping", 30, "the act")

    code, _ = end_process(child)

    assert code == 0
    record = cli.record(project)
    assert (record["phase"], record["lease"]) == ("expired", None)
    assert cli.containers() == ()
    assert [one["event"] for one in journal(cli.home)][-2:] == ["done", "left"]
    (incident,) = cli("incidents", "calm", "--json").ok().data
    assert (incident["result"], incident["took"] >= 3.5) == ("done", True)


@pytest.mark.slow
def test_what_does_not_end_keeps_it_no_longer_than_its_patience_and_the_next_one_finishes(
    cli: Cli, begun: list[subprocess.Popen[str]]
) -> None:
    calm_stack(cli)
    project = up(cli)
    child = watching(cli, begun, STACKCTL_TEST="1", STACKCTL_FAILPOINT="stop#1:before:hang")
    cli("extend", "calm", "1s").ok()
    until(lambda: cli.record(project)["phase"] == "stopping", 30, "the act")

    code, _ = end_process(child)

    assert code == 0
    assert cli.record(project)["phase"] == "stopping"
    cli("supervise", "--once").ok()
    (incident,) = cli("incidents", "calm", "--json").ok().data
    assert (cli.record(project)["phase"], cli.record(project)["ending"]["incident"]) == (
        "expired",
        incident["id"],
    )


@pytest.fixture
def manager() -> Iterator[tuple[str, socket.socket]]:
    """What a service manager listens on: its address, and its socket."""
    folder = tempfile.mkdtemp(prefix="stackctl-notify-")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{folder}/socket")
        listener.settimeout(20)
        yield f"{folder}/socket", listener
    shutil.rmtree(folder)


def test_it_tells_its_service_manager_that_it_is_ready_and_after_each_good_look_that_it_lives(
    cli: Cli, begun: list[subprocess.Popen[str]], manager: tuple[str, socket.socket]
) -> None:
    address, listener = manager
    calm_stack(cli)
    up(cli)
    child = watching(cli, begun, NOTIFY_SOCKET=address)

    heard = [listener.recv(1024).decode() for _ in range(7)]
    child.send_signal(signal.SIGSTOP)
    until(lambda: state(child.pid) == "T", 5, "the freeze")
    drain(listener)
    listener.settimeout(2.5)
    with pytest.raises(TimeoutError):
        listener.recv(1024)
    child.send_signal(signal.SIGCONT)
    listener.settimeout(20)
    assert listener.recv(1024).startswith(b"STATUS=")
    end_process(child)

    assert heard == ["READY=1", *["STATUS=watches 1 environments, 1 containers", "WATCHDOG=1"] * 3]
    assert drain(listener)[-1] == b"STOPPING=1"


def drain(listener: socket.socket) -> list[bytes]:
    """What has arrived."""
    listener.setblocking(False)
    heard = []
    try:
        while True:
            heard.append(listener.recv(1024))
    except BlockingIOError:
        return heard


def test_frozen_it_counts_as_hung_and_thawed_as_sound(cli: Cli, begun: list[subprocess.Popen[str]]) -> None:
    calm_stack(cli)
    up(cli)
    child = watching(cli, begun)
    assert cli("status", "calm", "--require-supervisor").ok().code == 0

    child.send_signal(signal.SIGSTOP)
    until(lambda: standing(cli)["stale"], 40, "its heartbeat growing stale")

    required = cli("status", "calm", "--require-supervisor", "--json")
    assert (required.code, required.data["supervisor"]["sound"]) == (1, False)
    assert required.data["supervisor"]["age_seconds"] > 15
    assert cli("status", "calm").ok().code == 0
    assert "HUNG" in cli("supervise", "--status").out
    assert cli("supervise", "--status").code == 1
    child.send_signal(signal.SIGCONT)
    until(lambda: standing(cli)["sound"], 20, "a good look")


def test_killed_it_is_replaced_at_once(cli: Cli, begun: list[subprocess.Popen[str]]) -> None:
    calm_stack(cli)
    project = up(cli)
    child = watching(cli, begun)
    child.kill()
    child.wait(10)

    assert not standing(cli)["alive"]
    assert watching(cli, begun).poll() is None
    assert cli.record(project)["phase"] == "running"


def test_an_engine_that_is_not_there_is_waited_for_and_nothing_is_deleted(
    cli: Cli, begun: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    calm_stack(cli)
    folder = Path(tempfile.mkdtemp(prefix="stackctl-engine-"))
    missing = folder / "docker.sock"
    missing.symlink_to("/var/run/docker.sock")
    project = up(cli, "--lifetime", "2s", DOCKER_HOST=f"unix://{missing}")
    missing.unlink()
    before, record = cli.containers(project), cli.record(project)
    try:
        once = cli("supervise", "--once", "--json", DOCKER_HOST=f"unix://{missing}")
        child = watching(cli, begun, DOCKER_HOST=f"unix://{missing}")
        until(lambda: journal(cli.home, event="blind"), 20, "it to say that it cannot see")
        until(lambda: time.time() > record["deadline"]["wall"] + 2, 20, "the end of the lifetime")

        assert once.code == 4
        assert child.poll() is None
        assert heartbeat(cli.home)["blind"]
        assert "it cannot ask" in cli("supervise", "--status").out
        assert (cli.containers(project), cli.record(project)) == (before, record)

        missing.symlink_to("/var/run/docker.sock")
        until(lambda: cli.record(project)["phase"] == "expired", 60, "the end that was due")
    finally:
        shutil.rmtree(folder)
    events = [one["event"] for one in journal(cli.home)]
    assert events.count("blind") <= 2
    assert events.index("sees") < events.index("acts")
    assert cli.containers() == ()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[PrivateDaemon]:
    """A daemon that may be killed, with busybox."""
    archive = tmp_path / "busybox.tar"
    docker("save", "--output", str(archive), "busybox:1.35")
    found = PrivateDaemon(images=archive)
    try:
        yield found.start()
    finally:
        found.close()


def test_a_daemon_that_is_killed_and_comes_back_finds_it_watching(
    daemon: PrivateDaemon, tmp_path: Path
) -> None:
    ground = new_ground(tmp_path / "ground", daemon.host)
    calm_stack(ground, restart="always")
    calm_stack(ground, name="brief")
    project, brief = up(ground), up(ground, "--lifetime", "10m", name="brief")
    begun: list[subprocess.Popen[str]] = []
    try:
        child = watching(ground, begun)
        daemon.kill()
        until(lambda: journal(ground.home, event="blind"), 20, "it to say that it cannot see")
        ground("extend", "brief", "1s")
        assert {ground.record(one)["phase"] for one in (project, brief)} == {"running"}

        daemon.start()
        until(lambda: journal(ground.home, event="sees"), 60, "it to see again")
        until(lambda: journal(ground.home, project, "done"), 30, "the restart")
        looks(ground.home, 2.0)

        assert [one.state for one in ground.containers(project)] == ["running"]
        assert len(ground.record(project)["restarts"]["web"]) == 1
        ground("extend", "brief", "1s").ok()
        until(lambda: ground.record(brief)["phase"] == "expired", 30, "the end of its lifetime")
        assert ground.containers(brief) == ()
        assert end_process(child)[0] == 0
    finally:
        for one in begun:
            if one.poll() is None:
                one.kill()
                one.communicate(timeout=10)


def test_words_that_do_not_go_together_are_refused(cli: Cli) -> None:
    for words in (("--once", "--stop"), ("--status", "--once"), ("--interval", "10ms")):
        assert cli("supervise", *words).code == 2
    assert not (cli.home / "supervisor" / "supervisor.log").exists()
