"""How long it takes until the command line answers, against what importing click alone takes."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

from pairs import compare, report, timed

from stackctl.core.names import project_name
from stackctl.core.records import Deadline, EnvironmentRecord, ServiceRecord
from stackctl.core.tasks import TaskLine
from stackctl.state.home import open_home
from stackctl.state.store import FileStore
from stackctl.state.task_files import INDEX

ENVIRONMENTS = 50
TASKS = 5000
PAIRS = 15


def fill(home: Path) -> None:
    """Records of environments as the real store writes them."""
    store = FileStore(open_home(home))
    service = ServiceRecord(pids=256, memory=1 << 30, swap=1 << 30, cpus=1.0)
    for number in range(ENVIRONMENTS):
        store.write(
            EnvironmentRecord(
                project=project_name("bench", f"/checkout/{number}"),
                stack="bench",
                generation=str(uuid4()),
                phase="stopped",
                root=f"/checkout/{number}",
                engine="E",
                home=store.identity,
                user=os.getuid(),
                created=1.0,
                lifetime=3600.0,
                deadline=Deadline(wall=1.0, boottime=1.0, boot="b"),
                services=dict.fromkeys(("web", "db", "cache"), service),
            )
        )


def fill_tasks(home: Path) -> None:
    """Ended tasks, each with its folder and its line in the index."""
    tasks = open_home(home).tasks
    with (tasks / INDEX).open("w") as index:
        for number in range(TASKS):
            line = TaskLine(
                id=f"{number:012x}",
                phase="succeeded",
                image="busybox:1.35",
                command=("sh", "-c", "true"),
                created=1.0 + number,
                started=1.0 + number,
                finished=2.0 + number,
                exit_code=0,
            )
            (tasks / line.id).mkdir()
            index.write(f"{json.dumps(line.plain())}\n")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        fill(home)
        fill_tasks(home)
        env = {**os.environ, "STACKCTL_HOME": str(home)}
        click = [sys.executable, "-c", "import click"]
        api = [sys.executable, "-c", "from stackctl import Client, Limits"]
        command = [str(Path(sys.executable).with_name("stackctl"))]
        asked = (("--version", 1.3), ("--help", 1.3), ("list", 3.0))
        rows = [
            compare(
                f"`stackctl {word}`" + (f" with {ENVIRONMENTS} environments" if word == "list" else ""),
                lambda word=word: timed([*command, word], env=env),
                lambda: timed(click, env=env),
                bound=bound,
                pairs=PAIRS,
            )
            for word, bound in asked
        ]
        rows.append(
            compare(
                "`from stackctl import Client`",
                lambda: timed(api, env=env),
                lambda: timed(click, env=env),
                bound=1.0,
                pairs=PAIRS,
            )
        )
        rows.append(
            compare(
                f"`stackctl tasks --all` with {TASKS:,} ended tasks",
                lambda: timed([*command, "tasks", "--all"], env=env),
                lambda: timed(click, env=env),
                bound=15.0,
                pairs=PAIRS,
            )
        )
    return report("Start-up, against `python -c 'import click'`", rows)


if __name__ == "__main__":
    sys.exit(main())
