"""Readings of real containers: the limits that were asked for stand in the kernel's own files."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from stackctl.core.enforcement import unenforced
from stackctl.core.facts import Reading
from stackctl.core.records import ServiceRecord
from stackctl.engine.docker import DockerEngine

pytestmark = pytest.mark.engine
LIMITED = ["--pids-limit", "20", "--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5"]
ASKED = ServiceRecord(pids=20, memory=64 << 20, swap=64 << 20, cpus=0.5)
Start = Callable[..., str]


def _read(engine: DockerEngine, container: str) -> Reading:
    return engine.readings(engine.inspect([container]))[container]


def _wait_for_log(engine: DockerEngine, container: str, word: str) -> None:
    deadline = time.monotonic() + 30
    while word not in engine.log_tail(container, 5):
        assert time.monotonic() < deadline, engine.log_tail(container, 5)
        time.sleep(0.05)


def test_the_limits_in_the_cgroup_are_those_asked_for(engine: DockerEngine, start: Start) -> None:
    container = start("sh", "-c", "sleep 300 & sleep 300 & echo both; wait", options=LIMITED)
    _wait_for_log(engine, container, "both")
    (one,) = engine.inspect([container])
    reading = _read(engine, container)
    assert unenforced(ASKED, one.limits, reading.limits) == ()
    assert reading.limits.pids == 20
    assert reading.pids == 3
    assert reading.memory is not None
    assert 0 < reading.memory < 8 << 20
    assert reading.cpu is not None
    assert reading.cpu > 0
    assert (reading.pids_refused, reading.oom_kills) == (0, 0)


def test_an_update_behind_our_back_is_found(engine: DockerEngine, start: Start) -> None:
    container = start("sleep", "300", options=["--init", *LIMITED])
    subprocess.run(["docker", "update", "--pids-limit", "500", container], check=True, capture_output=True)
    found = unenforced(ASKED, engine.inspect([container])[0].limits, _read(engine, container).limits)
    assert "pids 20 was asked for and the kernel enforces 500" in found


def test_a_container_that_merely_read_a_big_file_is_small(engine: DockerEngine, start: Start) -> None:
    """Read twice, its pages are on the kernel's active list, where docker's own count has them all."""
    script = (
        "dd if=/dev/zero of=/big bs=1M count=40 && sync && cat /big /big >/dev/null && echo read; sleep 300"
    )
    container = start("sh", "-c", script, options=LIMITED)
    _wait_for_log(engine, container, "read")
    memory = _read(engine, container).memory
    assert memory is not None
    assert memory < 16 << 20


def test_memory_in_a_tmpfs_counts(engine: DockerEngine, start: Start) -> None:
    script = "dd if=/dev/zero of=/dev/shm/big bs=1M count=24 && echo written; sleep 300"
    container = start("sh", "-c", script, options=[*LIMITED, "--shm-size", "32m"])
    _wait_for_log(engine, container, "written")
    memory = _read(engine, container).memory
    assert memory is not None
    assert memory > 24 << 20


def test_refused_forks_and_killed_processes_are_counted(engine: DockerEngine, start: Start) -> None:
    forks = start(
        "sh", "-c", "sh -c 'for n in $(seq 40); do sleep 300 & done'; exec sleep 300", options=LIMITED
    )
    eater = start(
        "sh",
        "-c",
        "while :; do dd if=/dev/zero of=/dev/null bs=200M count=1; echo over; sleep 1; done",
        options=LIMITED,
    )
    _wait_for_log(engine, eater, "over")
    deadline = time.monotonic() + 20
    while not _read(engine, forks).pids_refused and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (_read(engine, forks).pids_refused or 0) > 0
    assert (_read(engine, eater).oom_kills or 0) > 0
    assert engine.inspect([eater])[0].state == "running"


def test_what_does_not_run_has_no_reading(engine: DockerEngine, start: Start) -> None:
    running, ended = start("sleep", "300", options=["--init"]), start("true")
    engine.stop([ended])
    assert set(engine.readings(engine.inspect([running, ended]))) == {running}
