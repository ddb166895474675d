"""The scheduler by itself: handed over, closed in the middle, with tasks that wait on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from batches import IMAGE, ran
from commandline import Cli
from house import until

from stackctl.core.admission import Budget
from stackctl.core.errors import Busy, StateError, UsageError
from stackctl.core.limits import Setting
from stackctl.core.records import EnvironmentRecord
from stackctl.core.stack import Configuration, MachinePolicy
from stackctl.core.tasks import Mount, TaskSpec
from stackctl.engine.docker import DockerEngine
from stackctl.ops.context import Context
from stackctl.ops.scheduling import Scheduler
from stackctl.ops.surroundings import find_places
from stackctl.ops.task_preparing import Kitchen
from stackctl.state.clock import SystemClock
from stackctl.state.home import open_home
from stackctl.state.store import FileStore

pytestmark = [pytest.mark.slow, pytest.mark.engine, pytest.mark.timeout(600)]

ROOM = Budget(memory=4 << 30, nano_cpus=16_000_000_000, tasks=2)
Make = Callable[..., AbstractContextManager[Scheduler]]


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    folder = tmp_path / "seen"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture
def opened(cli: Cli) -> Make:
    """Opens a scheduler of this test's home."""
    store = FileStore(open_home(cli.home))

    def context() -> Context:
        return Context(
            engine=DockerEngine(), store=store, clock=SystemClock(), user=os.getuid(), group=os.getgid()
        )

    kitchen = Kitchen(
        places=find_places(cli.checkout, cli.home),
        configuration=Configuration(),
        machine=MachinePolicy(),
        root=cli.checkout,
    )

    def make(on_end: Callable[[EnvironmentRecord], None] | None = None) -> AbstractContextManager[Scheduler]:
        return Scheduler(
            contexts=context, kitchen=kitchen, budget=ROOM, holder="test", command="a test", on_end=on_end
        ).open()

    return make


def task(seen: Path, key: str, then: str = "true") -> TaskSpec:
    """A task that says that it ran; `wait` lets it stay until it may end."""
    limits = {"memory": 32 << 20, "cpus": 0.25, "pids": 32}
    script = then.replace("wait", "while ! [ -e /seen/open ]; do sleep 0.1; done")
    return TaskSpec(
        image=IMAGE,
        command=("sh", "-c", f"echo {key} >> /seen/ran; {script}"),
        mounts=(Mount(source=str(seen), target="/seen"),),
        environment={"SECRET": "hidden"},
        limits={name: Setting(value, "a test") for name, value in limits.items()},
    )


def test_handed_over_nothing_is_lost_ended_or_done_twice(cli: Cli, opened: Make, seen: Path) -> None:
    ended: list[str] = []
    with opened(lambda record: ended.append("first")) as first:
        running = [first.submit(task(seen, key, "wait"), key, durable=True) for key in ("a", "b")]
        waiting = first.submit(task(seen, "c"), "c", durable=True)
        until(lambda: first.counts["running"] == 2, 30, "two run")
        with pytest.raises(Busy, match="in this process already"), opened():
            pass
        first.hand_over(timeout=30)
        assert all(isinstance(one.future.exception(5), CancelledError) for one in (*running, waiting))
        with opened(lambda record: ended.append(record.phase)) as second:
            found = second.recover()
            assert {one.key for one in found.running} == {"a", "b"}
            assert [one.key for one in found.waiting] == ["c"]
            assert [one.id for one in found.waiting] == [waiting.id]
            with pytest.raises(UsageError, match="`a` has not ended"):
                second.submit(task(seen, "a"), "a")
            (seen / "open").touch()
            records = [one.future.result(30) for one in (*found.running, *found.waiting)]
            assert second.wait(30)
    assert [record.phase for record in records] == ["succeeded"] * 3
    assert ended == ["succeeded"] * 3
    assert ran(seen) == {"a": 1, "b": 1, "c": 1}
    with opened() as third:
        again = third.recover()
        assert (again.running, again.waiting) == ((), ())
        assert {line.key for line in again.ended} == {"a", "b", "c"}


def test_what_waits_is_kept_for_its_owner_alone_and_only_while_it_waits(
    cli: Cli, opened: Make, seen: Path
) -> None:
    with opened() as scheduler:
        for key in ("a", "b"):
            scheduler.submit(task(seen, key, "wait"), key)
        kept = scheduler.submit(task(seen, "c"), "c", durable=True)
        spec = cli.home / "tasks" / kept.id / "spec.json"
        assert spec.stat().st_mode & 0o777 == 0o600
        assert "hidden" in spec.read_text()
        assert cli.task(kept.id)["phase"] == "pending"
        assert cli("reap").code == 0  # whoever looks leaves it in line
        assert cli.task(kept.id)["phase"] == "pending"
        (seen / "open").touch()
        assert kept.future.result(30).phase == "succeeded"
        assert not spec.exists()
        assert "hidden" not in (cli.home / "tasks" / kept.id / "record.json").read_text()


def test_cancelled_while_it_waits_and_while_it_runs(cli: Cli, opened: Make, seen: Path) -> None:
    ended: list[str] = []
    with opened(lambda record: ended.append(record.phase)) as scheduler:
        tickets = [scheduler.submit(task(seen, key, "wait"), key, durable=key == "d") for key in "abcd"]
        until(lambda: set(ran(seen)) == {"a", "b"}, 30, "two run")
        assert [scheduler.cancel(key) for key in ("c", "d", "a", "no-such")] == [True, True, True, False]
        phases = [tickets[place].future.result(30).phase for place in (2, 3, 0)]
        assert phases == ["cancelled"] * 3
        assert not scheduler.cancel("a")
        (seen / "open").touch()
        assert tickets[1].future.result(30).phase == "succeeded"
        assert scheduler.wait(30)
    assert sorted(ended) == ["cancelled"] * 3 + ["succeeded"]
    assert ran(seen) == {"a": 1, "b": 1}
    assert not (cli.home / "tasks" / tickets[3].id / "spec.json").exists()
    assert cli.containers() == ()


def test_an_outcome_that_cannot_be_kept_ends_the_scheduler_and_no_task(
    cli: Cli, opened: Make, seen: Path
) -> None:
    def full(record: EnvironmentRecord) -> None:
        raise StateError("the disk is full")

    with opened(full) as scheduler:
        stays = scheduler.submit(task(seen, "stays", "wait"), "stays")
        until(lambda: scheduler.counts["running"] == 1, 30, "one runs")
        scheduler.submit(task(seen, "ends"), "ends")
        never = scheduler.submit(task(seen, "never"), "never")
        with pytest.raises(StateError, match="the disk is full"):
            scheduler.wait(30)
    assert isinstance(never.future.exception(5), CancelledError)
    assert cli.task(stays.id)["phase"] == "running"
    assert len(cli.containers()) == 1
    (seen / "open").touch()
    with opened() as after:
        found = after.recover()
        assert [one.future.result(30).phase for one in found.running] == ["succeeded"]
        assert [line.key for line in found.ended] == ["ends"]
    assert ran(seen) == {"stays": 1, "ends": 1}
