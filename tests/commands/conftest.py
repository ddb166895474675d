"""A command line for each test, whose environments are ended after it; what is left then is a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """A command line whose environments are all ended after the test; what is left then is a failure."""
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    command = Cli(home=tmp_path / "home", checkout=checkout)
    yield command
    command.end_all()
