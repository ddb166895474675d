"""A Swarm for these tests; one that is up already is used as it is, and left as it is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.cluster import NODES, SCRIPT, Cluster


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


def _find_compose(config: Path) -> None:
    """A docker configuration of its own sees the user's plugins all the same."""
    plugins = Path.home() / ".docker" / "cli-plugins"
    if plugins.is_dir():
        (config / "cli-plugins").symlink_to(plugins)
