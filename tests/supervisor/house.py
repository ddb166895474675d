"""A house that is watched: one supervisor, a well-behaved environment, a stranger, and room for rogues."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from commandline import Cli
from waiting import until

RUN_LABEL = "stackctl-test.run"
PYTHON = "python:3.11"
QUIET = "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"

KEEPER_HEAD = """
description: keeps what is in its data folder
sidecar: {port: 7000, data: /data, uid: 1000, url: "keep://{host}:{port}", env: KEEPER_URL}
"""
KEEPER = f"""
services:
  {{{{ sidecar.name }}}}:
    image: busybox:1.35
    command: [sh, -c, "test -d {{{{ sidecar.data }}}}; {QUIET}"]
"""
HOOK = """#!/bin/sh
made=$(mktemp "$1/XXXXXX")
cat > "$made"
grep -q '"stack": "hanging' "$made" && exec sleep 98761
mv "$made" "$made.json"
"""

GATE = """
import os, signal, sys, time
while not os.path.exists("/tmp/go"):
    time.sleep(0.05)
END = time.time() + 60
def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(one for one in lines if one.startswith("RssAnon")).split()[1]) >> 10
def over():
    print("over", time.time(), flush=True)
"""
"""What every rogue begins with: it waits until it is told to, and is to end by itself a minute later."""

STAY = "\nwhile time.time() < END: time.sleep(0.1)\n"


def docker(*arguments: str, timeout: float = 60) -> str:
    """What a docker command writes; it must succeed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"docker {arguments}: {done.stderr}"
    return done.stdout.strip()


def end_process(child: subprocess.Popen[str], patience: float = 40) -> tuple[int, str]:
    """Ask a process of ours to end; its exit code and what it wrote to stderr."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        _, err = child.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate(timeout=10)
        raise
    return child.returncode, err


def journal(home: Path, project: str = "", event: str = "") -> list[dict[str, Any]]:
    """The lines of a supervisor's log that are about a project, or say one event; as JSON."""
    path = home / "supervisor" / "supervisor.log"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if project in ("", line.get("project")) and event in ("", line["event"])]


def said_at(line: Mapping[str, Any]) -> float:
    """When a line of the log was written, seconds since the epoch."""
    return datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()


def heartbeat(home: Path) -> dict[str, Any]:
    """The supervisor's last sign of life; empty when there is none."""
    path = home / "supervisor" / "heartbeat.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def looks(home: Path, seconds: float) -> None:
    """Wait until the supervisor has had good looks for so long."""
    begin = time.time()
    until(lambda: heartbeat(home).get("wall", 0.0) >= begin + seconds, seconds + 30, "good looks")


def prints(home: Path) -> dict[str, str]:
    """Path -> hash of every file in a data folder."""
    return {
        str(path.relative_to(home)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.glob("environments/*/data/**/*"))
        if path.is_file()
    }


@dataclass(frozen=True)
class Timing:
    """How long it took.

    Args:
        due: Seconds that it was to be let be.
        acted: Seconds from passing the mark until it was acted upon.
        gone: Seconds from then until all of it was gone.
        grace: Seconds that its container had to end by itself.
    """

    who: str
    rule: str
    level: str
    due: float
    acted: float
    gone: float
    grace: float

    def line(self) -> str:
        return (
            f"{self.who:<22}{self.rule:<15}{self.level:<11}{self.acted:>9.2f}{self.due + 1.5:>9.1f}"
            f"{self.gone:>9.2f}{self.grace + 3:>9.1f}"
        )


HEAD = f"{'':<22}{'rule':<15}{'level':<11}{'acted s':>9}{'target':>9}{'gone s':>9}{'target':>9}"


