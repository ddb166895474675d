"""What a task of a stack is taken from, without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import record

from stackctl.core.errors import StackctlError
from stackctl.core.tasks import TaskSpec
from stackctl.ops.task_asking import defined

TASKS = "tasks:\n  ask: {image: 'busybox:1.35', command: [id]}\n"


@pytest.mark.parametrize(
    ("tasks", "hint"),
    [
        (TASKS, "it defines: ask"),
        ("", "one is defined in `stacks/app.yaml`, by a line like `tasks: {test: {image: IMAGE, "),
    ],
)
def test_a_task_that_is_not_defined_is_told_with_the_next_step(tmp_path: Path, tasks: str, hint: str) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "app.yaml").write_text(f"template: hello\n{tasks}")
    environment = record(root=str(tmp_path), stack_file="stacks/app.yaml")
    with pytest.raises(StackctlError, match="defines no task `test`") as caught:
        defined(environment, TaskSpec(image="test"))
    assert caught.value.hint.startswith(hint)
