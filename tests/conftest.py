"""What every suite shares: reproducible property tests, and an engine that is never left out in silence."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import configuration, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tables import TABLES

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "hypothesis"
ENGINE_DEADLINE_S = 20
LONGEST = (
    "tests/tasks/test_task_crashes.py",
    "tests/projects/",
    "tests/faults/test_state_machine.py",
    "tests/tasks/test_batch_crash.py",
    "tests/faults/test_environment_faults.py",
    "tests/faults/test_daemon_faults.py",
    "tests/faults/test_crash_matrix.py",
    "tests/soak/",
)
"""Files that take minutes, and begin before all others."""
NOT_RUN = pytest.StashKey[int]()

# A derandomized profile keeps no database: the same examples every time, on every machine.
configuration.set_hypothesis_home_dir(CACHE)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile(
    "explore", deadline=None, max_examples=2000, database=DirectoryBasedExampleDatabase(CACHE)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


# Commands that tests run start no supervisor behind their backs; a test that wants one starts and ends it.
os.environ.setdefault("STACKCTL_SUPERVISOR", "manual")


def engine_left_out() -> bool:
    """True where the environment says out loud that the tests on the engine are not to run."""
    choice = os.environ.get("STACKCTL_TEST_ENGINE", "")
    if choice not in ("", "none"):
        raise pytest.UsageError(f"STACKCTL_TEST_ENGINE is {choice!r}: it may only be `none`, or not be set")
    return choice == "none"


@functools.cache
def engine_trouble() -> str:
    """Why no engine answers; empty where one does. Asked once in each process."""
    docker = shutil.which("docker")
    if docker is None:
        return "there is no docker command"
    command = [docker, "version", "--format", "{{.Server.Version}}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ENGINE_DEADLINE_S)
    except subprocess.TimeoutExpired:
        return f"the engine did not answer within {ENGINE_DEADLINE_S} s"
    return "" if answer.returncode == 0 else answer.stderr.strip() or "the engine does not answer"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOT_RUN] = 0
    config.stash[TABLES] = []
    engine_left_out()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # a worker takes whole files in this order: one that takes minutes would be waited for at the end
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    if not engine_left_out():
        return
    left_out = [item for item in items if item.get_closest_marker("engine")]
    items[:] = [item for item in items if not item.get_closest_marker("engine")]
    config.hook.pytest_deselected(items=left_out)
    config.stash[NOT_RUN] = len(left_out)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("engine") and engine_trouble():
        pytest.fail(
            f"this test needs a Docker engine: {engine_trouble()}\n"
            "hint: scripts/engine.sh provides one; STACKCTL_TEST_ENGINE=none leaves these tests out",
            pytrace=False,
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for table in config.stash[TABLES]:
        terminalreporter.write_line(f"\n{table}")
    count = config.stash[NOT_RUN]
    if count:
        terminalreporter.write_line(
            f"STACKCTL_TEST_ENGINE=none: {count} tests on the real engine were NOT run", red=True
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under pytest-xdist only the workers collect, each the whole suite: they tell the controller."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["not_run"] = session.config.stash[NOT_RUN]
        output["tables"] = session.config.stash[TABLES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {}).get("not_run", 0)
    node.config.stash[NOT_RUN] = max(told, node.config.stash[NOT_RUN])
    node.config.stash[TABLES] += getattr(node, "workeroutput", {}).get("tables", [])
