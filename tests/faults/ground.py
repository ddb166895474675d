"""A command line on ground where faults happen: it can die at a fail-point, on any engine, and is traced."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from commandline import Cli, Done

from stackctl.core.facts import Container, Network, Volume
from stackctl.core.labels import PREFIX
from stackctl.engine.docker import DockerEngine
from stackctl.state.home import open_home

MARK = "FAULT_RUN"
"""The variable that tells a run's processes: stackctl takes its own away from its children, not this one."""

QUICK = "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"
SMALL = "limits: {memory: 32m, pids: 32, cpus: 0.5}\n"

KEEPER_HEAD = """
description: keeps what is in its data folder
variables: {password: {type: secret}}
sidecar:
  port: 7000
  data: /data
  uid: 1000
  url: "keep://:{password}@{host}:{port}"
  env: KEEPER_URL
"""
KEEPER = f"""
services:
  {{{{ sidecar.name }}}}:
    image: busybox:1.35
    command: [sh, -c, "echo began >> {{{{ sidecar.data }}}}/journal; {QUICK}"]
"""
PAIR = f"""
services:
  app:
    image: busybox:1.35
    command: [sh, -c, "{{{{ word }}}}=1; {QUICK}"]
  web:
    image: busybox:1.35
    command: [sh, -c, "{QUICK}"]
"""
PAIR_HEAD = "description: two services\nvariables: {word: {default: a}}\n"


@dataclass(frozen=True)
class Ground(Cli):
    """A home and a checkout of one test, on an engine that it names.

    Args:
        host: Where the engine is, empty for the machine's own.
        run: What stands in the environment of every process of this ground.
    """

    host: str = ""
    run: str = field(default_factory=lambda: uuid4().hex)
    also: Mapping[str, str] = field(default_factory=dict)

    def environment(self, **env: str) -> dict[str, str]:
        own = {"STACKCTL_SUPERVISOR": "manual", "STACKCTL_TEST": "1", MARK: self.run}
        engine = {"DOCKER_HOST": self.host} if self.host else {}
        return super().environment(**{**own, **engine, **self.also, **env})

    @property
    def engine(self) -> DockerEngine:
        """The engine of this ground, asked as stackctl asks."""
        return DockerEngine({**os.environ, **({"DOCKER_HOST": self.host} if self.host else {})})

    @property
    def mine(self) -> dict[str, str]:
        """The label that says that something is of this home."""
        return {f"{PREFIX}home": open_home(self.home).identity}

    def containers(self, project: str = "") -> tuple[Container, ...]:
        labels = {**self.mine, **({f"{PREFIX}project": project} if project else {})}
        return self.engine.containers(labels)

    def networks(self) -> list[str]:
        return [one.name for one in self.engine.networks(self.mine)]

    def objects(self) -> Iterator[Container | Network | Volume]:
        """Everything that carries this home's label."""
        yield from self.containers()
        yield from self.engine.networks(self.mine)
        yield from self.engine.volumes(self.mine)

    def pair(self, *, word: str = "a", name: str = "s") -> None:
        """A stack of two services and a sidecar that keeps data; another `word` changes one service."""
        if not (self.checkout / "templates" / "pair").exists():
            self.template("pair", PAIR, PAIR_HEAD)
            self.template("sidecars/keeper", KEEPER, KEEPER_HEAD)
        self.stack(
            name,
            f"template: pair\nvariables: {{word: {word}}}\nsidecars: {{db: {{template: keeper}}}}\n{SMALL}",
        )

    def project_of(self, name: str = "s") -> str:
        """The project of a stack of this checkout, as `render` says it."""
        environments = sorted((self.home / "environments").glob(f"{name}-*"))
        assert len(environments) == 1, environments
        return environments[0].name

    def at(self, point: str, deed: str, *arguments: str, timeout: float = 90, **env: str) -> Done:
        """Run a command that does a deed at a fail-point."""
        return self.ended(self.start(*arguments, STACKCTL_FAILPOINT=f"{point}:{deed}", **env), timeout)

    def traced(self, *arguments: str, **env: str) -> tuple[list[str], Done]:
        """Run a command to its end; the points that it passed."""
        trace = self.home.parent / f"trace-{uuid4().hex}"
        done = self(*arguments, STACKCTL_FAILPOINT_TRACE=str(trace), **env)
        return trace.read_text().splitlines() if trace.exists() else [], done

    def ended(self, child: subprocess.Popen[str], timeout: float = 90) -> Done:
        """How a started command ended; one that does not is killed with its group."""
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate(timeout=10)
            raise
        return Done(child.returncode, out, err)


def new_ground(folder: Path, host: str = "", **also: str) -> Ground:
    """A ground below a folder; an environment is ended by the caller."""
    (folder / "checkout" / ".git").mkdir(parents=True)
    return Ground(home=folder / "home", checkout=folder / "checkout", host=host, also=also)


def sweep(ground: Ground) -> None:
    """Remove what is left of a ground from its engine, whatever the state of stackctl."""
    engine = ground.engine
    mine = [one.id for one in ground.containers()]
    engine.forbid_restart(mine)
    engine.kill(mine)
    engine.remove_containers(mine)
    engine.remove_networks([one.id for one in engine.networks(ground.mine)])
