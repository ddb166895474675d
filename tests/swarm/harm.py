"""What goes wrong inside a container of the cluster, and who says so."""

from __future__ import annotations

from swarm.cluster import wait_for
from swarm.swarmed import Swarmed

BOMB = "i=0; while [ $i -lt 120 ]; do sleep 60 & i=$((i+1)); done; wait"
HOG = "dd if=/dev/zero of=/dev/shm/hog bs=1M count=62; sleep 60"


def web_on(found: Swarmed, node: str) -> str:
    """The container that runs on a node; empty where none does."""
    return next(iter(found.cluster.running(node, f"stackctl.project={found.project}")), "")


def harm(found: Swarmed, node: str, script: str) -> str:
    """Let something run wild in a node's container, whose id is given back."""
    wait_for(lambda: bool(web_on(found, node)), found.status)
    container = web_on(found, node)
    found.cluster.docker(node, "exec", "--detach", container, "sh", "-c", script)
    return container


def told(found: Swarmed, rule: str) -> set[str]:
    """Ids of the containers of which incidents of a rule were told to their end."""
    return {one["container"] for one in found.incidents() if one["rule"] == rule and one["result"]}
