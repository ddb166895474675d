"""A supervisor that watches environments come and go, break and be ended, stays as small as it was.

`make soak` runs it for ten minutes, the suite for one; SOAK_SECONDS is how long.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from threading import Event, Thread

import pytest
from ground import QUICK, Ground, new_ground, sweep
from waiting import until

from stackctl.state.journal import FILE_SIZE, FILES, journal_path

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
TOLERATED = 2.0
"""MiB by which the last third may lie above the second: what the allocator keeps of a listing."""
LINES = 6
"""Lines of the log that one deed may cause at most: an act, how it went, reports."""
SERVICES = f"""
services:
  app:
    image: busybox:1.35
    command: [sh, -c, "{QUICK}"]
    restart: always
  web:
    image: busybox:1.35
    command: [sh, -c, "{QUICK}"]
"""
LIMITS = "limits: {memory: 32m, pids: 32, cpus: 0.5}\n"
DEEDS = ("guest", "fork", "fill", "crash", "restart", "brief")
FORK = "for i in $(seq 40); do sleep 30 & done; wait"
FILL = "dd if=/dev/zero of=/dev/shm/x bs=1M count=31; sleep 30"


@dataclass(frozen=True)
class Sample:
    """What a process holds at one moment; memory in MiB."""

    memory: float
    descriptors: int
    threads: int


def sample(pid: int) -> Sample:
    """Ask the kernel."""
    proc = Path("/proc") / str(pid)
    lines = (proc / "status").read_text().splitlines()
    memory = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
    return Sample(memory, len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir())))


@dataclass
class Watcher:
    """Takes a sample of a process each second until it is told to stop."""

    pid: int
    samples: list[Sample] = field(default_factory=list)
    _told: Event = field(default_factory=Event)

    def __enter__(self) -> list[Sample]:
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self.samples

    def __exit__(self, *_: object) -> None:
        self._told.set()
        self._thread.join(10)

    def _watch(self) -> None:
        while not self._told.wait(1):
            self.samples.append(sample(self.pid))


def thirds(samples: Sequence[Sample]) -> list[float]:
    """Median memory of the first, second and last third, in MiB."""
    size = len(samples) // 3
    return [median(one.memory for one in samples[n * size : (n + 1) * size]) for n in range(3)]


@dataclass
class Life:
    """Deeds that happen to environments, as a day of a developer has them."""

    ground: Ground
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.ground.template("life", SERVICES)
        for name in ("calm", "guest", "rogue", "brief"):
            self.ground.stack(name, f"template: life\n{LIMITS}")

    def go_on(self, seconds: float, chance: random.Random) -> None:
        """Do one thing after another for so long; each kind comes as often as the others."""
        end, waiting = time.monotonic() + seconds, list[str]()
        while time.monotonic() < end:
            waiting = waiting or chance.sample(DEEDS, len(DEEDS))
            deed = waiting.pop()
            getattr(self, deed)()
            self.done[deed] += 1

    def guest(self) -> None:
        """One comes and goes."""
        self.ground("up", "guest").ok()
        self.ground("down", "guest").ok()

    def fork(self) -> None:
        """One has too many processes, and is ended."""
        self._violate(FORK)

    def fill(self) -> None:
        """One uses too much memory, and is ended."""
        self._violate(FILL)

    def crash(self) -> None:
        """A service ends by itself; it is started again, or has failed when that was too often."""
        self.ground("up", "guest").ok()
        ended = "kill -TERM $(pidof -s sh)"
        self._docker("exec", self._container("guest", "app"), "sh", "-c", ended, check=False)

    def restart(self) -> None:
        """Somebody restarts a container by hand."""
        self._docker("restart", "-t", "1", self._container("calm", "web"))

    def brief(self) -> None:
        """A lifetime ends."""
        project = self.ground("up", "brief", "--lifetime", "2s", "--json").ok().data["project"]
        until(lambda: self.ground.record(project)["phase"] == "expired", 60, "the end of a lifetime")

    def _violate(self, command: str) -> None:
        project = self.ground("up", "rogue", "--json").ok().data["project"]
        self._docker("exec", "-d", self._container("rogue", "app"), "sh", "-c", command)
        until(lambda: self.ground.record(project)["phase"] == "killed", 60, f"the end of {command!r}")

    def _container(self, stack: str, service: str) -> str:
        containers = self.ground.containers(self.ground.project_of(stack))
        return next(one.id for one in containers if one.service == service)

    def _docker(self, *words: str, check: bool = True) -> None:
        subprocess.run(["docker", *words], check=check, capture_output=True, timeout=60)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A command line on the machine's own engine; nothing of it is left."""
    made = new_ground(tmp_path / "ground")
    yield made
    made("down", "--all")
    sweep(made)


@pytest.fixture
def supervisor(ground: Ground) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in the foreground that has settled, and leaves when it is told to."""
    ground("list").ok()
    child = ground.start("supervise", "--log-format", "json")
    beat = ground.home / "supervisor" / "heartbeat.json"
    until(lambda: beat.exists() and json.loads(beat.read_text())["pid"] == child.pid, 30, "its first beat")
    yield child
    if child.poll() is None:
        child.terminate()
    child.communicate(timeout=60)


def told(life: Life, before: Sample, samples: Sequence[Sample]) -> str:
    """What the run came to, in words."""
    memory = ", ".join(f"{one:.1f}" for one in thirds(samples))
    most = max(one.descriptors for one in samples), max(one.threads for one in samples)
    return (
        f"\n{life.done.total()} deeds: {dict(life.done)}"
        f"\nmemory in MiB: {before.memory:.1f} at first, then by thirds {memory}"
        f"\ndescriptors and threads: {before.descriptors}, {before.threads} at first, at most {most}"
    )


def bounded(home: Path, deeds: int) -> None:
    """The log has few lines and few, small files, and no bug in it."""
    logs = sorted(journal_path(home).parent.glob("supervisor.log*"))
    lines = [line for one in logs for line in one.read_text().splitlines()]
    assert 1 <= len(logs) <= FILES
    assert all(one.stat().st_size <= FILE_SIZE for one in logs)
    assert len(lines) <= (deeds + 2) * LINES
    assert not [line for line in lines if json.loads(line)["event"] == "bug"]


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 300)
def test_the_supervisor_stays_as_it_is(ground: Ground, supervisor: subprocess.Popen[str]) -> None:
    life, before = Life(ground), sample(supervisor.pid)
    ground("up", "calm").ok()
    with Watcher(supervisor.pid) as samples:
        life.go_on(SECONDS, random.Random(1))
    ground("down", "--all").ok()
    print(told(life, before, samples))

    def settled() -> bool:
        now = sample(supervisor.pid)
        return now.descriptors <= before.descriptors and now.threads <= before.threads

    until(settled, 30, f"as few descriptors and threads as before ({before})")
    assert thirds(samples)[2] <= thirds(samples)[1] + TOLERATED
    bounded(ground.home, life.done.total())
    supervisor.terminate()
    assert supervisor.wait(60) == 0
