"""What must hold after every fault, I1 to I8; each check returns what is wrong, in words."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from commandline import Done
from ground import MARK, QUICK, Ground
from waiting import command_line, processes, variables

from stackctl.core.labels import Stamp
from stackctl.core.records import UnreadableRecord
from stackctl.state.record_files import decode

Prints = Mapping[str, str]


# I1: data


def plant_data(ground: Ground, project: str, service: str = "db") -> Prints:
    """Put files into a sidecar's data folder that must never change; returns their fingerprints."""
    folder = ground.home / "environments" / project / "data" / service
    (folder / "deep" / "er").mkdir(parents=True, exist_ok=True)
    (folder / "sentinel").write_bytes(os.urandom(4096))
    (folder / "deep" / "er" / "empty").write_bytes(b"")
    (folder / "deep" / "text").write_text(f"{project}\n")
    return fingerprints(ground.home)


def fingerprints(home: Path) -> Prints:
    """Path -> hash of every file in a data folder, the sidecar's own growing journal left out."""
    return {
        str(path.relative_to(home)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.glob("environments/*/data/**/*"))
        if path.is_file() and path.name != "journal"
    }


def lost_data(before: Prints, home: Path) -> list[str]:
    """What is gone or differs."""
    now = fingerprints(home)
    return [
        f"I1: {path} is {'changed' if path in now else 'gone'}"
        for path in before
        if now.get(path) != before[path]
    ]


def bytes_lost(before: Prints, home: Path, sizes: Mapping[str, int]) -> int:
    """How many bytes of planted data are not what they were."""
    now = fingerprints(home)
    return sum(sizes.get(path, 0) for path in before if now.get(path) != before[path])


# I2: nothing of ours


def leftovers(ground: Ground, but: Iterable[str] = ()) -> list[str]:
    """Objects with this home's label, other than canaries."""
    canaries = set(but)
    return [
        f"I2: {one.name} is left ({getattr(one, 'state', 'no container')})"
        for one in ground.objects()
        if getattr(one, "id", one.name) not in canaries
    ]


# I3: canaries


