"""The command line as a user runs it: a process of its own, a checkout and a state directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackctl.core.facts import Container
from stackctl.core.labels import PREFIX
from stackctl.engine.docker import DockerEngine
from stackctl.state.home import open_home

HELLO = """
services:
  web:
    image: busybox:1.35
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"]
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def ok(self) -> Done:
        """This, or a failure that shows what the command said."""
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err
        return self

    @property
    def data(self) -> Any:
        """What stands in the envelope."""
        return json.loads(self.out)["data"]


@dataclass(frozen=True)
class Cli:
    """`stackctl` with a home and a checkout that belong to one test."""

    home: Path
    checkout: Path

    def __call__(self, *arguments: str, cwd: Path | None = None, timeout: float = 120, **env: str) -> Done:
        done = subprocess.run(
            self.argv(*arguments),
            cwd=cwd or self.checkout,
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Start a command and return while it runs; the caller ends it."""
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=self.checkout,
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "stackctl", *arguments]

    def environment(self, **env: str) -> dict[str, str]:
        own = {
            "STACKCTL_HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home.parent / "config"),
        }
        return {**os.environ, **own, **env}

    def stack(self, name: str, text: str) -> Path:
        """Write a stack file into the checkout."""
        path = self.checkout / "stacks" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def template(self, name: str, compose: str = HELLO, head: str = "description: for a test\n") -> Path:
        """Write a template into the checkout."""
        folder = self.checkout / "templates" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "template.yaml").write_text(head)
        (folder / "compose.yaml.j2").write_text(compose)
        return folder

    def end_all(self) -> None:
        """End every task and environment; what is left then is removed, and is a failure."""
        cancel, down = self("cancel", "--all"), self("down", "--all")
        left = [one.name for one in self.containers()] + self.networks()
        engine = DockerEngine()
        engine.kill([one.id for one in self.containers()])
        engine.remove_containers([one.id for one in self.containers()])
        mine = {f"{PREFIX}home": open_home(self.home).identity}
        engine.remove_networks([one.id for one in engine.networks(mine)])
        assert not left, f"`cancel --all` and `down --all` left {left} behind: {cancel.err}{down.err}"

    def task(self, task: str) -> dict[str, Any]:
        """The record of a task as it stands on disk."""
        found: dict[str, Any] = json.loads((self.home / "tasks" / task / "record.json").read_text())
        return found

    def containers(self, project: str = "") -> tuple[Container, ...]:
        """What the engine has of this home, or of one of its environments."""
        labels = {f"{PREFIX}home": open_home(self.home).identity}
        if project:
            labels[f"{PREFIX}project"] = project
        return DockerEngine().containers(labels)

    def networks(self) -> list[str]:
        """Names of the networks of this home."""
        identity = open_home(self.home).identity
        return [one.name for one in DockerEngine().networks({f"{PREFIX}home": identity})]

    def record(self, project: str) -> dict[str, Any]:
        """The record of an environment as it stands on disk."""
        found: dict[str, Any] = json.loads((self.home / "environments" / project / "record.json").read_text())
        return found
