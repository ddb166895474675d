"""Many tasks from an asyncio program, on the real engine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from blackhole import Proxy
from commandline import Cli

from stackctl import Busy, Client, EngineUnavailable, Limits, Orchestrator, Ticket, UsageError

pytestmark = pytest.mark.engine

Value = TypeVar("Value")
IMAGE = "busybox:1.35"
SMALL = Limits(memory="64m", pids=32, cpus=0.1)


def run(work: Coroutine[Any, Any, Value]) -> Value:
    return asyncio.run(asyncio.wait_for(work, 120))


async def until(o: Orchestrator, running: int) -> None:
    while [one.state for one in o.active].count("running") < running:
        await asyncio.sleep(0.05)


def sleeping(file: Path) -> list[str]:
    """A command that says in a file that it began, and ends when another file is there."""
    return ["sh", "-c", f"echo begun >> /out/{file.name}; while [ ! -e /out/go ]; do sleep 0.1; done"]


def test_tasks_run_so_many_at_once_and_each_outcome_comes_once(client: Client, cli: Cli) -> None:
    async def work() -> tuple[list[str], list[str], int]:
        most = 0
        async with client.orchestrator("evals", max_running=2) as o:
            tickets = [
                await o.submit(IMAGE, ["sh", "-c", f"sleep 0.5; exit {n}"], key=f"k{n}", limits=SMALL)
                for n in range(4)
            ]
            found = []
            async for outcome in o.outcomes():
                most = max(most, len(o.active))
                found.append(outcome.key)
            codes = [f"{(await one).key}:{(await one).exit_code}" for one in tickets]
        return sorted(found), codes, most

    found, codes, most = run(work())
    assert found == ["k0", "k1", "k2", "k3"]
    assert codes == ["k0:0", "k1:1", "k2:2", "k3:3"]
    assert 1 <= most <= 2
    assert cli.containers() == ()


def test_a_key_is_done_once_in_this_and_in_later_orchestrators(client: Client, tmp_path: Path) -> None:
    command, mounts = ["sh", "-c", "echo x >> /out/once"], [f"{tmp_path}:/out"]

    async def submit(o: Orchestrator) -> Ticket:
        return await o.submit(IMAGE, command, key="once", mounts=mounts, limits=SMALL)

    async def work() -> set[str]:
        async with client.orchestrator("evals") as o:
            tickets = list(await asyncio.gather(*(submit(o) for _ in range(5))))
            await tickets[0]
            tickets.append(await submit(o))
        async with client.orchestrator("evals") as o:
            tickets.append(await submit(o))
            assert list(o.ended) == ["once"]
        return {(await one).id for one in tickets}

    assert len(run(work())) == 1
    assert (tmp_path / "once").read_text() == "x\n"


def test_one_is_cancelled_and_may_then_be_begun_anew(client: Client) -> None:
    async def work() -> tuple[str, str, str]:
        async with client.orchestrator("evals", max_running=1) as o:
            running = await o.submit(IMAGE, "sleep 60", key="a", limits=SMALL)
            waiting = await o.submit(IMAGE, "sleep 60", key="b", limits=SMALL)
            await until(o, 1)
            assert ([one.key for one in o.active], [one.key for one in o.waiting]) == (["a"], ["b"])
            assert await o.cancel("b")
            assert await o.cancel("a", "enough")
            assert not await o.cancel("nothing")
            again = await o.submit(IMAGE, "true", key="a", limits=SMALL)
            return (await running).reason, (await waiting).phase, (await again).phase

    assert run(work()) == ("enough", "cancelled", "succeeded")


def test_leaving_by_an_error_ends_what_runs_and_gives_up_what_waits(client: Client, cli: Cli) -> None:
    async def work() -> None:
        async with client.orchestrator("evals", max_running=1) as o:
            for key in ("a", "b", "c"):
                await o.submit(IMAGE, "sleep 60", key=key, limits=SMALL)
            await until(o, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(work())
    assert [one.phase for one in client.tasks(all=True)] == ["cancelled"] * 3
    assert "ZeroDivisionError" in client.tasks(all=True)[0].reason
    assert cli.containers() == ()


def test_a_program_that_is_cancelled_ends_its_tasks(client: Client, cli: Cli) -> None:
    begun: asyncio.Event

    async def work() -> None:
        async with client.orchestrator("evals") as o:
            ticket = await o.submit(IMAGE, "sh -c 'echo begun; sleep 60'", key="a", limits=SMALL)
            await until(o, 1)
            while ticket.task.logs() != "begun\n":
                await asyncio.sleep(0.05)
            begun.set()
            await asyncio.sleep(600)

    async def outer() -> None:
        nonlocal begun
        begun = asyncio.Event()
        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(outer())
    assert [one.phase for one in client.tasks(all=True)] == ["cancelled"]
    assert cli.containers() == ()


def test_it_is_handed_over_to_another_client_and_nothing_runs_twice(
    client: Client, cli: Cli, tmp_path: Path
) -> None:
    async def work() -> tuple[list[str], list[str], dict[str, int]]:
        async with client.orchestrator("evals", max_running=2) as first:
            tickets = [
                await first.submit(
                    IMAGE, sleeping(tmp_path / key), key=key, mounts=[f"{tmp_path}:/out"], limits=SMALL
                )
                for key in ("a", "b", "c")
            ]
            await until(first, 2)
            with pytest.raises(Busy, match="at work"):
                await client.orchestrator("evals").__aenter__()
            await first.hand_over()
            for one in tickets:
                with pytest.raises(Busy, match="let go"):
                    await one
            with pytest.raises(UsageError, match="no more"):
                await first.submit(IMAGE, "true")
            assert first.active == ()
            with Client(cli.home) as other:
                async with other.orchestrator("evals", max_running=2) as second:
                    active = sorted(one.key for one in second.active)
                    waiting = [one.key for one in second.waiting]
                    (tmp_path / "go").touch()
                    codes = {one.key: one.exit_code async for one in second.outcomes()}
        return active, waiting, codes

    assert run(work()) == (["a", "b"], ["c"], {"a": 0, "b": 0, "c": 0})
    assert [(tmp_path / key).read_text() for key in ("a", "b", "c")] == ["begun\n"] * 3
    assert cli.containers() == ()


@pytest.mark.slow
def test_an_engine_that_goes_away_is_an_error_and_all_is_found_again(
    client: Client, cli: Cli, tmp_path: Path
) -> None:
    async def fail(proxy: Proxy, stack: ExitStack) -> None:
        with Client(cli.home, engine=proxy.host) as cut_off:
            async with cut_off.orchestrator("evals", max_running=1) as o:
                command = sleeping(tmp_path / "a")
                running = await o.submit(IMAGE, command, key="a", mounts=[f"{tmp_path}:/out"], limits=SMALL)
                waiting = await o.submit(IMAGE, "true", key="b", limits=SMALL)
                await until(o, 1)
                await asyncio.to_thread(stack.close)
                for ticket in (running, waiting):
                    with pytest.raises(EngineUnavailable):
                        await ticket
                with pytest.raises(EngineUnavailable):
                    await o.submit(IMAGE, "true", key="c")
                with pytest.raises(EngineUnavailable):
                    async for _ in o.outcomes():
                        pass
        raise AssertionError("leaving it is an error too")

    async def go_on() -> dict[str, int]:
        async with client.orchestrator("evals", max_running=1) as o:
            assert ([one.key for one in o.active], [one.key for one in o.waiting]) == (["a"], ["b"])
            (tmp_path / "go").touch()
            return {one.key: one.exit_code async for one in o.outcomes()}

    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(tmp_path / "cut.sock"))
        with pytest.raises(EngineUnavailable):
            run(fail(proxy, stack))
    assert run(go_on()) == {"a": 0, "b": 0}
    assert (tmp_path / "a").read_text() == "begun\n"


def test_mistakes_are_told_before_anything_is_put_in_line(client: Client) -> None:
    async def work() -> None:
        async with client.orchestrator("evals", budget=Limits(memory="128m", cpus=1)) as o:
            with pytest.raises(UsageError, match="budget"):
                await o.submit(IMAGE, "true", limits=Limits(memory="1g"))
            with pytest.raises(TypeError, match="inside"):
                await o.submit(IMAGE, "true", inside="x")  # type: ignore[call-arg] # as a user's mistake
            with pytest.raises(UsageError):
                await o.submit("not an image")
            assert (await (await o.submit(IMAGE, "true", limits=SMALL))).ok

    run(work())
    assert len(client.tasks(all=True)) == 1
    with pytest.raises(UsageError):
        client.orchestrator("evals", max_running=0)
    with pytest.raises(UsageError):
        client.orchestrator("no name!")
