"""Daemons that may be hurt, and grounds whose environments are swept away after each test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import Daemons, PrivateDaemon
from ground import Ground, new_ground, sweep

from stackctl.core.errors import StackctlError


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images that a private daemon starts with, as an archive."""
    archive = tmp_path_factory.mktemp("images") / "busybox.tar"
    subprocess.run(["docker", "save", "--output", str(archive), "busybox:1.35"], check=True, timeout=60)
    return archive


@pytest.fixture
def daemons(images: Path) -> Iterator[Daemons]:
    """Makes private daemons, started and with images; all are gone after the test."""
    made: list[PrivateDaemon] = []

    def make(**options: object) -> PrivateDaemon:
        made.append(PrivateDaemon(images=images, **options))  # type: ignore[arg-type]  # as given
        return made[-1].start()

    yield make
    for daemon in made:
        daemon.close()


@pytest.fixture
def daemon(daemons: Daemons) -> PrivateDaemon:
    """A private daemon of one test."""
    return daemons()


@pytest.fixture
def ground(daemon: PrivateDaemon, tmp_path: Path) -> Ground:
    """A command line on that daemon; what is left goes with the daemon."""
    return new_ground(tmp_path / "ground", daemon.host)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Ground]:
    """A command line on the machine's own engine; what is left is removed and is a failure."""
    ground = new_ground(tmp_path / "shared")
    yield ground
    ground("down", "--all")
    left = [one.name for one in ground.containers()] + ground.networks()
    try:
        sweep(ground)
    except StackctlError as error:
        left.append(str(error))
    assert not left, f"`down --all` left {left} behind"


@pytest.fixture
def calm(tmp_path: Path) -> Ground:
    """A command line that needs no engine, or one that is not there."""
    return new_ground(tmp_path / "calm")
