"""A client for each test, of which nothing may be left once everything was ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Cli

from stackctl import Client


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """The command line of the same home; at the end nothing may be left of it."""
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    command = Cli(home=tmp_path / "home", checkout=checkout)
    yield command
    command.end_all()


@pytest.fixture
def client(cli: Cli) -> Iterator[Client]:
    with Client(cli.home, folder=cli.checkout) as found:
        yield found
