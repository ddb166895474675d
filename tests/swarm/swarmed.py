"""The command line on one environment of the cluster."""

from __future__ import annotations

from typing import Any

from commandline import Cli

from swarm.cluster import Cluster


class Swarmed:
    """The command line on one environment of the cluster.

    Attributes:
        asked: The node whose manager is asked.
    """

    def __init__(self, cli: Cli, cluster: Cluster, name: str) -> None:
        self.cli, self.cluster, self.name, self.project, self.asked = cli, cluster, name, "", "n1"

    def __call__(self, *words: str) -> Any:
        return self.cli(*words, timeout=200, **self.cluster.environment(self.asked))

    def status(self) -> dict[str, Any]:
        """What `status --json` says, whether or not all is well."""
        found: dict[str, Any] = self("status", self.name, "--json").data
        return found

    def nodes_of(self, service: str) -> list[str]:
        """The nodes on which tasks of a service run."""
        tasks = self.status()["tasks"]
        return sorted(one["node"] for one in tasks if (one["service"], one["state"]) == (service, "running"))

    def incidents(self) -> list[dict[str, Any]]:
        """What its agents wrote, the oldest first."""
        found: list[dict[str, Any]] = self("incidents", self.name, "--json").ok().data
        return found


BARE = """
template: bare
engine: swarm
limits: {memory: 64m, cpus: 0.3, pids: 60, lifetime: 1h}
"""
REPLICAS = """
services: {web: {replicas: 3, placement: ["node.hostname != nowhere"]}}
"""
_TEMPLATE = """
services:
  web:
    image: busybox:1.35
    command: [httpd, -f, -p, "8000", -h, /tmp]
    cap_drop: [ALL]
"""


def bare_stack(cli: Cli, name: str, more: str = REPLICAS) -> None:
    """Write a stack of the template that has one web server, and that template, into a checkout."""
    cli.stack(name, f"{BARE}{more}")
    bare = cli.checkout / "templates" / "bare"
    bare.mkdir(parents=True)
    (bare / "template.yaml").write_text("description: One server\n")
    (bare / "compose.yaml.j2").write_text(_TEMPLATE)


def left(found: Swarmed) -> list[str]:
    """The kinds of things that the Swarm still has of an environment."""
    mine = ("ls", "-q", "--filter", f"label=stackctl.project={found.project}")
    kinds = ("service", "network", "config", "secret")
    return [kind for kind in kinds if found.cluster.docker(found.asked, kind, *mine)]
