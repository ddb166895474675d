"""Tables that a test fills and that stand at the end of a run, also of one that is spread over processes."""

from __future__ import annotations

import pytest

TABLES = pytest.StashKey[list[str]]()


def show(config: pytest.Config, table: str) -> None:
    """Print a table when all tests are through."""
    config.stash[TABLES].append(table)
