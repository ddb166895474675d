"""Releases are built once for all workers; each test has a machine of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from installer import Machine, build, copy_of_tree, once, small_release


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that every worker of this run shares."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "releases"


@pytest.fixture(scope="session")
def real(shelf: Path) -> Path:
    """This checkout's own release."""
    with once(shelf / "real") as first:
        if first:
            build(shelf / "real")
    return shelf / "real"


@pytest.fixture(scope="session")
def newer(shelf: Path, real: Path) -> Path:
    """The release of the same tree under a later version."""
    with once(shelf / "newer") as first:
        if first:
            build(shelf / "newer", copy_of_tree(shelf / "tree", "99.1.0"))
    return shelf / "newer"


@pytest.fixture(scope="session")
def small(shelf: Path, wheels: None) -> Path:
    """A release that takes two seconds to install."""
    with once(shelf / "small") as first:
        if first:
            small_release(shelf / "small")
    return shelf / "small"


@pytest.fixture(scope="session")
def small_newer(shelf: Path, wheels: None) -> Path:
    """A later one."""
    with once(shelf / "small-newer") as first:
        if first:
            small_release(shelf / "small-newer", "1.1.0")
    return shelf / "small-newer"


@pytest.fixture(scope="session")
def wheels(request: pytest.FixtureRequest) -> None:
    """Pip's own wheel, which building a real release fetches where it is not there yet."""
    from installer import ROOT

    if not list((ROOT / ".cache" / "wheels").glob("*/pip-*.whl")):
        request.getfixturevalue("real")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
