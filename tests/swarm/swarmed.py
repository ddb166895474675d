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
