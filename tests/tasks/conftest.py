"""A command line for each test, whose tasks and environments are ended after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """A command line of which nothing may be left once everything was ended."""
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    command = Cli(home=tmp_path / "home", checkout=checkout)
    yield command
    command.end_all()
