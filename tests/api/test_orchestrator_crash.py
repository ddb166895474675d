"""Orchestrators with thirty live tasks, replaced or killed: none lost, none run twice, none unwatched."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commandline import Cli

from stackctl import Client, Limits, Orchestrator, Outcome
from stackctl.core.labels import PREFIX
from stackctl.engine.docker import DockerEngine
from stackctl.state.home import open_home
from stackctl.state.store import FileStore
from tables import show_toll

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

LIVE, WAITING = 30, 10
KEYS = [f"k{number:02}" for number in range(LIVE + WAITING)]
KILLS = 12
LIMITS = Limits(memory="32m", pids=40, cpus=0.05)
WAITS = "echo begun >> /out/$0; while [ ! -e /out/go ]; do sleep 0.2; done"
SHORT = "echo begun >> /out/$0; sleep 0.5"
PROGRAM = """
import asyncio, sys
from stackctl import Client, Limits

home, out, script, running, *keys = sys.argv[1:]

async def main():
    with Client(home, supervisor="auto") as client:
        async with client.orchestrator("evals", max_running=int(running)) as o:
            for key in keys:
                await o.submit(
                    "busybox:1.35",
                    ["sh", "-c", script, key],
                    key=key,
                    mounts=[f"{out}:/out"],
                    limits=Limits(memory="32m", pids=40, cpus=0.05),
                )
            async for outcome in o.outcomes():
                pass

asyncio.run(main())
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def supervised(cli: Cli) -> Iterator[None]:
    yield
    cli("supervise", "--stop").ok()


@contextmanager
def program(cli: Cli, out: Path, script: str, running: int) -> Iterator[subprocess.Popen[bytes]]:
    """An orchestrator in a process of its own, killed at the end."""
    argv = [sys.executable, "-c", PROGRAM, str(cli.home), str(out), script, str(running), *KEYS]
    with subprocess.Popen(argv, env=cli.environment(), cwd=cli.checkout) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], object], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def running(client: Client) -> dict[str, str]:
    """Key -> id of what runs."""
    return {one.key: one.id for one in client.tasks() if one.phase == "running"}


def containers(cli: Cli) -> set[str]:
    mine = {f"{PREFIX}home": open_home(cli.home).identity}
    return {
        one.name.removeprefix("inst-") for one in DockerEngine().containers(mine) if one.state == "running"
    }


def watched(cli: Cli) -> int:
    """How many live environments and tasks the supervisor said it looked at, where one lives."""
    store = FileStore(open_home(cli.home))
    beat = store.heartbeat()
    return int(beat["environments"]) if beat and store.lock_holder("supervisor") else 0


async def submit(o: Orchestrator, key: str, out: Path, script: str) -> None:
    command = ["sh", "-c", script, key]
    await o.submit("busybox:1.35", command, key=key, mounts=[f"{out}:/out"], limits=LIMITS)


async def rest(o: Orchestrator) -> dict[str, Outcome]:
    return {one.key: one async for one in o.outcomes()}


def tell(config: pytest.Config, scene: str, out: Path, kills: int) -> None:
    """A row of the table at the end of the run."""
    began = {key: (out / key).read_text().count("begun") for key in KEYS if (out / key).exists()}
    show_toll(config, scene, began, tasks=len(KEYS), kills=kills)


def assert_each_once(out: Path) -> None:
    began = {key: (out / key).read_text() if (out / key).exists() else "" for key in KEYS}
    assert began == dict.fromkeys(KEYS, "begun\n")


def test_killed_with_thirty_live_tasks(
    client: Client, cli: Cli, out: Path, pytestconfig: pytest.Config
) -> None:
    with program(cli, out, WAITS, LIVE):
        until(lambda: len(running(client)) == LIVE and len(client.tasks()) == len(KEYS))
        before = running(client)
    until(lambda: watched(cli) == len(KEYS), 60)  # nobody but the supervisor knows of them now
    assert containers(cli) == set(before.values())

    async def work() -> dict[str, Outcome]:
        async with client.orchestrator("evals", max_running=LIVE) as o:
            assert {one.key: one.id for one in o.active} == before
            assert {one.key for one in o.waiting} == set(KEYS) - set(before)
            for key in KEYS:  # as the program would that begins anew
                await submit(o, key, out, WAITS)
            (out / "go").touch()
            return await rest(o)

    found = asyncio.run(work())
    assert {key: one.phase for key, one in found.items()} == dict.fromkeys(KEYS, "succeeded")
    tell(pytestconfig, "orchestrator, killed with 30 running", out, 1)
    assert_each_once(out)
    assert cli.containers() == ()


def test_handed_over_with_thirty_live_tasks(
    client: Client, cli: Cli, out: Path, pytestconfig: pytest.Config
) -> None:
    async def work() -> dict[str, Outcome]:
        with Client(cli.home, supervisor="auto") as former:
            async with former.orchestrator("evals", max_running=LIVE) as o:
                for key in KEYS:
                    await submit(o, key, out, WAITS)
                while [one.state for one in o.active].count("running") < LIVE:
                    await asyncio.sleep(0.1)
                before = {one.key: one.id for one in o.active}
                await o.hand_over()
        assert containers(cli) == set(before.values())
        async with client.orchestrator("evals", max_running=LIVE) as o:
            assert {one.key: one.id for one in o.active} == before
            assert {one.key for one in o.waiting} == set(KEYS) - set(before)
            (out / "go").touch()
            return await rest(o)

    found = asyncio.run(work())
    assert {key: one.phase for key, one in found.items()} == dict.fromkeys(KEYS, "succeeded")
    tell(pytestconfig, "orchestrator, handed over with 30 running", out, 0)
    assert_each_once(out)
    assert cli.containers() == ()


def test_killed_again_and_again_at_any_moment(
    client: Client, cli: Cli, out: Path, pytestconfig: pytest.Config
) -> None:
    moments, struck = random.Random(7), 0
    for _ in range(KILLS):
        with program(cli, out, SHORT, 8) as process:
            moment = time.monotonic() + moments.uniform(0.3, 3.0)
            while process.poll() is None and time.monotonic() < moment:
                time.sleep(0.01)
            struck += len(list(out.iterdir())) < len(KEYS)
    assert struck >= 2  # others come too late, and find all of it done
    with program(cli, out, SHORT, 8) as process:
        assert process.wait(300) == 0

    assert client.tasks() == ()

    async def work() -> dict[str, str]:
        async with client.orchestrator("evals") as o:
            return {key: line.phase for key, line in o.ended.items()}

    assert asyncio.run(work()) == dict.fromkeys(KEYS, "succeeded")
    tell(pytestconfig, "orchestrator, at random moments", out, KILLS)
    assert_each_once(out)
    assert cli.containers() == ()
