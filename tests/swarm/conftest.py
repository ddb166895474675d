"""A Swarm for these tests; one that is up already is used as it is, and left as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from swarm.cluster import NODES, SCRIPT, Cluster, began, wait_for

IMAGE, STACK = "stackctl:under-test", "stackctl-agents"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The three nodes."""
    found = Cluster(config=tmp_path_factory.mktemp("docker"))
    was_up = subprocess.run([SCRIPT, "status"], capture_output=True).returncode == 0
    found.script("up")
    for node in NODES[1:]:
        argv = ["docker", "--config", str(found.config), "context", "create", node]
        subprocess.run([*argv, "--docker", f"host={found.host(node)}"], check=True, capture_output=True)
    _find_compose(found.config)
    yield found
    if not was_up:
        found.script("down")


@pytest.fixture(scope="session")
def agents(cluster: Cluster) -> Iterator[str]:
    """An agent on each node, as the guide deploys them; the name of their service."""
    script = SCRIPT.with_name("image.sh")
    environ = {**os.environ, "BASE": "python:3.11"}
    subprocess.run([script, IMAGE], check=True, capture_output=True, env=environ, timeout=300)
    cluster.script("up", CLUSTER_IMAGES=IMAGE)
    argv = [sys.executable, "-m", "stackctl", "supervise", "--node", "--print", "service", "--image", IMAGE]
    printed = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    file = cluster.config / "agents.yaml"
    file.write_text(printed.stdout)
    cluster.docker("n1", "stack", "deploy", "--compose-file", str(file), STACK)
    for node in NODES:
        wait_for(
            partial(began, cluster, node), lambda: cluster.docker("n1", "stack", "ps", "--no-trunc", STACK)
        )
    yield f"{STACK}_agent"
    cluster.docker("n1", "stack", "rm", STACK)
    subprocess.run(["docker", "image", "rm", IMAGE], capture_output=True, timeout=60)


def _find_compose(config: Path) -> None:
    """A docker configuration of its own sees the user's plugins all the same."""
    plugins = Path.home() / ".docker" / "cli-plugins"
    if plugins.is_dir():
        (config / "cli-plugins").symlink_to(plugins)
