"""Three Swarm nodes on this machine, as `scripts/cluster.sh` makes them, for tests to use and to hurt."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "cluster.sh"
NODES = ("n1", "n2", "n3")
BASE = Path(f"/var/lib/stackctl-cluster{os.environ.get('CLUSTER', '')}")
PATIENCE_S = 150


@dataclass(frozen=True)
class Cluster:
    """The nodes, by name; n1 is asked where nothing else is said."""

    config: Path

    def host(self, node: str = "n1") -> str:
        """How docker reaches a node."""
        return f"unix://{BASE}/{node}/docker.sock"

    def environment(self, node: str = "n1") -> dict[str, str]:
        """What makes commands work on a node, and reach others by contexts of their names."""
        return {"DOCKER_HOST": self.host(node), "DOCKER_CONFIG": str(self.config), "DOCKER_CONTEXT": ""}

    def docker(self, node: str, *words: str) -> str:
        """What a docker command on a node prints."""
        argv = ["docker", "--host", self.host(node), *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def inspect(self, node: str, project: str) -> list[dict[str, Any]]:
        """What a node's engine has of an environment's containers, those that have ended too."""
        ids = self.docker(node, "ps", "-aq", "--filter", f"label=stackctl.project={project}").split()
        return json.loads(self.docker(node, "inspect", *ids)) if ids else []

    def folder(self, node: str, project: str, name: str) -> Path:
        """Where a node keeps a data folder, as this machine sees it."""
        return BASE / node / "data" / "swarm" / project / name

    def running(self, node: str, label: str) -> list[str]:
        """Ids of the containers with a label that run on a node."""
        return self.docker(node, "ps", "-q", "--no-trunc", "--filter", f"label={label}").split()

    def script(self, *words: str, **variables: str) -> None:
        """Run `scripts/cluster.sh`."""
        environ = {**os.environ, **variables}
        done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, timeout=240, env=environ)
        assert done.returncode == 0, f"cluster.sh {' '.join(words)}\n{done.stdout}{done.stderr}"


def wait_for(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    """Ask until it holds, or fail with what is seen then."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.5)


def agent_on(cluster: Cluster, node: str) -> str:
    """Id of the agent's container that runs on a node; empty where none does."""
    return next(iter(cluster.running(node, "com.docker.swarm.service.name=stackctl-agents_agent")), "")


def began(cluster: Cluster, node: str) -> bool:
    """Whether a node's agent watches."""
    agent = agent_on(cluster, node)
    return bool(agent) and '"event": "began"' in logs(cluster, node, agent)


def logs(cluster: Cluster, node: str, container: str) -> str:
    """All that a container wrote."""
    argv = ["docker", "--host", cluster.host(node), "logs", container]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr
