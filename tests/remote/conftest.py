"""One engine on another host for all of these tests, and a command line that uses it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from far import FarEngine
from far_command import FarCli


@pytest.fixture(scope="session")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarEngine]:
    """The other host; everything of it is gone after the tests."""
    archive = tmp_path_factory.mktemp("far") / "images.tar"
    save = ["docker", "save", "--output", str(archive), "busybox:1.35", "redis:7.0"]
    subprocess.run(save, check=True, timeout=120)
    engine = FarEngine(images=archive)
    try:
        yield engine.start()
    finally:
        engine.close()


@pytest.fixture
def remote(far: FarEngine, tmp_path: Path) -> Iterator[FarCli]:
    """A command line on that engine; what is left there after the test is a failure."""
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    command = FarCli(home=tmp_path / "home", checkout=checkout, far=far)
    yield command
    command.end_all()
