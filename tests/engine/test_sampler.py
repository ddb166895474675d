"""Samples of real containers, taken again and again: what must count counts, what must not does not."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stackctl.core.facts import Container, Reading
from stackctl.engine.docker import DockerEngine

pytestmark = pytest.mark.engine
MEBIBYTE = 1 << 20
Start = Callable[..., str]


@pytest.fixture
def watching(engine: DockerEngine) -> Iterator[DockerEngine]:
    yield engine
    engine.close()


def _one(engine: DockerEngine, container: str) -> Container:
    (one,) = engine.inspect([container])
    return one


def _sample(engine: DockerEngine, one: Container) -> Reading:
    return engine.sample([one])[one.id]


def _until(
    engine: DockerEngine, one: Container, wanted: Callable[[Reading], bool], seconds: float = 30
) -> Reading:
    deadline = time.monotonic() + seconds
    while True:
        reading = _sample(engine, one)
        if wanted(reading):
            return reading
        assert time.monotonic() < deadline, reading
        time.sleep(0.05)


def _wait_for_log(engine: DockerEngine, container: str, word: str) -> None:
    deadline = time.monotonic() + 60
    while word not in engine.log_tail(container, 5):
        assert time.monotonic() < deadline, engine.log_tail(container, 5)
        time.sleep(0.05)


def test_a_file_read_twice_never_shows_in_the_working_set(watching: DockerEngine, start: Start) -> None:
    """Its pages are on the active list then, which docker's own count of memory has in it."""
    script = (
        "dd if=/dev/zero of=/big bs=1M count=100 2>/dev/null; sync; echo written; while [ ! -e /go ]; do"
        " sleep 0.1; done; for n in 1 2; do dd if=/big of=/dev/null bs=1M 2>/dev/null; done; echo read;"
        " sleep 300"
    )
    container = start("sh", "-c", script, options=["--init", "--memory", "256m", "--memory-swap", "256m"])
    _wait_for_log(watching, container, "written")
    one = _one(watching, container)
    before = _until(watching, one, lambda reading: (reading.memory or 1 << 40) < 32 * MEBIBYTE)
    subprocess.run(["docker", "exec", container, "touch", "/go"], check=True, timeout=60)
    highest = 0
    while "read" not in watching.log_tail(container, 5).split():
        highest = max(highest, _sample(watching, one).memory or 0)
    after = _sample(watching, one).memory
    assert after is not None
    assert before.memory is not None
    assert max(highest, after) - before.memory < 16 * MEBIBYTE
    raw = Path(_memory_folder(one)) / "memory.usage_in_bytes"
    assert not raw.exists() or int(raw.read_text()) > 100 * MEBIBYTE  # so there was something to leave out


def _memory_folder(one: Container) -> str:
    lines = Path(f"/proc/{one.pid}/cgroup").read_text().splitlines()
    paths = [line.split(":", 2)[2] for line in lines if line.split(":", 2)[1] == "memory"]
    return f"/sys/fs/cgroup/memory{paths[0]}" if paths else "/nonexistent"


@pytest.mark.parametrize("folder", ["/dev/shm", "/scratch"])
def test_memory_behind_a_tmpfs_counts(watching: DockerEngine, start: Start, folder: str) -> None:
    script = f"sleep 1; dd if=/dev/zero of={folder}/big bs=1M count=48 2>/dev/null; echo written; sleep 300"
    options = ["--init", "--memory", "128m", "--shm-size", "64m", "--tmpfs", "/scratch"]
    container = start("sh", "-c", script, options=options)
    one = _one(watching, container)
    _wait_for_log(watching, container, "written")
    memory = _sample(watching, one).memory
    assert memory is not None
    assert memory > 48 * MEBIBYTE


def test_a_child_that_the_kernel_ended_for_memory_is_counted(watching: DockerEngine, start: Start) -> None:
    eat = "while :; do dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null; sleep 0.3; done"
    container = start("sh", "-c", eat, options=["--memory", "64m", "--memory-swap", "64m"])
    one = _one(watching, container)
    first = _until(watching, one, lambda reading: (reading.oom_kills or 0) > 0)
    _until(watching, one, lambda reading: (reading.oom_kills or 0) > (first.oom_kills or 0))
    alive = _one(watching, container)
    assert (alive.state, alive.pid) == ("running", one.pid)


def test_forks_that_the_kernel_refused_are_counted(watching: DockerEngine, start: Start) -> None:
    wait = "while [ ! -e /go ]; do sleep 0.1; done"
    fork = f"{wait}; sh -c 'for n in $(seq 60); do sleep 300 & done'; exec sleep 300"
    container = start("sh", "-c", fork, options=["--pids-limit", "20"])
    one = _one(watching, container)
    assert _sample(watching, one).pids_refused == 0
    subprocess.run(["docker", "exec", container, "touch", "/go"], check=True, timeout=60)
    reading = _until(watching, one, lambda reading: (reading.pids_refused or 0) > 0)
    assert reading.pids is not None
    assert reading.pids <= 20


def test_processor_time_and_processes_grow(watching: DockerEngine, start: Start) -> None:
    script = "sleep 1; (while :; do :; done) & (while :; do :; done) & wait"
    container = start("sh", "-c", script, options=["--cpus", "0.5"])
    one = _one(watching, container)
    first = _sample(watching, one)
    assert first.cpu is not None
    _until(watching, one, lambda reading: reading.pids == 3 and (reading.cpu or 0) > (first.cpu or 0) + 0.3)


def test_what_ended_has_no_sample_and_what_started_again_has(watching: DockerEngine, start: Start) -> None:
    container = start("sh", "-c", "sleep 300 & wait", options=["--init"])
    one = _one(watching, container)
    _until(watching, one, lambda reading: reading.pids == 3)
    watching.kill([container])
    deadline = time.monotonic() + 20
    while watching.sample([one]):
        assert time.monotonic() < deadline
    subprocess.run(["docker", "start", container], check=True, capture_output=True, timeout=60)
    assert watching.sample([_one(watching, container)])[container].pids is not None
    watching.kill([container])
    watching.remove_containers([container])
    assert watching.sample([one]) == {}


def test_the_daemon_is_not_asked(
    watching: DockerEngine, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is known that the containers are here, samples come however the daemon fares."""
    one = _one(watching, start("sleep", "300", options=["--init"]))
    assert watching.local()
    monkeypatch.setattr(watching, "_transport", None)  # whoever asked it now would fail
    assert watching.sample([one])[one.id].pids == 2
    assert watching.host_memory() is not None
    assert {process.command for process in watching.processes(one)} >= {"sleep 300"}
