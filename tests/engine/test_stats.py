"""Docker's own statistics, where cgroups are out of reach: lines as literals, and a remote engine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waiting import until

from stackctl.core.errors import DaemonFrozen, StackctlError
from stackctl.core.facts import AppliedLimits, Reading
from stackctl.engine import stats
from stackctl.engine.docker import DockerEngine
from stackctl.engine.endpoint import Endpoint

Start = Callable[..., str]
LABEL = "stackctl-test.which"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0B", 0),
        ("572KiB", 572 << 10),
        ("1.5MiB", 3 << 19),
        (" 7.25GiB ", int(7.25 * (1 << 30))),
        ("2TiB", 2 << 40),
        ("12kB", None),
        ("--", None),
        ("", None),
        ("1.2.3GiB", None),
        (".GiB", None),
        ("-1B", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    assert stats.parse_bytes(text) == size


@pytest.mark.parametrize(
    ("columns", "reading"),
    [
        ({"MemUsage": "572KiB / 64MiB", "PIDs": "12"}, Reading(at=5, pids=12, memory=572 << 10)),
        ({"MemUsage": "0B / 0B", "PIDs": "3"}, Reading(at=5, pids=3)),
        ({"MemUsage": "-- / --", "PIDs": "3"}, Reading(at=5, pids=3)),
        ({"PIDs": "3"}, Reading(at=5, pids=3)),
        ({"MemUsage": "0B / 0B", "PIDs": "0"}, None),
        ({"MemUsage": "1MiB / 64MiB", "PIDs": "--"}, None),
        ({"MemUsage": "-- / --", "PIDs": "--"}, None),
        ({"MemUsage": "1MiB / 64MiB"}, None),
        ({"ID": "", "MemUsage": "1MiB / 64MiB", "PIDs": "1"}, None),
        ({"ID": None, "MemUsage": None, "PIDs": None}, None),
    ],
)
def test_one_line(columns: dict[str, object], reading: Reading | None) -> None:
    found = stats.parse_stats({"ID": "x", "CPUPerc": "5.00%", **columns}, 5)
    assert found == (None if reading is None else ("x", reading))


@pytest.fixture
def docker(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """An environment whose `docker` is the shell script given; what it was asked is in `asked`."""

    def make(script: str) -> dict[str, str]:
        program = tmp_path / "docker"
        program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n{script}\n')
        program.chmod(0o755)
        return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return make


LINE = """echo '{"ID":"aa","MemUsage":"1MiB / 2MiB","PIDs":"4"}'"""


def test_those_that_are_gone_are_left_out_and_fail_nobody(
    docker: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    gone = "echo 'Error response from daemon: No such container: {0}' >&2; exit 1"
    script = f"case $* in *cc*) {gone.format('cc')};; *bb*) {gone.format('bb')};; esac; {LINE}"
    found = stats.sample(["aa", "bb", "cc"], docker(script), 30)
    assert {key: (one.pids, one.memory, one.limits) for key, one in found.items()} == {
        "aa": (4, 1 << 20, AppliedLimits())
    }
    assert len((tmp_path / "asked").read_text().splitlines()) == 3
    assert stats.sample(["bb"], docker(script), 30) == {}
    assert stats.sample([], docker(script), 30) == {}
    assert len((tmp_path / "asked").read_text().splitlines()) == 4


def test_garbage_beside_good_lines(docker: Callable[[str], dict[str, str]]) -> None:
    script = f"echo '{{\"ID\":\"bb\"'; echo --; echo '[]'; {LINE}"
    assert set(stats.sample(["aa", "bb"], docker(script), 30)) == {"aa"}


def test_another_failure_is_told(docker: Callable[[str], dict[str, str]]) -> None:
    with pytest.raises(StackctlError, match="out of order"):
        stats.sample(["aa"], docker("echo 'out of order' >&2; exit 1"), 30)


def test_a_command_that_hangs_is_ended(docker: Callable[[str], dict[str, str]]) -> None:
    began = time.monotonic()
    with pytest.raises(DaemonFrozen):
        stats.sample(["aa"], docker("sleep 600"), 0.5)
    assert time.monotonic() - began < 60


@pytest.fixture
def remote(engine: DockerEngine) -> Iterator[DockerEngine]:
    """The same engine behind a tcp relay: what it has is not taken for this machine's."""
    relay = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("relay.py")), engine.endpoint.socket],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert relay.stdout is not None
    yield DockerEngine(endpoint=Endpoint(f"tcp://127.0.0.1:{relay.stdout.readline().strip()}"))
    relay.kill()
    relay.wait()
    relay.stdout.close()


@pytest.mark.engine
def test_a_remote_engine_is_watched_too(
    remote: DockerEngine, engine: DockerEngine, start: Start, run_label: str
) -> None:
    labels = {LABEL: f"remote-{run_label}"}
    options = ["--label", f"{LABEL}={labels[LABEL]}", "--memory", "64m"]
    began = time.time() - 1
    mine, ended = (
        start("sh", "-c", "sleep 301 & wait", options=options),
        start("true", options=options),
    )
    until(lambda: engine.inspect([ended])[0].state == "exited", 20, "the end of the second")
    assert not remote.local()
    assert remote.host_memory() is None
    remote.events(labels).close()
    everyone = remote.roster(labels)
    assert {one.id for one in everyone} == {mine, ended}
    assert everyone == engine.containers(labels)
    assert remote.networks_brief(labels) == ()
    (reading,) = [found for key, found in remote.sample(everyone).items() if key == mine]
    assert reading.pids == 2
    assert reading.memory is not None
    assert 0 < reading.memory < 64 << 20
    assert (reading.cpu, reading.oom_kills, reading.pids_refused) == (None, None, None)
    assert set(remote.sample(everyone)) == {mine}
    (one,) = remote.inspect([mine])
    top = {process.command: process for process in remote.processes(one)}
    assert set(top) == {"sh -c sleep 301 & wait", "sleep 301"}
    assert (top["sh -c sleep 301 & wait"].inside, top["sleep 301"].parent) == (1, 1)
    assert top["sleep 301"].memory > 0
    assert remote.processes(remote.inspect([ended])[0]) == ()
    actions = [one.action for one in remote.past_events(ended, began, time.time() + 3600)]
    assert actions[:2] == ["create", "start"]
