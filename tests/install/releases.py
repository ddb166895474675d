"""Releases, built once for all workers of a run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from installer import build, copy_of_tree, once, small_release


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
def small(shelf: Path) -> Path:
    """A release that takes a second to install."""
    with once(shelf / "small") as first:
        if first:
            small_release(shelf / "small")
    return shelf / "small"


@pytest.fixture(scope="session")
def small_newer(shelf: Path) -> Path:
    """A later one."""
    with once(shelf / "small-newer") as first:
        if first:
            small_release(shelf / "small-newer", "1.1.0")
    return shelf / "small-newer"