@dataclass
class Canaries:
    """Objects that look like ours and are not; whoever touches one has harmed a stranger.

    Args:
        containers: Id -> what it is, started at.
        networks: Id -> what it is.
    """

    ground: Ground
    containers: dict[str, tuple[str, str]] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)

    @property
    def ids(self) -> set[str]:
        return {*self.containers, *self.networks, *self.volumes}

    def docker(self, *arguments: str) -> str:
        host = ["--host", self.ground.host] if self.ground.host else []
        done = subprocess.run(["docker", *host, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"docker {arguments}: {done.stderr}"
        return done.stdout.strip()

    def plant(self, project: str, stack: str = "s") -> Canaries:
        """Make one of each kind for an environment that is, or was, or will be called so."""
        own = Stamp(
            project=project,
            stack=stack,
            generation=str(uuid4()),
            home=self.ground.mine["stackctl.home"],
            user=os.getuid(),
            engine=self.ground.engine.facts().id,
        ).labels()
        compose = {"com.docker.compose.project": project, "com.docker.compose.service": "canary"}
        compose |= {"com.docker.compose.oneoff": "False", "com.docker.compose.container-number": "1"}
        self._container("the same image", {})
        self._container("the same compose project", compose)
        self._container("another generation", {**compose, **own})
        self._container("another home", {**own, "stackctl.home": "0123456789ab"})
        self._container("another user", {**own, "stackctl.user": "4242"})
        mark = self._label()
        network = {**own, "com.docker.compose.project": project, "com.docker.compose.network": "x"}
        for kind, labels in (("no label", {}), ("another generation", network)):
            name = f"canary-{uuid4().hex[:12]}"
            made = self.docker("network", "create", *mark, *_labels(labels), name)
            self.networks[made] = kind
            self.volumes.append(self.docker("volume", "create", *mark, *_labels(labels), name))
        return self

    def _container(self, kind: str, labels: Mapping[str, str]) -> None:
        name = f"canary-{uuid4().hex[:12]}"
        words = ["run", "--detach", "--name", name, *self._label(), *_labels(labels)]
        made = self.docker(*words, "busybox:1.35", "sh", "-c", QUICK)
        self.containers[made] = (kind, self._started(made))

    def _label(self) -> list[str]:
        return ["--label", f"stackctl-test.run={self.ground.run}"]

    def _started(self, identity: str) -> str:
        return self.docker("inspect", "--format", "{{.State.Status}} {{.State.StartedAt}}", identity)

    def harmed(self) -> list[str]:
        """Which are gone, stopped or restarted."""
        found = [
            f"I3: the container with {kind} is not as it was"
            for identity, (kind, started) in self.containers.items()
            if self._safely("inspect", "--format", "{{.State.Status}} {{.State.StartedAt}}", identity)
            != started
        ]
        networks = set(self._safely("network", "ls", "--quiet", "--no-trunc").split())
        volumes = set(self._safely("volume", "ls", "--quiet").split())
        found += [f"I3: the network {one} is gone" for one in self.networks if one not in networks]
        return found + [f"I3: the volume {one} is gone" for one in self.volumes if one not in volumes]

    def _safely(self, *arguments: str) -> str:
        try:
            return self.docker(*arguments)
        except AssertionError:
            return ""

    def rebooted(self) -> None:
        """Take for granted that they ended with the daemon, as those without a restart policy do."""
        self.containers = {one: (kind, self._started(one)) for one, (kind, _) in self.containers.items()}

    def remove(self, kind: str = "") -> None:
        """End them all, or the containers and networks of one kind."""
        for identity in [one for one, (what, _) in self.containers.items() if kind in ("", what)]:
            self._safely("rm", "--force", identity)
            del self.containers[identity]
        for network in [one for one, what in self.networks.items() if kind in ("", what)]:
            self._safely("network", "rm", network)
            del self.networks[network]
        for volume in () if kind else self.volumes:
            self._safely("volume", "rm", volume)


def _labels(labels: Mapping[str, str]) -> list[str]:
    return [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]


# I4 to I8


def damaged_state(home: Path) -> list[str]:
    """State files that cannot be read, and what a torn write left."""
    files = [one for one in sorted(home.rglob("*.json")) if "data" not in one.relative_to(home).parts]
    found = [f"I4: {path} cannot be read: {words}" for path in files if (words := trouble(path))]
    return found + [f"I4: {path} was set aside" for path in home.rglob("record.json.corrupt-*")]


def trouble(path: Path) -> str:
    """Why a state file cannot be read, empty when it can."""
    try:
        decode(path.read_bytes()) if path.name == "record.json" else json.loads(path.read_bytes())
    except (UnreadableRecord, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def strays(ground: Ground, but: Iterable[int] = ()) -> list[str]:
    """Processes that a command of this ground left behind, itself or through docker."""
    spared = {os.getpid(), *but}
    return [
        f"I5: process {pid} lives on: {command_line(pid)[:150]}"
        for pid in processes()
        if pid not in spared and variables(pid).get(MARK) == ground.run
    ]


def held_locks(home: Path) -> list[str]:
    """Lock files that somebody holds."""
    found = []
    for path in sorted((home / "locks").iterdir()) if (home / "locks").is_dir() else []:
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found.append(f"I6: the lock {path.name} is held")
        finally:
            os.close(descriptor)
    return found


def state_of(ground: Ground) -> dict[str, object]:
    """Everything that a pass could change: the files of the home, and the objects of the engine."""
    files = {
        str(path.relative_to(ground.home)): path.read_bytes()
        for path in sorted(ground.home.rglob("*"))
        if path.is_file() and path.relative_to(ground.home).parts[0] not in ("locks", "supervisor")
    }
    things = {
        getattr(one, "id", one.name): (getattr(one, "state", ""), getattr(one, "started", 0.0))
        for one in ground.objects()
    }
    return {**files, **things}


def restless(ground: Ground, *second: str) -> list[str]:
    """What a second pass of a command changed."""
    before = state_of(ground)
    done = ground(*second)
    after = state_of(ground)
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    found = [f"I7: a second `{' '.join(second)}` changed {name}" for name in changed]
    if done.code:
        found.append(f"I7: a second `{' '.join(second)}` ended with {done.code}: {done.err.strip()}")
    return found


def untold(done: Done, code: int, words: str = "") -> list[str]:
    """How a command's ending differs from what is documented: its exit code and one line of reason."""
    found = []
    if done.code != code:
        found.append(f"I8: exit code {done.code}, not {code}: {done.err.strip()}")
    if "Traceback" in done.err:
        found.append(f"I8: a traceback: {done.err.strip()[-300:]}")
    reasons = [line for line in done.err.splitlines() if line.startswith("error: ")]
    if code and len(reasons) != 1:
        found.append(f"I8: {len(reasons)} reasons, not one: {done.err.strip()}")
    if words and words not in done.err:
        found.append(f"I8: {words!r} is not in {done.err.strip()!r}")
    return found


def broken(
    ground: Ground,
    *,
    data: Prints | None = None,
    canaries: Canaries | None = None,
    second: tuple[str, ...] = ("down", "--all"),
    gone: bool = True,
) -> list[str]:
    """Everything that does not hold of I1 to I7, in words; empty when all is well.

    Args:
        data: Fingerprints that must still be true.
        second: A pass that must find nothing to do; empty for none.
        gone: Nothing of ours may be left on the engine.
    """
    found = lost_data(data or {}, ground.home)
    found += leftovers(ground, canaries.ids if canaries else ()) if gone else []
    found += canaries.harmed() if canaries else []
    found += damaged_state(ground.home) + strays(ground) + held_locks(ground.home)
    return found + (restless(ground, *second) if second else [])
