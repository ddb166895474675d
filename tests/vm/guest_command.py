"""`stackctl` in the guest machine, with a home and a checkout of its own; what its kernel says."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from guest import COMMAND_DEADLINE_S, Done, Guest

from stackctl.core.labels import PREFIX
from stackctl.core.names import short_hash

UP_DEADLINE_S = 600
TIMED_OUT = 6
STILL = "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"


@dataclass(frozen=True)
class GuestCommand:
    """`stackctl` with a state directory and a checkout below one folder of the guest.

    Args:
        supervisor: Whether `up` starts one in the background: auto or manual.
    """

    guest: Guest
    folder: str
    supervisor: str = "manual"

    @property
    def home(self) -> str:
        return f"{self.folder}/home"

    @property
    def checkout(self) -> str:
        return f"{self.folder}/checkout"

    def __call__(self, arguments: str, timeout: float = COMMAND_DEADLINE_S) -> Done:
        return self.guest.run(self.line(arguments), timeout)

    def up(self, name: str) -> Done:
        """Bring an environment up; again where the host left the guest no time to answer itself in time."""
        up = self.line(f"up {name}")
        return self.guest.until(
            up, UP_DEADLINE_S, lambda done: done.code != TIMED_OUT, timeout=UP_DEADLINE_S
        ).ok()

    def line(self, arguments: str) -> str:
        """The line of shell that runs it."""
        own = f"STACKCTL_HOME={self.home} STACKCTL_SUPERVISOR={self.supervisor}"
        return f"cd {self.checkout} && {own} stackctl {arguments}"

    def stack(
        self, name: str, services: dict[str, dict[str, Any]], data: dict[str, Any] | None = None, **stack: Any
    ) -> None:
        """Write a stack and its template; a service is busybox unless it says otherwise."""
        head = {"description": "for a test", "data": data or {}}
        compose = {"services": {key: {"image": "busybox:1.35", **value} for key, value in services.items()}}
        template = f"{self.checkout}/templates/{name}"
        self.guest.put(f"{template}/template.yaml", json.dumps(head))
        self.guest.put(f"{template}/compose.yaml.j2", json.dumps(compose, indent=1))
        self.guest.put(f"{self.checkout}/stacks/{name}.yaml", json.dumps({"template": name, **stack}))

    def status(self, name: str) -> dict[str, Any]:
        """What `status` says of one environment; the exit code says only whether it is healthy."""
        return dict(self(f"status {name} --json").data)

    def container(self, name: str, service: str) -> str:
        """The id of a service's one container."""
        (found,) = self.status(name)["services"][service]["containers"]
        return str(found)

    def cgroup(self, container: str) -> str:
        """The folder of a container's control group, from its own process."""
        pid = self.guest.run(f"docker inspect -f '{{{{.State.Pid}}}}' {container}").ok().out.strip()
        path = self.guest.run(f"cat /proc/{pid}/cgroup").ok().out.strip()
        assert path.startswith("0::/"), f"not cgroup v2: {path}"
        return f"/sys/fs/cgroup{path[3:]}"

    def reads(self, folder: str, *names: str) -> dict[str, str]:
        """The contents of files in a folder of the guest."""
        out = self.guest.run(f"cd {folder} && tail -n +1 {shlex.join(names)} /dev/null").ok().out
        parts = out.split("==> ")[1:-1]
        return {part.split(" <==\n")[0]: part.split(" <==\n")[1].strip() for part in parts}

    @property
    def label(self) -> str:
        """What the engine is to be asked for: the label that every object of this home carries."""
        return f"--filter label={PREFIX}home={short_hash(self.home, 12)}"

    def objects(self) -> dict[str, str]:
        """Name -> project of each container and network that carries this home's label."""
        project = f'{{{{.Label "{PREFIX}project"}}}}'
        listed = f"docker ps -a {self.label} --format '{{{{.Names}}}} {project}'"
        networks = f"docker network ls {self.label} --format '{{{{.Name}}}} {project}'"
        out = self.guest.run(f"{listed} && {networks}").ok().out
        return dict(line.split(maxsplit=1) for line in out.splitlines())


@contextlib.contextmanager
def lent(guest: Guest, name: str, supervisor: str = "manual") -> Iterator[GuestCommand]:
    """A command line whose environments are all ended afterwards; what is left then is a failure."""
    command = GuestCommand(guest, f"/srv/{name}", supervisor)
    guest.run(f"mkdir -p {command.checkout}/.git {command.checkout}/stacks").ok()
    try:
        yield command
        down = command("down --all")
        left = command.objects()
        assert not left, f"`down --all` left {list(left)} behind: {down.out}{down.err}"
    finally:
        if supervisor == "auto":
            command("supervise --stop")
        guest.run(f"docker ps -aq {command.label} | xargs -r docker rm -f")
        guest.run(f"docker network ls -q {command.label} | xargs -r docker network rm")
