"""A checkout of one of the projects beside this file: brought up, spoken to, crashed, looked at at rest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from commandline import Cli
from waiting import until

PROJECTS = Path(__file__).parent
LIMIT = ("--limit", "memory=384m")
"""For services that set none themselves: a machine of 8 GB runs any of the projects."""
READY_S = 90


@dataclass(frozen=True, kw_only=True)
class Project:
    """What is expected of one project.

    Args:
        use: Works with it as its users would; fails when something does not go through.
        read: What its users would find in it.
        holds: Looks whether what the files say is so; takes service -> its containers, as inspected.
        up: Words of `up` beside the limits.
        ports: Variables that its files take host ports from; each gets a free one.
        rest: Volumes, or folders as `./folder`, that an up and down alone leaves as they are, to the byte.
        stack: A stack file for it, where it needs one.
        once: Services that run once and end.
        watched: Whether every other service restarts by itself, so that the supervisor brings it back.
        limits: Service -> what its file says of HostConfig.
        env: Variables that its users set.
    """

    name: str
    use: Callable[[Site], None]
    read: Callable[[Site], object]
    holds: Callable[[Site, Inspected], None]
    up: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    stack: str = ""
    once: frozenset[str] = frozenset()
    watched: bool = False
    limits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


Inspected = Mapping[str, list[dict[str, Any]]]


@dataclass(kw_only=True)
class Site:
    """One checkout of a project, and the environment that it is."""

    project: Project
    cli: Cli
    folder: Path
    env: dict[str, str]
    name: str = ""
    volumes: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    def up(self, *words: str) -> dict[str, Any]:
        """Bring it up and wait until it is ready."""
        done = self.run(*self.words(), "--json", *words).ok()
        self.name = done.data["project"]
        self.warnings = json.loads(done.out)["warnings"]
        self.volumes |= set(docker("volume", "ls", "-q", "--filter", self.label).split())
        for one in self.inspect():
            self.volumes |= {mount["Name"] for mount in one["Mounts"] if mount["Type"] == "volume"}
        return done.data

    def words(self) -> tuple[str, ...]:
        which = (self.project.name,) if self.project.stack else ()
        return ("up", *which, *self.project.up, *LIMIT)

    def run(self, *words: str) -> Any:
        return self.cli(*words, cwd=self.folder, timeout=240, **self.env)

    def down(self) -> None:
        self.run("down", self.name).ok()
        assert self.cli.containers(self.name) == ()

    @property
    def label(self) -> str:
        return f"label=com.docker.compose.project={self.name}"

    def inspect(self) -> list[dict[str, Any]]:
        """Its containers; one that is removed meanwhile is left out."""
        ids = docker("ps", "-aq", "--no-trunc", "--filter", self.label).split()
        if not ids:
            return []
        done = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, timeout=120)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def services(self) -> Inspected:
        """Its containers by their services."""
        found: dict[str, list[dict[str, Any]]] = {}
        for one in self.inspect():
            found.setdefault(one["Config"]["Labels"]["com.docker.compose.service"], []).append(one)
        return found

    def kill(self) -> None:
        """`docker kill` of every container that runs: somebody's act, after which none is restarted."""
        docker("kill", "--signal", "KILL", *self.running())

    def crash(self) -> None:
        """KILL every process in every container, from inside: to the engine they ended by themselves."""
        for container in self.running():
            words = ["docker", "exec", container, "sh", "-c", "kill -9 -1"]
            subprocess.run(words, capture_output=True, timeout=60)

    def running(self) -> list[str]:
        return [one["Id"] for one in self.inspect() if one["State"]["Running"]]

    def ready(self) -> bool:
        """Whether all that is to run does, and is healthy where it says so."""
        states = {name: [one["State"] for one in found] for name, found in self.services().items()}
        lasting = [s for name, found in states.items() if name not in self.project.once for s in found]
        return all(
            s["Running"] and s.get("Health", {}).get("Status", "healthy") == "healthy" for s in lasting
        )

    @contextmanager
    def watched(self) -> Any:
        """A supervisor for this test's home."""
        child = self.cli.start("supervise", "--quiet", **self.env)
        try:
            yield
        finally:
            child.terminate()
            child.communicate(timeout=30)

    def up_is_killed(self) -> None:
        """KILL an `up` as soon as the engine has a container of it."""
        child = subprocess.Popen(
            self.cli.argv(*self.words()),
            cwd=self.folder,
            env=self.cli.environment(**self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(lambda: self.inspect() or child.poll() is not None, 60, "a container of the second `up`")
        assert child.poll() is None, "`up` ended before it could be killed"
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def address(self, service: str, port: int) -> str:
        """host:port of a published port."""
        for one in self.services()[service]:
            for bound in one["NetworkSettings"]["Ports"].get(f"{port}/tcp") or ():
                return f"{bound['HostIp']}:{bound['HostPort']}"
        raise AssertionError(f"{service} publishes no port {port}")

    def get(self, service: str, path: str = "/", port: int = 80, **headers: str) -> str:
        return self.fetch(service, path, port, None, headers)

    def post(self, service: str, path: str, text: str, port: int = 80, **headers: str) -> str:
        return self.fetch(service, path, port, text.encode(), headers)

    def fetch(
        self, service: str, path: str, port: int, data: bytes | None, headers: Mapping[str, str]
    ) -> str:
        """What a request is answered with; asked again while what is behind a proxy finds its feet."""
        request = urllib.request.Request(
            f"http://{self.address(service, port)}{path}",
            data,
            dict(headers),
            method="POST" if data else None,
        )
        found: list[str] = []

        def answered() -> bool:
            try:
                with urllib.request.urlopen(request, timeout=15) as answer:
                    found.append(answer.read().decode())
            except urllib.error.HTTPError as error:
                if error.code not in (502, 503, 504):
                    pytest.fail(f"{request.full_url}: {error.code} {error.read()!r}")
                return False
            except (OSError, ConnectionError):
                return False
            return True

        until(answered, 30, f"an answer of {request.full_url}")
        return found[0]

    def inside(self, service: str, *command: str, number: int = 0) -> str:
        """What a command in a container of it says."""
        return docker("exec", self.services()[service][number]["Id"], *command)

    def at_rest(self) -> dict[str, str]:
        """File -> hash of everything in its volumes, and in the folders that it writes into."""
        folders = [one for one in self.project.rest if one.startswith("./")]
        binds = [f"--volume={self.folder / one}:/all/{one[2:]}:ro" for one in folders]
        binds += [f"--volume={one}:/all/{self.short(one)}:ro" for one in sorted(self.volumes)]
        script = "cd /all && find . -type f -exec sha256sum {} +"
        lines = docker("run", "--rm", "--network=none", *binds, "busybox:1.35", "sh", "-c", script)
        return {path: digest for digest, _, path in (line.partition("  ") for line in lines.splitlines())}

    def short(self, volume: str) -> str:
        return volume.removeprefix(f"{self.name}_")

    def resting(self, files: Mapping[str, str]) -> dict[str, str]:
        """Those of the files that an up and down alone leaves as they are."""
        places = tuple(f"./{one.removeprefix('./')}/" for one in self.project.rest)
        return {path: digest for path, digest in files.items() if path.startswith(places)}

    def forget(self) -> None:
        """Remove its volumes and the images that were built for it."""
        if self.volumes:
            docker("volume", "rm", "--force", *sorted(self.volumes))
        built = docker("images", "-q", "--filter", self.label).split()
        if built:
            docker("rmi", "--force", *dict.fromkeys(built))


def check_out(project: Project, cli: Cli, folder: Path) -> Site:
    """A copy of the project in a folder of its own, its host ports free ones."""
    shutil.copytree(PROJECTS / project.name, folder, dirs_exist_ok=True)
    if project.stack:
        (folder / "stacks").mkdir()
        (folder / "stacks" / f"{project.name}.yaml").write_text(project.stack)
    ports = map(str, free_ports(len(project.ports)))
    env = {**project.env, **dict(zip(project.ports, ports, strict=True))}
    return Site(project=project, cli=cli, folder=folder, env=env)


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on, below those that the kernel gives to clients."""
    found: list[int] = []
    for port in range(21000 + os.getpid() % 9000, 32000):
        with socket.socket() as one:
            if len(found) < count and one.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found[:count]


def docker(*words: str) -> str:
    """What docker prints."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
    return done.stdout
