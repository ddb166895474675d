"""A Docker daemon of our own that may be killed, frozen and restarted, with real containers in it.

It has a network and a mount namespace of its own, so that its bridges and mounts reach nobody else's and are
gone with its last process. It needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from waiting import command_line, descendants, kill, lives, processes, state, until

from stackctl.core.errors import StackctlError
from stackctl.engine.docker import DockerEngine

POOLS = ("base=10.213.0.0/20,size=24",)
START_SECONDS = 60
STOP_SECONDS = 60


class PrivateDaemon:
    """A dockerd with data, socket and network of its own.

    Args:
        live_restore: Containers go on while the daemon is down.
        pools: Where the subnets of networks are taken from, as `--default-address-pool` has it.
        images: A `docker save` archive that is loaded at the first start.
    """

    PLACE: str | None = None
    """Where its folder is made, None for the usual place of temporary files."""

    def __init__(
        self,
        *,
        live_restore: bool = False,
        pools: Sequence[str] = POOLS,
        images: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        # A socket's path has 108 bytes, more than a test's own folder leaves.
        self.root = Path(tempfile.mkdtemp(prefix="stackctl-daemon-", dir=self.PLACE))
        self.socket = self.root / "docker.sock"
        self.host = f"unix://{self.socket}"
        self.pid = 0
        self._live_restore, self._pools, self._options = live_restore, tuple(pools), tuple(options)
        self._images = images
        self._child: subprocess.Popen[bytes] | None = None
        self._space = self._make_space()

    def _make_space(self) -> subprocess.Popen[bytes]:
        """The namespaces, held by a process that does nothing."""
        # /etc/docker holds the key that an engine's id comes from: two that share it cannot be told apart.
        script = 'mkdir "$0" && mount --bind "$0" /etc/docker && ip link set lo up'
        return self._held("slave", script)

    def _held(self, propagation: str, script: str) -> subprocess.Popen[bytes]:
        """Namespaces that a script has made ready; `$0` in it is a folder to be made for /etc/docker."""
        leash = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount"]
        script += " && echo ready && exec sleep infinity"
        space = subprocess.Popen(
            [*leash, "--propagation", propagation, "sh", "-c", script, str(self.root / "etc")],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert space.stdout is not None
        assert space.stdout.readline() == b"ready\n"
        return space

    @property
    def space(self) -> int:
        """The process that holds its namespaces."""
        return self._space.pid

    @property
    def engine(self) -> DockerEngine:
        """This daemon, asked as stackctl asks."""
        return DockerEngine({**os.environ, "DOCKER_HOST": self.host}, patience=5)

    def start(self) -> PrivateDaemon:
        """Start it and wait until it answers."""
        self.begin()
        until(self.answers, START_SECONDS, f"an answer of dockerd ({self.log_tail()})")
        if self._images:
            self.docker("load", "-qi", str(self._images))
            self._images = None
        return self

    def begin(self) -> None:
        """Start it and return at once."""
        assert not self.pid, "it runs already"
        # A daemon that was killed leaves its pid files, and takes whoever has those pids now for itself.
        for stale in (self.root / "docker.pid", self.root / "exec/containerd/containerd.pid"):
            stale.unlink(missing_ok=True)
        with (self.root / "dockerd.log").open("ab") as log:
            self._child = subprocess.Popen(
                ["nsenter", f"--target={self._space.pid}", "--net", "--mount", *self._argv()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._child.pid

    def _argv(self) -> list[str]:
        pools = [f"--default-address-pool={pool}" for pool in self._pools]
        live = ["--live-restore"] if self._live_restore else []
        places = [f"--data-root={self.root}/data", f"--exec-root={self.root}/exec"]
        places += [f"--pidfile={self.root}/docker.pid", f"--host={self.host}"]
        return ["dockerd", *places, "--iptables=false", *pools, *live, *self._options]

    def answers(self) -> bool:
        """Whether it answers."""
        try:
            with closing(self.engine) as engine:
                engine.facts()
        except StackctlError:
            return False
        return True

    def docker(self, *arguments: str, timeout: float = 60, check: bool = True) -> str:
        """What a docker command against it writes."""
        done = subprocess.run(
            ["docker", "--host", self.host, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0 or not check, f"docker {arguments}: {done.stderr}"
        return done.stdout.strip()

    def kill(self) -> None:
        """SIGKILL to dockerd; its containerd dies with it, shims and containers do not."""
        kill([self._alive()])
        self._ended()

    def stop(self) -> None:
        """SIGTERM to dockerd, as a service manager does it."""
        os.kill(self._alive(), signal.SIGTERM)
        self._ended()

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP to dockerd: it accepts connections and never answers."""
        os.kill(self._alive(), signal.SIGSTOP)
        until(lambda: state(self.pid) == "T", 5, "dockerd being frozen")

    def thaw(self) -> None:
        """SIGCONT to dockerd."""
        os.kill(self._alive(), signal.SIGCONT)

    def kill_containerd(self) -> None:
        """SIGKILL to its containerd alone; dockerd starts another one after a while."""
        kill(self.containerd())

    def containerd(self) -> set[int]:
        """Its containerd's process ids."""
        return {pid for pid in descendants([self._alive()]) if command_line(pid).startswith("containerd ")}

    def shims(self) -> set[int]:
        """The processes between it and its containers, which outlive it."""
        mine = f"{self.root}/exec/"
        return {
            pid for pid in processes() if "containerd-shim" in (line := command_line(pid)) and mine in line
        }

    def reboot(self) -> None:
        """SIGKILL to everything at once, as when the host lost its power; it does not start again."""
        shims = self.shims()
        everything = {self._alive(), *self.containerd(), *shims, *descendants(shims)}
        kill(everything)
        self._ended()

    def close(self) -> None:
        """End everything that is left, and remove its files."""
        if self.pid and self._child is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
            self._child.kill()
            self._child.wait(STOP_SECONDS)
        shims = self.shims()
        kill({*shims, *descendants(shims)})
        self._space.kill()
        self._space.wait(STOP_SECONDS)
        if self._space.stdout:
            self._space.stdout.close()
        self._remove_files()

    def _remove_files(self) -> None:
        end = time.monotonic() + 20
        while self.root.exists():
            # The kernel takes down the mounts of a namespace a moment after its last process.
            shutil.rmtree(self.root, ignore_errors=time.monotonic() < end)
            time.sleep(0.02)

    def _alive(self) -> int:
        assert self.pid, "it does not run"
        assert lives(self.pid), f"it ended by itself: {self.log_tail()}"
        return self.pid

    def _ended(self) -> None:
        assert self._child is not None
        self._child.wait(STOP_SECONDS)
        self.pid = 0

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        with suppress(OSError):
            return (self.root / "dockerd.log").read_text()[-1500:]
        return ""


Daemons = Callable[..., PrivateDaemon]
"""Makes daemons that run and are gone after the test; takes what `PrivateDaemon` takes."""
