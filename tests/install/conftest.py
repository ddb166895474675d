"""Releases are built once for all workers; each test has a machine of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from installer import Machine
from releases import newer, real, shelf, small, small_newer

__all__ = ["newer", "real", "shelf", "small", "small_newer"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
