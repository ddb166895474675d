"""A watched house for a whole file, and a command line for each test; both are cleared away afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Cli
from house import House, clear, new_cli, open_house

TABLES = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for table in config.stash.get(TABLES, []):
        terminalreporter.write_line(f"how long the watchdog took:\n{table}")


@pytest.fixture(scope="module")
def whole_house(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[House]:
    """One house for all the tests of a file; how long everything took is printed at its end."""
    for house in open_house(tmp_path_factory.mktemp("house")):
        yield house
        if house.timings:
            request.config.stash[TABLES] = [*request.config.stash.get(TABLES, []), house.table()]


@pytest.fixture
def house(whole_house: House) -> Iterator[House]:
    """The house, whose bystanders must be unharmed after each test."""
    yield whole_house
    whole_house.unharmed()


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """A command line whose environments are all ended after the test; what is left then is a failure."""
    command = new_cli(tmp_path)
    yield command
    clear(command)
