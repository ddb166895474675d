"""The index of ended tasks: thousands are listed from one file, and what it lacks from their records."""

from __future__ import annotations

import json
from pathlib import Path

from stackctl.core.tasks import TaskLine
from stackctl.state.task_files import INDEX, finished

MANY = 3000


def listed(tasks: Path, count: int) -> None:
    """Ended tasks of which only the index knows anything: their folders are empty."""
    lines = [
        TaskLine(id=f"{number:012x}", phase="succeeded", created=float(number)) for number in range(count)
    ]
    for line in lines:
        (tasks / line.id).mkdir()
    (tasks / INDEX).write_text("".join(f"{json.dumps(line.plain())}\n" for line in lines))


def test_thousands_are_listed_from_the_index_alone(tmp_path: Path) -> None:
    tasks, live = tmp_path / "tasks", tmp_path / "live"
    tasks.mkdir()
    live.mkdir()
    listed(tasks, MANY)

    found = finished(tasks, live)

    assert [one.id for one in found] == [f"{number:012x}" for number in range(MANY)]


def test_a_line_that_a_crash_cut_off_costs_no_other(tmp_path: Path) -> None:
    tasks, live = tmp_path / "tasks", tmp_path / "live"
    tasks.mkdir()
    live.mkdir()
    listed(tasks, 3)
    text = (tasks / INDEX).read_text()
    (tasks / INDEX).write_text(text[:-40])

    assert [one.id for one in finished(tasks, live)] == ["000000000000", "000000000001"]
