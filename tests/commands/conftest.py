"""A command line for each test, whose environments are ended after it; what is left then is a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Cli

from stackctl.core.labels import PREFIX
from stackctl.engine.docker import DockerEngine
from stackctl.state.home import open_home


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """A command line whose environments are all ended after the test; what is left then is a failure."""
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    command = Cli(home=tmp_path / "home", checkout=checkout)
    yield command
    down = command("down", "--all")
    left = [one.name for one in command.containers()] + command.networks()
    engine = DockerEngine()
    engine.kill([one.id for one in command.containers()])
    engine.remove_containers([one.id for one in command.containers()])
    mine = {f"{PREFIX}home": open_home(command.home).identity}
    engine.remove_networks([one.id for one in engine.networks(mine)])
    assert not left, f"`down --all` left {left} behind: {down.err}"
