"""A Docker engine of another host: its own network with an address, and none of this machine's folders.

It is a daemon in namespaces of its own. What it binds from `/tmp`, `/srv` or `/var/lib` is not what this
machine has there, so a path that is taken for a path of this machine is seen to be wrong. It needs root.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

from daemon import PrivateDaemon

PORT = 2375
BARE = ("/tmp", "/srv", "/run", "/var/lib")
_NUMBERS = itertools.count()


class FarEngine(PrivateDaemon):
    """A daemon that is reached by its address only.

    Args:
        images: A `docker save` archive that is loaded at the first start.
        secured: Whether both sides must show certificates of the folder `tls`, which is yet to be filled.
    """

    PLACE = "/var/tmp"

    def __init__(self, *, images: Path | None = None, secured: bool = False) -> None:
        # a /30 of its own for each engine of each process
        block = (os.getpid() * 8 + next(_NUMBERS)) % 16384 * 4
        self._near, self.address = (f"10.209.{block >> 8}.{(block & 255) + last}" for last in (1, 2))
        listen = (f"--host=tcp://{self.address}:{PORT}", "--host=unix:///run/docker.sock")
        super().__init__(images=images, options=listen)
        self.host = f"tcp://{self.address}:{PORT}"
        self.tls = self.root / "tls"
        files = {"cacert": "ca.pem", "cert": "server.pem", "key": "server-key.pem"}
        shown = ("--tlsverify", *(f"--tls{name}={self.tls / file}" for name, file in files.items()))
        self._options += shown if secured else ("--tls=false",)

    def _argv(self) -> list[str]:
        near = f"--host={self.host}"
        argv = super()._argv()
        argv.remove(near)  # it stands among the options already
        return argv

    def _make_space(self) -> subprocess.Popen[bytes]:
        script = 'set -e; mkdir "$0"; mount --bind "$0" /etc/docker; ip link set lo up; '
        script += "".join(f"mount -t tmpfs -o mode=755 none {folder}; " for folder in BARE)
        script += "mkdir /run/lock /run/sshd /var/lib/stackctl; chmod 1777 /tmp"
        space = self._held("private", script)
        self._join(space.pid)
        return space

    def _join(self, space: int) -> None:
        """A line between this machine and the other one; it is gone with the namespace."""
        name = f"far{space}"
        link = ["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(space)]
        for argv in (
            link,
            ["ip", "address", "add", f"{self._near}/30", "dev", name],
            ["ip", "link", "set", name, "up"],
            self.inside("ip", "address", "add", f"{self.address}/30", "dev", "eth0", space=space),
            self.inside("ip", "link", "set", "eth0", "up", space=space),
        ):
            subprocess.run(argv, check=True, timeout=10)

    def inside(self, *argv: str, space: int = 0) -> list[str]:
        """A command as it runs on the other host."""
        return ["nsenter", f"--target={space or self.space}", "--net", "--mount", *argv]

    def run(self, *argv: str) -> str:
        """What a command on the other host writes."""
        done = subprocess.run(self.inside(*argv), capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def files(self) -> dict[str, str]:
        """What lies in its environments' folders: path -> owner and mode, as `1000 700`."""
        found = self.run("find", "/var/lib/stackctl", "-mindepth", "2", "-printf", "%P %U %m\\n")
        lines = (line.partition("/")[2].split() for line in found.splitlines())  # without the home's identity
        return {path: f"{owner} {mode}" for path, owner, mode in lines}
