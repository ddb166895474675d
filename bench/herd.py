"""Environments of many small containers, made by `stackctl up`, and what a supervisor of them costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.labels import PREFIX
from stackctl.engine.docker import DockerEngine
from stackctl.ops.context import Context
from stackctl.state.clock import SystemClock
from stackctl.state.home import open_home
from stackctl.state.store import FileStore

if TYPE_CHECKING:
    from stackctl.core.facts import Container

SERVICES = 10
"""Containers of one environment."""
LIMITS = "limits: {memory: 64m, pids: 64, cpus: 0.5}\n"
SLEEPER = "\n  s{number}:\n    image: busybox:1.35\n    command: [sleep, '86400']\n"
STUBBORN = """
services:
  app:
    image: busybox:1.35
    command: [sh, -c, "trap '' TERM; while :; do sleep 1; done"]
    stop_grace_period: 2s
"""
GRACE = 2.0
"""Seconds that a stubborn container, which does not heed TERM, gets until KILL."""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Herd:
    """A checkout and a state directory of their own, with environments that have real records.

    Args:
        folder: Empty; everything lies below it.
        herds: How many environments of `SERVICES` containers are up.
    """

    folder: Path
    herds: int = 0
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / ".git").mkdir()
        (self.folder / "stacks").mkdir()
        self.env = {**os.environ, "STACKCTL_HOME": str(self.home), "STACKCTL_SUPERVISOR": "manual"}
        self._template("herd", "services:" + "".join(SLEEPER.format(number=n) for n in range(SERVICES)))
        self._template("stubborn", STUBBORN)
        self._stack("stubborn", "stubborn")

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def _template(self, name: str, text: str) -> None:
        template = self.folder / "templates" / name
        template.mkdir(parents=True)
        (template / "template.yaml").write_text("description: for a benchmark\n")
        (template / "compose.yaml.j2").write_text(text)

    def _stack(self, name: str, template: str, extra: str = "") -> None:
        (self.folder / "stacks" / f"{name}.yaml").write_text(f"template: {template}\n{LIMITS}{extra}")

    def argv(self, *words: str) -> list[str]:
        return [str(Path(sys.executable).with_name("stackctl")), *words]

    def __call__(self, *words: str) -> None:
        """Run stackctl; what fails ends the benchmark."""
        done = subprocess.run(
            self.argv(*words), env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=300
        )
        if done.returncode:
            sys.exit(f"error: stackctl {' '.join(words)} ended with {done.returncode}\n{done.stderr}")

    def grow(self, containers: int) -> None:
        """Bring environments up until there are so many containers."""
        while self.herds * SERVICES < containers:
            name = f"herd{self.herds}"
            self._stack(name, "herd")
            self("up", name)
            self.herds += 1

    def context(self) -> Context:
        """What a supervisor in this process would work with."""
        store = FileStore(open_home(self.home))
        return Context(
            engine=DockerEngine(self.env),
            store=store,
            clock=SystemClock(),
            user=os.getuid(),
            group=os.getgid(),
        )

    def containers(self, context: Context, stack: str = "") -> tuple[Container, ...]:
        """What the engine has of this home, or of one of its stacks."""
        labels = {f"{PREFIX}home": context.store.identity, **({f"{PREFIX}stack": stack} if stack else {})}
        return context.engine.containers(labels)

    def supervise(self, *words: str) -> Supervising:
        """Start `stackctl supervise`, as a person would in a terminal."""
        log = (self.folder / "supervise.txt").open("wb")
        with log:
            child = subprocess.Popen(
                self.argv("supervise", *words),
                env=self.env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return Supervising(child)


@dataclass(frozen=True)
class Supervising:
    """A supervisor's process, and what it costs."""

    child: subprocess.Popen[bytes]

    @property
    def _proc(self) -> Path:
        return Path(f"/proc/{self.child.pid}")

    def processor(self) -> float:
        """Seconds of processor time so far, in user and kernel mode (proc(5), stat, fields 14 and 15)."""
        words = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / _TICKS

    def resident(self) -> float:
        """Resident memory in MiB (proc(5), status, VmRSS)."""
        lines = (self._proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def descriptors(self) -> int:
        """Open files."""
        return len(os.listdir(self._proc / "fd"))  # noqa: PTH208 -- only how many there are

    def threads(self) -> int:
        """Its threads."""
        return len(os.listdir(self._proc / "task"))  # noqa: PTH208 -- only how many there are

    def leave(self) -> int:
        """Tell it to end; its exit code."""
        self.child.terminate()
        return self.child.wait(60)


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for a condition; without it the benchmark ends."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"error: {what} did not come true within {seconds:g} s")
        time.sleep(0.005)
