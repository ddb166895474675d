"""`stackctl` in the guest machine, with a home and a checkout of its own; what its kernel says."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from guest import COMMAND_DEADLINE_S, Done, Guest

STILL = "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"


@dataclass(frozen=True)
class GuestCommand:
    """`stackctl` with a state directory and a checkout below one folder of the guest."""

    guest: Guest
    folder: str

    @property
    def home(self) -> str:
        return f"{self.folder}/home"

    @property
    def checkout(self) -> str:
        return f"{self.folder}/checkout"

    def __call__(self, arguments: str, timeout: float = COMMAND_DEADLINE_S) -> Done:
        return self.guest.run(self.line(arguments), timeout)

    def line(self, arguments: str) -> str:
        """The line of shell that runs it."""
        return f"cd {self.checkout} && STACKCTL_HOME={self.home} stackctl {arguments}"

    def stack(self, name: str, services: dict[str, dict[str, Any]], **stack: Any) -> None:
        """Write a stack and its template; each service is busybox unless it says otherwise."""
        compose = {"services": {key: {"image": "busybox:1.35", **value} for key, value in services.items()}}
        template = f"{self.checkout}/templates/{name}"
        self.guest.put(f"{template}/template.yaml", "description: for a test")
        self.guest.put(f"{template}/compose.yaml.j2", json.dumps(compose, indent=1))
        self.guest.put(f"{self.checkout}/stacks/{name}.yaml", json.dumps({"template": name, **stack}))

    def status(self, name: str) -> dict[str, Any]:
        """What `status` says of one environment; the exit code says only whether it is healthy."""
        (found,) = self(f"status {name} --json").data["environments"]
        return dict(found)

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

    def objects(self) -> list[str]:
        """Names of every container and network in the guest that is not the engine's own."""
        listed = (
            "docker ps -a --format '{{.Names}}'; docker network ls --filter type=custom --format '{{.Name}}'"
        )
        return self.guest.run(listed).ok().out.split()