@dataclass
class House:
    """What all the rogues live in.

    Args:
        supervisor: The process that watches, in the foreground.
        foreign: Id of a container without any label of ours.
        delivered: Folder into which the `on_incident` command puts each incident that it got.
    """

    cli: Cli
    supervisor: subprocess.Popen[str]
    foreign: str
    delivered: Path
    calm: str = ""
    timings: list[Timing] = field(default_factory=list)
    _seen: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _data: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.cli.home

    def up(self, name: str, services: Mapping[str, Any], settings: str, *arguments: str) -> str:
        """Bring a stack up, with a sidecar that keeps data, and plant data in it; its project."""
        self.cli.template(name, json.dumps({"services": services}))
        self.cli.stack(name, f"template: {name}\nsidecars: {{db: {{template: keeper}}}}\n{settings}")
        project = str(self.cli("up", name, "--json", *arguments).ok().data["project"])
        self.plant(project)
        return project

    def plant(self, project: str) -> None:
        """Put data into a sidecar's folder that must never change."""
        folder = self.home / "environments" / project / "data" / "db" / "deep"
        folder.mkdir()
        (folder / "rows").write_bytes(os.urandom(4096))
        (folder / "empty").touch()
        self._data = prints(self.home)
        assert len([path for path in self._data if project in path]) == 2

    def ids(self, project: str, *services: str) -> list[str]:
        """Ids of an environment's containers."""
        return [one.id for one in self.cli.containers(project) if not services or one.service in services]

    def go(self, project: str, *services: str) -> None:
        """Let rogues begin."""
        for one in self.ids(project, *services):
            docker("exec", one, "touch", "/tmp/go")

    def log(self, project: str, service: str = "rogue") -> str:
        """What a service wrote so far."""
        return docker("logs", *self.ids(project, service))

    def outcome(self, project: str, seconds: float = 45) -> dict[str, Any]:
        """Wait until the supervisor has acted upon an environment; what it said of how that went."""
        found: list[dict[str, Any]] = []

        def acted() -> bool:
            found[:] = [one for one in journal(self.home, project) if "seconds" in one]
            return bool(found)

        until(acted, seconds, f"an act upon {project}: {journal(self.home, project)}")
        return found[-1]

    def incidents(self, name: str) -> list[dict[str, Any]]:
        """An environment's incidents as a user gets them."""
        found: list[dict[str, Any]] = self.cli("incidents", name, "--json").ok().data
        return found

    def remember(self) -> None:
        """What must stay as it is."""
        self._seen = self._bystanders()
        assert len(self._seen) == 3

    def unharmed(self) -> None:
        """The bystander, the stranger and every sidecar's data are as they were; the supervisor lives."""
        assert self.supervisor.poll() is None
        assert self._bystanders() == self._seen
        assert self.cli.record(self.calm)["phase"] == "running"
        now = prints(self.home)
        assert {path: now.get(path) for path in self._data} == self._data

    def _bystanders(self) -> dict[str, tuple[Any, ...]]:
        containers = self.cli.containers(self.calm)
        stranger = json.loads(docker("inspect", self.foreign))[0]
        return {
            **{one.id: (one.state, one.started, one.restart_count) for one in containers},
            self.foreign: (stranger["State"]["Status"], stranger["State"]["StartedAt"]),
        }

    def timed(self, who: str, project: str, incident: Mapping[str, Any], due: float, grace: float) -> Timing:
        """Keep how long it took, by the rogue's own word of when it passed the mark."""
        over = next(float(line.split()[1]) for line in incident["log"] if line.startswith("over "))
        begun = said_at(journal(self.home, project, "acts")[-1])
        violation = incident["violation"] or {}
        timing = Timing(
            who=who,
            rule=incident["rule"],
            level=violation.get("level", ""),
            due=due,
            acted=begun - over,
            gone=said_at(self.outcome(project)) - begun,
            grace=grace,
        )
        self.timings.append(timing)
        return timing

    def table(self) -> str:
        """How long everything took, as text."""
        return "\n".join([HEAD, *(one.line() for one in self.timings)])


def rogue(code: str, **also: Any) -> dict[str, Any]:
    """A service that runs a Python program, once it is told to."""
    return {"image": PYTHON, "command": ["python", "-u", "-c", GATE + code], **also}


def peer() -> dict[str, Any]:
    """A service that does nothing."""
    return {"image": "busybox:1.35", "command": ["sh", "-c", QUIET]}


def open_house(folder: Path) -> Iterator[House]:
    """A house with everything in it; what it leaves on the engine is a failure."""
    cli = new_cli(folder)
    delivered = folder / "delivered"
    delivered.mkdir()
    hook = folder / "hook.sh"
    hook.write_text(HOOK)
    configuration(cli, f"on_incident: [sh, {hook}, {delivered}]\n")
    cli.template("sidecars/keeper", KEEPER, KEEPER_HEAD)
    mark = f"{RUN_LABEL}={uuid4()}"
    foreign = docker("run", "-d", "--label", mark, "busybox:1.35", "sh", "-c", QUIET)
    supervisor = cli.start("supervise", "--log-format", "json")
    try:
        house = House(cli, supervisor, foreign, delivered)
        house.calm = house.up("calm", {"web": peer()}, "limits: {memory: 64m, pids: 64, cpus: 0.5}\n")
        house.remember()
        yield house
        code, err = end_process(supervisor)
        assert code == 0, err
        assert "Traceback" not in err
        assert not journal(cli.home, event="bug")
    finally:
        if supervisor.poll() is None:
            supervisor.kill()
            supervisor.communicate(timeout=10)
        docker("rm", "-f", foreign)
        clear(cli)


def new_cli(folder: Path) -> Cli:
    """A command line with a checkout of its own."""
    (folder / "checkout" / ".git").mkdir(parents=True)
    return Cli(home=folder / "home", checkout=folder / "checkout")


def configuration(cli: Cli, text: str) -> None:
    """Write the user's configuration."""
    path = cli.home.parent / "config" / "stackctl" / "config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def clear(cli: Cli, but: Sequence[str] = ()) -> None:
    """End every environment; what `down --all` leaves is removed, and is a failure."""
    from stackctl.core.labels import PREFIX
    from stackctl.engine.docker import DockerEngine
    from stackctl.state.home import open_home

    down = cli("down", "--all")
    engine = DockerEngine()
    left = [one for one in cli.containers() if one.id not in but]
    engine.kill([one.id for one in left])
    engine.remove_containers([one.id for one in left])
    networks = engine.networks({f"{PREFIX}home": open_home(cli.home).identity})
    engine.remove_networks([one.id for one in networks])
    names = [one.name for one in left] + [one.name for one in networks]
    assert not names, f"`down --all` left {names} behind: {down.err}"
