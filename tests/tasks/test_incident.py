"""The founding incident as a task: a suite that forks without end is ended, and nobody else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from commandline import Cli
from house import RUN_LABEL, docker, end_process, heartbeat
from waiting import command_line, processes, until

pytestmark = [pytest.mark.slow, pytest.mark.engine]

PROGRAMS = Path(__file__).resolve().parents[2] / "bench" / "rogue"
IMAGE = "python:3.11"
LIMITS = ("--limit", "pids=64", "--limit", "memory=512m", "--limit", "cpus=1", "--lifetime", "1m")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The suite in a folder of this test alone, by which its processes can be told from all others."""
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "suite.py").write_text((PROGRAMS / "suite.py").read_text())
    return folder


@pytest.fixture
def bystander() -> Iterator[str]:
    """A container of somebody else, at work."""
    work = ["sh", "-c", "trap 'exit 0' TERM; while :; do echo at work; sleep 0.2 & wait; done"]
    made = docker("run", "-d", "--label", f"{RUN_LABEL}={uuid4()}", "busybox:1.35", *work)
    yield made
    docker("rm", "-f", made)


@pytest.fixture
def supervisor(cli: Cli) -> Iterator[subprocess.Popen[str]]:
    """One that watches."""
    child = cli.start("supervise")
    until(lambda: heartbeat(cli.home), 20, "a supervisor")
    yield child
    code, err = end_process(child)
    assert (code, "Traceback" in err) == (0, False), err


def test_a_suite_that_forks_without_end_is_ended_and_a_bystander_is_not(
    cli: Cli, programs: Path, bystander: str, supervisor: subprocess.Popen[str]
) -> None:
    mark = uuid4().hex
    before = json.loads(docker("inspect", bystander))[0]["State"]
    loop = f"while :; do python /tests/suite.py 2 {mark}; done"
    done = cli("run", *LIMITS, "--mount", f"{programs}:/tests:ro", IMAGE, "--", "sh", "-c", loop, timeout=60)

    assert done.code == 137, done
    (line,) = [one for one in done.err.splitlines() if one.startswith("task ")]
    # The watchdog read it, or the kernel had refused more by then.
    assert re.search(r"\blimit (of )?64\b", line), line
    (task,) = cli("tasks", "--all", "--json").ok().data
    assert task["phase"] == "killed"
    assert cli("wait", task["id"]).code == 137

    (incident,) = [one for one in cli("incidents", task["id"], "--json").ok().data if one["action"] == "end"]
    assert (incident["rule"], incident["result"]) == ("over_pids", "done")
    suite = [one for one in incident["groups"] if f"suite.py 2 {mark}" in one["command"]]
    assert sum(one["count"] for one in suite) > 40
    assert "suite.py" in cli("why", task["id"]).ok().out

    assert [pid for pid in processes() if mark in command_line(pid)] == []
    assert cli.containers() == ()
    assert cli.networks() == []
    now = json.loads(docker("inspect", bystander))[0]["State"]
    assert (now["Running"], now["Pid"], now["StartedAt"]) == (True, before["Pid"], before["StartedAt"])
    worked = docker("logs", bystander).count("at work")
    until(lambda: docker("logs", bystander).count("at work") > worked, 10, "work of the bystander")
    assert supervisor.poll() is None
