"""Tables that a test fills and that stand at the end of a run, also of one that is spread over processes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

TABLES = pytest.StashKey[list[str]]()


def show(config: pytest.Config, table: str) -> None:
    """Print a table when all tests are through."""
    config.stash[TABLES].append(table)


def show_toll(config: pytest.Config, scene: str, began: Mapping[str, int], *, tasks: int, kills: int) -> None:
    """What became of tasks whose owner was killed or replaced.

    Args:
        began: How often each task wrote that it began, where it wrote so at all.
        kills: How often the owner was killed.
    """
    once = sum(number == 1 for number in began.values())
    again = sum(number > 1 for number in began.values())
    show(
        config,
        f"{'':42} tasks  kills  run once  run again  not run\n"
        f"{scene:42} {tasks:5}  {kills:5}  {once:8}  {again:9}  {tasks - once - again:7}",
    )
