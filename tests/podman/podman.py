"""Podman's socket, as Docker's command and ours are pointed at it: a service with storage of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from waiting import command_line, kill, processes, until

IMAGES = ("busybox:1.35", "redis:7.0")
# Podman's defaults are higher than what a machine may allow its root.
CONFIGURATION = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'


class PodmanService:
    """`podman system service` on a socket, its containers, images and networks below one folder.

    It needs root, and runc where control groups are of version 1, which crun does not know how to share.
    """

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="stackctl-podman-"))
        self.socket = self.root / "podman.sock"
        self.host = f"unix://{self.socket}"
        settings = self.root / "containers.conf"
        settings.write_text(CONFIGURATION)
        outside = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
        self._environment: Mapping[str, str] = {**outside, "CONTAINERS_CONF": str(settings)}
        self._log = (self.root / "log").open("w")
        leash = ["setpriv", "--pdeathsig", "KILL"]
        self._child = subprocess.Popen(
            [*leash, *self._argv("system", "service", "--time", "0", self.host)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        until(self.socket.exists, 30, "the socket of podman")

    def _argv(self, *arguments: str) -> list[str]:
        places = {"--root": "storage", "--runroot": "run", "--network-config-dir": "networks"}
        own = [word for option, name in places.items() for word in (option, str(self.root / name))]
        runc = ["--runtime", found] if (found := shutil.which("runc")) else []
        return ["podman", *own, *runc, "--events-backend", "file", *arguments]

    def run(self, *arguments: str) -> str:
        """What a command of podman prints."""
        argv = self._argv(*arguments)
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def load(self, images: Sequence[str] = IMAGES) -> None:
        """Bring images over from Docker's engine, under the names that Docker knows them by."""
        archive = self.root / "images.tar"
        subprocess.run(
            ["docker", "save", "-o", str(archive), *images], env=self._environment, check=True, timeout=120
        )
        self.run("load", "-q", "-i", str(archive))
        archive.unlink()
        for image in images:
            self.run("tag", f"localhost/{image}", f"docker.io/library/{image}")

    def end(self) -> None:
        """End the service and all that it holds."""
        self.run("rm", "--all", "--force", "--time", "0")
        self.run("network", "prune", "--force")
        self._child.terminate()
        self._child.wait(20)
        # those that watch an `exec` go on for five minutes after it
        kill(pid for pid in processes() if str(self.root) in command_line(pid))
        self._log.close()
        storage = self.root / "storage" / "overlay"
        subprocess.run(["umount", str(storage)], capture_output=True, check=False)
        shutil.rmtree(self.root)
