"""The two scenes of the incident: the same suite and bystanders on the same small host, without and with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from small_host import MACHINE_KEEPS, Look, SmallHost, machine_available

IMAGE = "python:3.11"
PROGRAMS = Path(__file__).resolve().parent / "rogue"
HOLDS = 20
"""MiB that each server which the suite leaves behind fills; 24 are resident, shared pages among them."""
SUITE = ["timeout", "60", "sh", "-c", f"while :; do python /tests/suite.py {HOLDS}; done"]
LIMITS = ("--limit", "memory=1g", "--limit", "pids=64", "--lifetime", "1m")
JOB, SHELL = "a job that holds 256 MiB", "a shell that holds 8 MiB"
BYSTANDERS: Mapping[str, int] = {JOB: 256, SHELL: 8}
"""Whoever else works on that host, and the MiB that each holds."""
BEFORE, AFTER = 4.0, 30.0
"""Seconds that are measured before the suite begins, and from then on."""
BYSTANDER_LIFE = 75


@dataclass(frozen=True)
class Request:
    """One of a bystander's: when (seconds since the suite began) and how long; infinite when it failed."""

    at: float
    milliseconds: float


@dataclass(frozen=True)
class Fate:
    """How a bystander fared.

    Args:
        ended: Seconds from the suite's begin until the kernel ended it, None for one that lived.
    """

    requests: tuple[Request, ...]
    ended: float | None


@dataclass(frozen=True)
class Scene:
    """What was measured; all times in seconds since the suite began.

    Args:
        looks: At the host.
        began: When the suite began, seconds since the epoch.
        suite: Processes that the kernel ended in the suite's container.
        gone: When nothing was left of the suite.
        ended_by: Who ended it.
        told: What it was told to a person, line by line.
    """

    looks: tuple[Look, ...]
    began: float
    fates: Mapping[str, Fate]
    suite: int
    gone: float
    ended_by: str
    told: tuple[str, ...] = ()


@dataclass
class Stage:
    """A small host with its bystanders, while a scene is played.

    Args:
        folder: Where stackctl keeps its state; empty.
        ids: Container id of each bystander.
    """

    host: SmallHost
    folder: Path
    ids: dict[str, str] = field(default_factory=dict)

    def start(self, *command: str) -> str:
        """A container by plain `docker run`, without any limit of its own; its id."""
        mount = f"{PROGRAMS}:/tests:ro"
        return self.host.engine.docker("run", "-d", "--init", "-v", mount, IMAGE, *command)

    def enter(self) -> None:
        """Bystanders come, and have worked for a while."""
        for name, holds in BYSTANDERS.items():
            program = ("python", "/tests/bystander.py", str(holds), str(BYSTANDER_LIFE))
            self.ids[name] = self.start(*program)
        for one in self.ids.values():
            wait(lambda one=one: self.host.engine.docker("logs", one).count("\n") > 5, 20, "bystanders")

    def leave(self, *others: str) -> None:
        """Every container of the scene is removed, by its id."""
        self.host.engine.docker("rm", "-f", *self.ids.values(), *others)
        self.ids.clear()
        wait(lambda: self.host.look().processes == 0, 20, "an empty host")

    def fates(self, began: float) -> dict[str, Fate]:
        """How the bystanders fared until now."""
        return {name: self._fate(one, began) for name, one in self.ids.items()}

    def _fate(self, container: str, began: float) -> Fate:
        state = json.loads(self.host.engine.docker("inspect", container))[0]["State"]
        lines = self.host.engine.docker("logs", container).splitlines()
        pairs = [line.split() for line in lines if line.count(" ") == 1]
        found = tuple(Request(float(at) - began, float(took)) for at, took in pairs)
        if not state["Running"] and not state["OOMKilled"]:
            sys.exit(f"error: a bystander ended, and not for memory: {state}")
        return Fate(found, None if state["Running"] else found[-1].at)

    def stackctl(self, *words: str) -> list[str]:
        return [str(Path(sys.executable).with_name("stackctl")), *words]

    @property
    def env(self) -> dict[str, str]:
        own = {"STACKCTL_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / "config")}
        return {**os.environ, **own, "DOCKER_HOST": self.host.engine.host, "STACKCTL_SUPERVISOR": "manual"}

    def ask(self, *words: str) -> Any:
        """What a command of stackctl answers; as JSON when it was asked for."""
        done = subprocess.run(
            self.stackctl(*words), env=self.env, capture_output=True, text=True, timeout=60, check=True
        )
        return json.loads(done.stdout)["data"] if "--json" in words else done.stdout

    @contextmanager
    def process(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command of stackctl that runs meanwhile; told to end afterwards, if it has not."""
        child = subprocess.Popen(
            self.stackctl(*words),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield child
        finally:
            if child.poll() is None:
                child.terminate()
            child.communicate(timeout=40)


def wait(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for a condition; the benchmark ends without it, or when the real machine gets short of memory."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"error: {what} did not come within {seconds:g} s")
        if machine_available() < MACHINE_KEEPS:
            sys.exit("error: this machine has too little memory left; everything was ended")
        time.sleep(0.1)


def until(moment: float) -> None:
    """Wait until then (seconds since the epoch)."""
    wait(lambda: time.time() >= moment, moment - time.time() + 5, "the end of a scene")


def without(stage: Stage) -> Scene:
    """The suite in a container without limits; nobody ends it until the scene is over."""
    stage.enter()
    suite = ""
    try:
        with stage.host.watched() as looks:
            time.sleep(BEFORE)
            began = time.time()
            suite = stage.start(*SUITE)
            until(began + AFTER)
        fates = stage.fates(began)
        killed = looks[-1].kills.get(suite, 0)
    finally:
        stage.leave(*([suite] if suite else []))
    return Scene(tuple(looks), began, fates, killed, time.time() - began, "by hand, at the end of the scene")


def within(stage: Stage) -> Scene:
    """The suite as a task of stackctl, with a supervisor."""
    stage.enter()
    try:
        with stage.process("supervise"), stage.host.watched() as looks:
            wait((stage.folder / "supervisor" / "heartbeat.json").exists, 20, "a supervisor")
            time.sleep(BEFORE)
            words = ("--name", "suite", "--mount", f"{PROGRAMS}:/tests:ro", IMAGE, "--", *SUITE)
            began = time.time()
            with stage.process("run", *LIMITS, *words) as task:
                wait(lambda: task.poll() is not None, AFTER, "the end of the task")
                gone = time.time() - began
            until(began + AFTER)
            told = stage.ask("tasks", "--all", "--json")[-1]
            fates, others = stage.fates(began), set(stage.ids.values())
    finally:
        stage.leave()
    incidents = stage.ask("incidents", told["id"], "--json")
    ended = next(one for one in incidents if one["action"] == "end")
    killed = max(sum(count for one, count in look.kills.items() if one not in others) for look in looks)
    by = f"the watchdog ({ended['rule']}), exit code {task.returncode}"
    why = stage.ask("why", told["id"]).splitlines()
    return Scene(tuple(looks), began, fates, killed, gone, by, tuple(why))
