"""One guest machine for all of these tests, with this checkout's stackctl; each has a home of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest import ROOT, Guest, disk_folder
from guest_command import GuestCommand, lent
from ledger import Ledger


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout's stackctl as people get it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", folder, ROOT], check=True, timeout=120)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def guest(wheel: Path) -> Iterator[Guest]:
    """The machine, up; a test that reboots it or cuts its power leaves it up again."""
    with Guest(disk_folder()) as machine:
        machine.boot()
        machine.install(wheel)
        yield machine


@pytest.fixture
def cli(guest: Guest, request: pytest.FixtureRequest) -> Iterator[GuestCommand]:
    """`stackctl` in the guest, whose environments are all ended after the test; what is left is a failure."""
    name = re.sub(r"\W+", "-", request.node.name)[:40].strip("-")
    with lent(guest, name) as command:
        yield command


@pytest.fixture(scope="session")
def ledger(guest: Guest) -> Iterator[Ledger]:
    """An environment with a database and a data folder, and what must still be in them at the end."""
    with lent(guest, "data") as command:
        found = Ledger(command)
        found.prepare()
        yield found
