"""What agents of a Swarm's nodes decide from labels alone, and what they say to the managers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from core.worlds import MARKS, MIB, NOW
from stackctl.core.agent_files import HOME, agent_unit, reader_text, service_text
from stackctl.core.agent_lines import LONGEST, incident_line, proof_line, read_incidents, read_proofs
from stackctl.core.facts import AppliedLimits, Container, Reading
from stackctl.core.incidents import Incident
from stackctl.core.labels import Stamp
from stackctl.core.records import ServiceRecord
from stackctl.core.supervision import DEFAULT_SUPERVISION
from stackctl.core.swarm_facts import Cluster, Standing, SwarmService, SwarmThing
from stackctl.core.swarm_lead import overdue, unclaimed
from stackctl.core.swarm_stages import deadline_labels
from stackctl.core.swarm_watch import NODE_RULES, loose_swap, named, read_watch, watch_label, watched
from stackctl.core.verdicts import decide
from stackctl.core.world import Trail, World
from stackctl.engine.cgroup import cgroup_paths
from stackctl.ops.leading import Leading
from stackctl.ops.node_agent import NodeAgent

STAMP = Stamp(project="p-1", stack="p", generation="g1", home="h", user=7, engine="cluster")
ASKED = ServiceRecord(pids=256, memory=100 * MIB, swap=100 * MIB, cpus=0.5, watchdog=MARKS)
LABELS = {**STAMP.labels(), **watch_label(ASKED), "com.docker.swarm.service.name": "p-1_web"}


def container(one: str = "c1", **values: Any) -> Container:
    plain: dict[str, Any] = {"state": "running", "labels": LABELS, "limits": AppliedLimits(swap=200 * MIB)}
    return named(Container(**{"id": one, "name": one, "image": "i", **plain, **values}))


def decided(one: Container, *readings: Reading, **world: Any) -> list[tuple[str, str, str]]:
    trail = Trail()
    for reading in readings:
        trail = trail.add(reading, keep=60.0)
    found = watched(one, trail, engine="e")
    assert found is not None
    plan = decide(
        World(now=NOW, engine_time=NOW.wall, environments=(found,), **world), DEFAULT_SUPERVISION, NODE_RULES
    )
    return [(act.rule, act.kind, act.container) for act in (*plan.acts, *plan.reports)]


def test_what_was_asked_for_is_read_back_from_the_label() -> None:
    assert read_watch(LABELS) == ASKED
    assert named(container()).service == "web"


@pytest.mark.parametrize(
    "text",
    [
        *("", "no json", "[]", "{}", '{"pids": 1}', '{"pids":"9","memory":1,"swap":1,"cpus":1}'),
        '{"pids":9,"memory":1,"swap":1,"cpus":1,"watchdog":{"urgent_pids":"y"}}',
        '{"pids":9,"memory":1,"swap":1,"cpus":1e999}',
        "[" * 100_000,
    ],
    ids=["nothing", "words", "list", "empty", "half", "text", "mark", "endless", "deep"],
)
def test_a_container_with_a_label_that_says_nothing_is_left_alone(text: str) -> None:
    assert watched(container(labels={**LABELS, "stackctl.watch": text}), None, engine="e") is None


def test_without_our_stamp_a_container_is_left_alone() -> None:
    foreign = {key: value for key, value in LABELS.items() if key != "stackctl.generation"}
    assert watched(container(labels=foreign), None, engine="e") is None


def test_one_container_is_ended_and_never_the_environment() -> None:
    assert decided(container(), Reading(at=1.0, pids=250, memory=MIB)) == [("over_pids", "halt", "c1")]
    assert decided(container(), Reading(at=1.0, pids=9, memory=96 * MIB)) == [("over_memory", "halt", "c1")]
    assert decided(container(), Reading(at=1.0, pids=9, memory=MIB)) == []
    assert decided(container()) == []


def test_a_service_that_asked_for_a_report_is_reported() -> None:
    asked = replace(ASKED, watchdog={**MARKS, "on_violation": "report"})
    one = container(labels={**LABELS, **watch_label(asked)})
    assert decided(one, Reading(at=1.0, pids=250, memory=MIB)) == [("over_pids", "report", "c1")]


def test_the_swap_limit_is_written_where_it_is_not_in_force() -> None:
    assert loose_swap(container()) == 100 * MIB
    assert loose_swap(container(limits=AppliedLimits(swap=100 * MIB))) == 0
    assert loose_swap(container(state="exited")) == 0
    assert loose_swap(container(labels=STAMP.labels())) == 0


# What agents say


def incident(**values: Any) -> Incident:
    plain: dict[str, Any] = {"id": "i1", "at": 5.0, "rule": "over_pids", "action": "halt", "reason": "why"}
    return Incident(**{**plain, "project": "p-1", "node": "n1", **values})


def test_incidents_are_read_once_as_they_ended() -> None:
    begun, done = incident(), incident(result="done", done=("ended",))
    lines = ["junk", "{broken", "[]", incident_line(begun), incident_line(done), incident_line(begun)]
    assert read_incidents(lines) == (done,)
    assert read_incidents([incident_line(begun)]) == (begun,)
    older = incident(id="i0", at=1.0)
    assert [one.id for one in read_incidents([incident_line(done), incident_line(older)])] == ["i0", "i1"]


def test_a_line_stays_short_whatever_the_container_wrote() -> None:
    log = tuple("\x00" * 1000 for _ in range(200))
    assert len(incident_line(incident(log=log))) <= LONGEST
    kept = read_incidents([incident_line(incident(log=tuple(map(str, range(200)))))])[0].log
    assert kept[-1] == "199"
    assert len(kept) == 20


def test_proofs_are_read_as_they_were_said_last() -> None:
    first, last = AppliedLimits(pids=1), AppliedLimits(pids=60, memory=5, swap=5, cpus=0.3)
    found = read_proofs([proof_line("c1", first), proof_line("c1", last)])
    assert (found["c1"]["pids"], found["c1"]["swap"], found["c1"]["cpus"]) == (60, 5, 0.3)


def test_the_file_that_runs_agents_bounds_them_and_shows_them_no_more_than_they_read() -> None:
    found = yaml.safe_load(service_text("registry/stackctl:1"))["services"]["agent"]
    assert found["deploy"]["mode"] == "global"
    assert set(found["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert found["cap_drop"] == ["ALL"]
    writable = [one["target"] for one in found["volumes"] if not one.get("read_only")]
    assert writable == ["/var/run/docker.sock", "/var/lib/stackctl/agent"]
    reader = yaml.safe_load(reader_text("busybox"))["services"]["reader"]
    assert [(one["source"], one["read_only"]) for one in reader["volumes"]] == [(f"{HOME}/said", True)]
    assert set(reader["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}


def test_the_unit_of_an_agent_says_what_it_is_and_by_what_it_was_written() -> None:
    unit = agent_unit("/usr/bin/python3", "1", {"DOCKER_HOST": "unix:///run/x.sock"})
    assert "ExecStart=:/usr/bin/python3 -m stackctl supervise --node" in unit
    assert unit.startswith("# Written by `stackctl supervise --node --print unit`, version 1.\n")
    assert "Description=stackctl's agent of this node of a Swarm\n" in unit
    assert "service uninstall" not in unit


# What the leader decides


def service(one: str, deadline: float | None = 100.0, stamp: Stamp = STAMP) -> SwarmService:
    labels = {**stamp.labels(), **(deadline_labels(deadline, 60.0) if deadline is not None else {})}
    return SwarmService(id=one, name=one, labels=labels)


def thing(one: str, created: float = 1.0, stamp: Stamp = STAMP) -> SwarmThing:
    return SwarmThing(kind="config", id=one, name=one, labels=stamp.labels(), created=created)


def test_what_has_outlived_its_time_is_ended_and_nothing_else() -> None:
    other = replace(STAMP, project="q-1")
    every = [service("a"), service("b", 101.0), service("c", 900.0, other), service("d", None, other)]
    assert overdue(every, 100.5) == (), "one of its deadlines is yet to come"
    (found,) = overdue(every, 500.0)
    assert (found.stamp.project, found.deadline, found.lifetime) == ("p-1", 101.0, 60.0)
    assert [one.id for one in found.services] == ["a", "b"]
    assert overdue([replace(service("x"), labels={"stackctl.deadline": "1"})], 500.0) == ()
    for odd in ("soon", "9" * 400, "-1", ""):
        labels = {**service("x").labels, "stackctl.deadline": odd}
        assert overdue([replace(service("x"), labels=labels)], 9e9) == ()


def test_what_belongs_to_no_service_is_left_for_its_grace() -> None:
    other = replace(STAMP, generation="g0")
    things = [
        thing("mine"),
        thing("old", 1.0, other),
        thing("new", 90.0, other),
        thing("undated", 0.0, other),
    ]
    foreign = SwarmThing(kind="config", id="f", name="f", labels={}, created=1.0)
    found = unclaimed([service("a")], [*things, foreign], 100.0, 50.0)
    assert [one.id for one in found] == ["old"]


class FakeLead:
    """A Swarm in memory: what is in use is not removed at first."""

    def __init__(self, services: list[SwarmService], things: list[SwarmThing], in_use: int = 0) -> None:
        self.all_services, self.all_things, self.in_use = services, things, in_use
        self.removed: list[str] = []
        self.extended = self.refusing = False

    def standing(self) -> Standing:
        return Standing(cluster=Cluster(id="s", node="n", manager=True), hostname="n1", leader=True)

    def services(self, labels: dict[str, str]) -> tuple[SwarmService, ...]:
        wanted = {key: value for key, value in labels.items() if value}
        found = tuple(one for one in self.all_services if wanted.items() <= one.labels.items())
        if wanted and self.extended:
            later = deadline_labels(900.0, 800.0)
            return tuple(replace(one, labels={**one.labels, **later}) for one in found)
        return found

    def things(self, labels: dict[str, str]) -> tuple[SwarmThing, ...]:
        return tuple(self.all_things)

    def take_away(self, kind: str, one: str) -> bool:
        if self.refusing:
            return False
        if kind != "service" and self.in_use:
            self.in_use -= 1
            return False
        self.removed.append(one)
        self.all_services = [left for left in self.all_services if left.id != one]
        self.all_things = [left for left in self.all_things if left.id != one]
        return True


class Lines:
    def __init__(self) -> None:
        self.events: list[str] = []

    def write(self, event: str, /, **fields: Any) -> None:
        self.events.append(event)


def led(lead: FakeLead, looks: int = 1, **more: Any) -> tuple[list[Incident], list[str]]:
    told: list[Incident] = []
    log = Lines()
    leading = Leading(
        contexts=lambda: pytest.fail("it is not asked for"),
        limits=DEFAULT_SUPERVISION,
        log=log,
        told=told.append,
        now=lambda: 500.0,
        **more,
    )
    for _ in range(looks):
        leading.see_to(lead, "n1")
    return told, log.events


def test_the_leader_ends_a_lifetime_tells_it_before_and_after_and_removes_what_is_left() -> None:
    lead = FakeLead([service("a")], [thing("t", 499.0)], in_use=1)
    told, _ = led(lead, looks=3)
    assert lead.removed == ["a", "t"]
    assert [(one.rule, one.phase, one.node, one.result) for one in told] == [
        ("expired", "expired", "n1", ""),
        ("expired", "expired", "n1", "done"),
    ]
    assert len({one.id for one in told}) == 1


def test_what_was_given_more_time_meanwhile_lives_on_and_nothing_is_told() -> None:
    lead = FakeLead([service("a")], [])
    lead.extended = True
    assert led(lead) == ([], [])
    assert lead.removed == []


def test_a_refused_ending_is_told_as_begun_once_and_tried_again() -> None:
    lead = FakeLead([service("a")], [])
    lead.refusing = True
    told, events = led(lead, looks=3)
    assert [one.result for one in told] == [""]
    assert events == ["acts", "stuck", "stuck", "stuck"]


def test_a_second_leader_would_write_the_same_incident() -> None:
    first, _ = led(FakeLead([service("a")], []))
    second, _ = led(FakeLead([service("a")], []))
    assert first[0].id == second[0].id == "19700101T000140Z-expired-g1"


def test_the_leader_sweeps_what_is_left_over_and_a_dry_one_does_nothing() -> None:
    lead = FakeLead([], [thing("t")])
    _, events = led(lead)
    assert (lead.removed, events) == (["t"], ["done"])
    lead = FakeLead([service("a")], [thing("t", 1.0, replace(STAMP, generation="g0"))])
    told, events = led(lead, dry=True)
    assert (lead.removed, told, events) == ([], [], ["would", "would"])


# An agent in a container with a cgroup namespace of its own


def test_cgroups_above_our_own_namespace_are_found_where_they_are_mounted(tmp_path: Path) -> None:
    one = "a" * 64
    (tmp_path / "system.slice" / f"docker-{one}.scope").mkdir(parents=True)
    mounts = f"30 23 0:26 /../.. {tmp_path} ro - cgroup2 cgroup rw\n"
    found = cgroup_paths(f"0::/../docker-{one}.scope\n", mounts, one)
    assert found == {"unified": f"{tmp_path}/system.slice/docker-{one}.scope"}
    assert cgroup_paths(f"0::/../../other/{one}\n", mounts, one) == {}
    (tmp_path / "user.slice" / f"docker-{one}.scope").mkdir(parents=True)
    assert cgroup_paths(f"0::/../docker-{one}.scope\n", mounts, one) == {}, "which of the two is not known"


def test_the_watch_label_is_plain_json() -> None:
    assert json.loads(watch_label(ASKED)["stackctl.watch"])["pids"] == 256


class FakeEngine:
    """One node in memory; what is stopped has ended, and Swarm keeps it for a while."""

    def __init__(self, containers: list[Container], pids: int) -> None:
        self.there = {one.id: one for one in containers}
        self.pids, self.stopped, self.bounded = pids, Counter[str](), Counter[str]()
        self.log_seconds, self.refused = 0.0, 0

    def bare_facts(self) -> Any:
        return SimpleNamespace(id="e", local=True, system_time=NOW.wall)

    def roster(self, labels: Any, dirty: Any = (), full: bool = False) -> tuple[Container, ...]:
        return tuple(self.there.values())

    def inspect(self, ids: list[str]) -> tuple[Container, ...]:
        return tuple(self.there[one] for one in ids if one in self.there)

    def sample(self, containers: list[Container]) -> dict[str, Reading]:
        reading = Reading(at=time.monotonic(), pids=self.pids, memory=MIB, pids_refused=self.refused)
        return {one.id: reading for one in containers}

    def stop(self, ids: list[str]) -> None:
        self.stopped.update(ids)
        for one in ids:
            self.there[one] = replace(self.there[one], state="exited", finished=NOW.wall)

    def renew_limits(self, containers: list[Container]) -> None:
        for one in containers:
            self.bounded[one.id] += 1
            self.there[one.id] = replace(self.there[one.id], limits=one.limits)

    def readings(self, containers: list[Container]) -> dict[str, Reading]:
        return {one.id: Reading(at=0.0, limits=one.limits) for one in containers}

    def processes(self, container: Container) -> tuple[()]:
        return ()

    def log_tail(self, container: str, lines: int) -> str:
        time.sleep(self.log_seconds)
        return ""

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Outside:
    engine: Any
    store: Any
    clock: Any


class FakeStore:
    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def incidents(self, project: str) -> tuple[Any, ...]:
        return tuple(self.kept.values())

    def write_incident(self, project: str, name: str, plain: Any) -> None:
        self.kept[name] = json.loads(json.dumps(plain))


def agent(engine: FakeEngine, store: FakeStore, said: list[str], *, dry: bool = False) -> NodeAgent:
    context = Outside(engine=engine, store=store, clock=SimpleNamespace(now=lambda: NOW))
    return NodeAgent(
        contexts=lambda _: context,  # type: ignore[arg-type, return-value]
        limits=DEFAULT_SUPERVISION,
        log=Lines(),
        say=said.append,
        node="n1",
        dry=dry,
    )


def looks(one: NodeAgent, times: int = 3) -> None:
    for _ in range(times):
        one.tick()
        one.finish(5.0)


def test_an_agent_ends_what_passes_its_mark_once_and_tells_it() -> None:
    engine, store, said = FakeEngine([container(), container("c2")], pids=250), FakeStore(), list[str]()
    looks(agent(engine, store, said))
    assert engine.stopped == {"c1": 1, "c2": 1}
    told = read_incidents(said)
    assert {(one.container, one.rule, one.node, one.result) for one in told} == {
        ("c1", "over_pids", "n1", "done"),
        ("c2", "over_pids", "n1", "done"),
    }
    assert engine.bounded == {"c1": 1, "c2": 1}


def refusing() -> tuple[NodeAgent, FakeEngine, list[str]]:
    """An agent that has just seen a container of which the kernel refused three processes."""
    engine, said = FakeEngine([container()], pids=1), list[str]()
    one = agent(engine, FakeStore(), said)
    looks(one)
    said.clear()
    engine.pids, engine.refused = 250, 3
    return one, engine, said


def test_what_was_ended_for_its_processes_is_not_told_of_again_for_refused_ones() -> None:
    one, _, said = refusing()
    looks(one)
    one._quiet.clear()  # minutes later, while Swarm still keeps what has ended
    looks(one)
    assert [told.rule for told in read_incidents(said)] == ["over_pids"]


def test_refused_processes_of_what_ended_by_itself_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    one, engine, said = refusing()
    dead = container(state="exited", finished=NOW.wall)
    monkeypatch.setattr(engine, "inspect", lambda _: (dead,))
    one.tick()
    engine.there = {"c1": dead}
    one.finish(5.0)
    looks(one)
    assert [told.rule for told in read_incidents(said)] == ["fork_refused"]
    assert engine.stopped == {}


def test_an_agent_proves_a_container_once_its_swap_limit_is_there() -> None:
    said: list[str] = []
    looks(agent(FakeEngine([container()], pids=1), FakeStore(), said))
    assert [one["swap"] for one in map(json.loads, said)] == [100 * MIB]


def test_many_at_once_are_ended_a_few_at_a_time_and_every_one() -> None:
    many = [container(f"c{number}") for number in range(40)]
    engine, said = FakeEngine(many, pids=250), list[str]()
    one = agent(engine, FakeStore(), said)
    one.tick()
    assert len(one._busy) <= DEFAULT_SUPERVISION.acts
    one.finish(10.0)
    looks(one, 4)
    assert engine.stopped == {found.id: 1 for found in many}


def test_what_is_odd_about_one_container_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    import stackctl.ops.node_agent as module

    def judge(world: World, limits: Any, rules: Any) -> Any:
        if world.environments[0].containers[0].id == "c1":
            raise TypeError("odd")
        return decide(world, limits, rules)

    monkeypatch.setattr(module, "decide", judge)
    engine, said = FakeEngine([container(), container("c2")], pids=250), list[str]()
    looks(agent(engine, FakeStore(), said))
    assert engine.stopped == {"c2": 1}


def test_a_swap_limit_that_was_taken_back_is_written_again() -> None:
    right = container(limits=AppliedLimits(swap=100 * MIB))
    assert loose_swap(right, AppliedLimits(swap=100 * MIB)) == 0
    assert loose_swap(right, AppliedLimits(swap=-1)) == 100 * MIB
    assert loose_swap(right, AppliedLimits(swap=None)) == 0


def test_one_that_is_dry_writes_no_limit_and_ends_nobody() -> None:
    engine, store = FakeEngine([container()], pids=250), FakeStore()
    one = agent(engine, store, [], dry=True)
    looks(one)
    assert (engine.stopped, engine.bounded, store.kept) == ({}, {}, {})


def test_a_single_look_waits_for_the_reports_that_it_began() -> None:
    dead = container(state="exited", oom_killed=True, finished=NOW.wall)
    engine, store = FakeEngine([dead], pids=1), FakeStore()
    engine.log_seconds = 0.5
    one = agent(engine, store, [])
    one.tick()
    one.finish(10.0)
    assert len(store.kept) == 1


def test_what_has_ended_is_reported_once_also_by_the_agent_after() -> None:
    dead = container(state="exited", oom_killed=True, finished=NOW.wall)
    engine, store, said = FakeEngine([dead], pids=1), FakeStore(), list[str]()
    looks(agent(engine, store, said))
    assert [one.rule for one in read_incidents(said)] == ["oom"]
    again: list[str] = []
    looks(agent(engine, store, again))
    assert again == []


def test_an_agent_that_hangs_ends_itself() -> None:
    program = (
        "import time\nfrom stackctl.cli import agent\nagent.HANGS_S = 0.2\nagent._beat(0.0)\ntime.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert "Timeout" in done.stderr
