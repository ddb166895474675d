"""`up` and `down` of a Swarm killed at their steps: the next command finishes or undoes them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Cli

from swarm.cluster import Cluster, wait_for
from swarm.swarmed import Swarmed, bare_stack, left

pytestmark = [pytest.mark.engine, pytest.mark.slow]

UP = ("record:starting#1:after", "stack-deploy#1:after")
DOWN = ("scale-to-nothing#1:after", "remove-services#1:after")


@pytest.fixture
def crashing(cluster: Cluster, tmp_path: Path) -> Iterator[Swarmed]:
    """An environment of its own for each test."""
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    cli = Cli(home=tmp_path / "home", checkout=checkout)
    bare_stack(cli, "crashing")
    found = Swarmed(cli, cluster, "crashing")
    yield found
    found("purge", "crashing", "--yes")


def killed(crashing: Swarmed, point: str, *words: str) -> None:
    """Run a command that dies at a point."""
    order = {"STACKCTL_TEST": "1", "STACKCTL_FAILPOINT": f"{point}:kill9"}
    done = crashing.cli(*words, timeout=200, **crashing.cluster.environment(), **order)
    assert done.code == -signal.SIGKILL, (point, done.out, done.err)


@pytest.mark.parametrize("point", UP)
def test_an_up_that_was_killed_is_finished_by_the_next_or_undone_by_down(
    crashing: Swarmed, point: str
) -> None:
    killed(crashing, point, "up", "crashing")
    assert crashing("up", "crashing", "--json").ok().data["healthy"]
    crashing.project = crashing.status()["project"]
    crashing("down", "crashing").ok()
    wait_for(lambda: not left(crashing), lambda: left(crashing))
    killed(crashing, point, "up", "crashing")
    crashing("down", "crashing").ok()
    wait_for(lambda: not left(crashing), lambda: left(crashing))


@pytest.mark.parametrize("point", DOWN)
def test_a_down_that_was_killed_is_finished_by_the_next(crashing: Swarmed, point: str) -> None:
    crashing.project = crashing("up", "crashing", "--json").ok().data["project"]
    killed(crashing, point, "down", "crashing")
    crashing("down", "crashing").ok()
    wait_for(lambda: not left(crashing), lambda: left(crashing))
