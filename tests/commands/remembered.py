"""Records of what was never started, for commands that only read them."""

from __future__ import annotations

import os
from pathlib import Path

from stackctl.core.names import project_name, task_project
from stackctl.core.records import Deadline, EnvironmentRecord, ServiceRecord, TaskPart
from stackctl.state.store import FileStore

SERVICE = ServiceRecord(pids=1, memory=1, swap=1, cpus=1)


def record(
    store: FileStore, stack: str, root: Path | str, instance: str = "", task: TaskPart | None = None
) -> EnvironmentRecord:
    """The record of an environment that is running, or of a task."""
    return EnvironmentRecord(
        project=task_project(task.id) if task else project_name(stack, str(root), instance),
        stack=stack,
        instance=instance,
        generation="g",
        phase="running",
        root=str(root),
        stack_file=f"{root}/stacks/{stack}.yaml",
        engine="e",
        home=store.identity,
        user=os.getuid(),
        created=1.0,
        lifetime=60.0,
        deadline=Deadline(wall=1.0, boottime=1.0, boot="b"),
        services={"web": SERVICE, "db": SERVICE},
        task=task,
    )
