"""How often processes are read for a guard, and what a sweep says, against an engine of a few lines."""

from __future__ import annotations

from typing import Any, cast

import pytest
from worlds import container, record, service

from stackctl.core.errors import EngineRefused
from stackctl.core.facts import Container, Process
from stackctl.core.records import EnvironmentRecord
from stackctl.core.supervision import Supervision
from stackctl.ops.context import Context
from stackctl.ops.sweeping import OrphanWatch, Swept, sweep, sweep_after_exec

LIMITS = Supervision(sweep=10.0, tables=2)
GUARD = {"patterns": ["pytest"], "after": "exec", "older_than": 60.0}
INIT = Process(pid=100, inside=1, command="docker-init", name="docker-init", started=1, age=900.0)
MAIN = Process(pid=101, inside=7, parent=1, command="sh", name="sh", started=2, age=900.0)


def lost(inside: int) -> Process:
    return Process(pid=100 + inside, inside=inside, parent=1, command="pytest", started=inside, age=90.0)


class Engine:
    """Every container has the same processes; who cannot be ended is told beforehand."""

    def __init__(self, *lost: Process, stuck: tuple[Process, ...] = (), here: bool = True) -> None:
        self.table, self.stuck, self.here = (INIT, MAIN, *lost), stuck, here
        self.read: list[str] = []
        self.ended: list[tuple[Process, ...]] = []

    def local(self) -> bool:
        return self.here

    def processes(self, container: Container) -> tuple[Process, ...]:
        self.read.append(container.id)
        return self.table

    def end_processes(
        self, container: Container, chosen: tuple[Process, ...], grace: float
    ) -> tuple[Process, ...]:
        self.ended.append(chosen)
        return self.stuck


def context(engine: Engine) -> Context:
    nothing = cast("Any", None)
    return Context(engine=cast("Any", engine), store=nothing, clock=nothing, user=0, group=0)


def guarded(*names: str, **values: Any) -> EnvironmentRecord:
    return record(services={name: service(guard=GUARD) for name in names}, **values)


def test_each_is_read_every_so_often_and_a_few_at_a_time() -> None:
    engine = Engine(lost(20))
    watch = OrphanWatch(context(engine), LIMITS)
    one = guarded("a", "b", "c")
    containers = [container("a"), container("b"), container("c")]
    reads = []
    for now in (0.0, 1.0, 9.9, 10.0, 11.0, 11.5, 20.0):
        engine.read.clear()
        watch.look(now, [(one, containers)])
        reads.append(list(engine.read))
    assert reads == [["a-1", "b-1"], ["c-1"], [], ["a-1", "b-1"], ["c-1"], [], ["a-1", "b-1"]]
    assert {name: [p.inside for p in found] for name, found in watch.of(containers).items()} == {
        "a-1": [20],
        "b-1": [20],
        "c-1": [20],
    }


def test_only_what_is_guarded_and_runs_is_read() -> None:
    engine = Engine(lost(20))
    watch = OrphanWatch(context(engine), LIMITS)
    bare = record(services={"web": service()})
    watch.look(0.0, [(bare, [container()]), (guarded("web", phase="stopping"), [container("web")])])
    watch.look(0.0, [(guarded("web"), [container("web", state="exited"), container("other")])])
    assert engine.read == []


def test_what_does_not_run_takes_nobodys_turn() -> None:
    engine = Engine(lost(20))
    containers = [container("a", state="exited"), container("b"), container("c")]
    OrphanWatch(context(engine), LIMITS).look(0.0, [(guarded("a", "b", "c"), containers)])
    assert engine.read == ["b-1", "c-1"]


def test_what_is_gone_is_forgotten_and_what_has_no_orphans_is_not_told() -> None:
    engine = Engine()
    watch = OrphanWatch(context(engine), LIMITS)
    watch.look(0.0, [(guarded("web"), [container()])])
    assert watch.of([container()]) == {}
    engine.table += (lost(20),)
    watch.look(10.0, [(guarded("web"), [container()])])
    assert set(watch.of([container()])) == {"web-1"}
    watch.look(11.0, [])
    assert watch.of([container()]) == {}


def test_a_sweep_tells_what_was_ended_and_what_could_not_be() -> None:
    engine = Engine(lost(20), lost(21), stuck=(lost(21),))
    done = sweep(context(engine), guarded("web"), container())
    assert [one.inside for one in engine.ended[0]] == [20, 21]
    assert ([one.inside for one in done.ended], [one.inside for one in done.stuck]) == ([20], [21])
    assert done.words == ("swept 1 orphan of `web`: pytest, 1 of `web` could not be ended (pid 21, `pytest`)")


def test_nothing_to_do_is_nothing_done() -> None:
    for engine, one, name in (
        (Engine(), guarded("web"), "web"),
        (Engine(lost(20)), record(services={"web": service()}), "web"),
        (Engine(lost(20)), guarded("web"), "other"),
    ):
        assert sweep(context(engine), one, container(name)) == Swept()
        assert engine.ended == []


def test_an_engine_whose_processes_are_elsewhere_is_told() -> None:
    engine = Engine(lost(20), here=False)
    with pytest.raises(EngineRefused, match="on another machine"):
        sweep(context(engine), guarded("web"), container())
    assert engine.ended == []


def test_never_after_an_exec_means_so() -> None:
    engine = Engine(lost(20), here=False)
    never = record(services={"web": service(guard={**GUARD, "after": "never"})})
    assert sweep_after_exec(context(engine), never, container()) == Swept()
