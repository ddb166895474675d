"""What a Swarm is told of a task, how a task's end is read from what it says, and how much room there is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from stackctl.core.admission import Demand
from stackctl.core.labels import Stamp
from stackctl.core.records import ServiceRecord
from stackctl.core.stack import Guard, SidecarSpec
from stackctl.core.swarm_ends import LOST_AFTER, killed_words, newest, task_end
from stackctl.core.swarm_facts import Node, SwarmTask
from stackctl.core.swarm_room import cluster_budget, node_misfit, rooms
from stackctl.core.swarm_tasks import (
    JOBS_SINCE,
    ended_mode,
    last_moment,
    old_managers,
    refused,
    service_order,
)
from stackctl.core.tasks import Mount, TaskSpec

STAMP = Stamp(project="inst-1", stack="inst", generation="g", home="h", user=7, engine="cluster")
ASKED = ServiceRecord(pids=64, memory=1 << 26, swap=1 << 26, cpus=0.5)
BOUNDED: dict[str, Any] = {
    "image": "i:1",
    "command": ["sh", "-c", "echo $$x"],
    "environment": {"B": "2", "A": "$$1"},
    "network_mode": "bridge",
    "init": True,
    "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": 3}},
    "restart": "no",
    "security_opt": ["no-new-privileges:true"],
    "pids_limit": 64,
    "mem_limit": "64m",
    "memswap_limit": "64m",
    "cpus": "${STACKCTL_CPUS_TASK:-0.5}",
    "labels": {"stackctl.project": "${STACKCTL_PROJECT:?}", "own": "x$$y"},
}
GIB = 1 << 30
NODES = {
    "1": Node(id="1", hostname="n1", cpus=2.0, memory=4 * GIB),
    "2": Node(id="2", hostname="n2", cpus=4.0, memory=2 * GIB),
    "3": Node(id="3", hostname="n3", cpus=8.0, memory=8 * GIB, availability="drain"),
}


def order(api: tuple[int, int] = (1, 41), **more: Any) -> dict[str, Any]:
    until = {"stackctl.deadline": "99"}
    return service_order({**BOUNDED, **more}, ASKED, STAMP, "inst-1_task", api, until)


def test_a_task_reserves_what_it_may_use_and_is_never_started_twice() -> None:
    template = order()["TaskTemplate"]
    limits, reserved = template["Resources"]["Limits"], template["Resources"]["Reservations"]
    assert limits == {"MemoryBytes": 1 << 26, "NanoCPUs": 500_000_000, "Pids": 64}
    assert reserved == {"MemoryBytes": 1 << 26, "NanoCPUs": 500_000_000}
    assert template["RestartPolicy"]["Condition"] == "none"


def test_its_container_is_what_the_bounded_document_says() -> None:
    told = order(user="1000", working_dir="/work", stop_grace_period="3s")
    container = told["TaskTemplate"]["ContainerSpec"]
    assert container["Args"] == ["sh", "-c", "echo $x"]
    assert container["Env"] == ["A=$1", "B=2"]
    assert (container["User"], container["Dir"], container["Init"]) == ("1000", "/work", True)
    assert container["StopGracePeriod"] == 3_000_000_000
    watched = json.loads(container["Labels"].pop("stackctl.watch"))
    assert (watched["pids"], watched["memory"], watched["swap"]) == (64, 1 << 26, 1 << 26)
    assert container["Labels"] == {**STAMP.labels(), "own": "x$y"}
    more = {"stackctl.deadline": "99", "com.docker.stack.namespace": "inst-1"}
    assert told["Labels"] == {**STAMP.labels(), **more}
    options = {"max-size": "10m", "max-file": "3"}
    assert told["TaskTemplate"]["LogDriver"] == {"Name": "json-file", "Options": options}


def test_what_cannot_be_said_is_an_error_and_not_left_out() -> None:
    with pytest.raises(ValueError, match="volumes"):
        order(volumes=[])


@pytest.mark.parametrize(("user", "all_of_them"), [("", False), ("0", False), ("1000", True)])
def test_capabilities_are_dropped(user: str, all_of_them: bool) -> None:
    dropped = order(user=user)["TaskTemplate"]["ContainerSpec"]["CapabilityDrop"]
    assert (dropped == ["ALL"]) is all_of_them
    assert all_of_them or {"CAP_MKNOD", "CAP_NET_RAW"} <= set(dropped)
    assert "CAP_CHOWN" not in dropped


def test_a_job_where_a_removed_one_takes_its_containers_along_else_a_one_shot() -> None:
    job, one_shot = order(JOBS_SINCE)["Mode"], order((1, 41))["Mode"]
    assert job == {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    assert one_shot == {"Replicated": {"Replicas": 1}}
    assert ended_mode(job)["ReplicatedJob"]["TotalCompletions"] == 0
    assert ended_mode(one_shot) == {"Replicated": {"Replicas": 0}}


def test_agents_come_after_whoever_stays_with_a_task_that_waits_as_long_as_it_may_run() -> None:
    assert last_moment(1000.0, 60.0) > 1000.0 + 2 * 60.0


def test_managers_without_a_limit_on_processes_are_refused() -> None:
    assert "1.40" in old_managers((1, 40))
    assert old_managers((1, 41)) == ""


def test_every_refusal_of_a_task_is_said() -> None:
    spec = TaskSpec(
        image="i",
        mounts=(Mount(source="/a", target="/a"), Mount(source="/b", target="/b")),
        sidecars={"db": SidecarSpec(template="postgres")},
        network="none",
        guard=Guard(patterns=("x",)),
    )
    found = list(refused(spec))
    assert [one.path for one in found] == ["mounts", "mounts", "sidecars", "network", "guard"]
    assert all(one.hint for one in found)
    assert list(refused(TaskSpec(image="i"))) == []


def task(state: str, **more: Any) -> SwarmTask:
    return SwarmTask(**{"id": "t", "service": "s", "node": "2", "state": state, **more})


def end_of(one: SwarmTask | None, **away: float) -> tuple[str, int | None, str] | None:
    found = task_end(one, NODES, away={name.strip("n"): seconds for name, seconds in away.items()})
    return (found.phase, found.exit_code, found.reason) if found else None


@pytest.mark.parametrize("state", ["new", "pending", "assigned", "preparing", "starting", "running"])
def test_what_is_on_its_way_has_not_ended(state: str) -> None:
    assert end_of(task(state)) is None


def test_how_a_task_has_ended() -> None:
    assert end_of(task("complete", exit_code=0)) == ("succeeded", 0, "it ended with exit code 0")
    assert end_of(task("failed", exit_code=3)) == ("failed", 3, "it ended with exit code 3")
    refusal = end_of(task("rejected", error="No such image: x"))
    assert refusal == ("failed", None, "node n2 refused it: No such image: x")
    odd = end_of(task("failed", exit_code=0, error="starting container failed"))
    assert odd == ("failed", None, "node n2 could not run it: starting container failed")
    shut = end_of(task("shutdown", exit_code=143))
    assert shut is not None
    assert shut[0] == "lost"


def test_a_task_without_a_service_is_lost_and_one_that_swarm_has_not_made_yet_is_not() -> None:
    assert task_end(None, NODES, away={}, there=True) is None
    gone = task_end(None, NODES, away={}, there=False)
    assert gone is not None
    assert gone.phase == "lost"


def test_a_node_that_is_away_loses_its_task_after_a_while() -> None:
    nodes = {**NODES, "2": replace(NODES["2"], state="down")}
    running = task("running")
    assert task_end(running, nodes, away={"2": LOST_AFTER - 1}) is None
    found = task_end(running, nodes, away={"2": LOST_AFTER})
    assert found is not None
    assert (found.phase, found.exit_code) == ("lost", None)
    assert found.reason == "node n2, which had it, is down"
    assert task_end(task("pending", node=""), nodes, away={"2": LOST_AFTER}) is None


def test_what_docker_found_dead_after_its_node_was_away_is_lost_not_failed() -> None:
    assert end_of(task("failed", exit_code=255)) == ("failed", 255, "it ended with exit code 255")
    assert end_of(task("failed", exit_code=255), n2=5.0) == ("failed", 255, "it ended with exit code 255")
    lost = end_of(task("failed", exit_code=255), t=5.0)
    assert lost is not None
    assert lost[:2] == ("lost", None)
    assert end_of(task("complete", exit_code=0), t=5.0) == ("succeeded", 0, "it ended with exit code 0")


def test_sigkill_counts_as_the_memory_limit_unless_the_node_says_otherwise() -> None:
    found = task_end(task("failed", exit_code=137), NODES, away={})
    assert found is not None
    assert found.by_kill
    assert killed_words(ASKED, "n2", by_kernel=True)[0] == "killed"
    assert killed_words(ASKED, "n2", by_kernel=False) == ("failed", "it ended with exit code 137")
    phase, reason = killed_words(ASKED, "n2", by_kernel=None)
    assert phase == "killed"
    assert "most likely" in reason
    assert "n2" in reason


def test_the_newest_task_counts() -> None:
    old, new = task("failed", id="a", created="1"), task("running", id="b", created="2")
    assert newest([new, old]) is new
    assert newest([]) is None


def test_the_budget_is_what_others_leave_of_the_nodes_that_take_work() -> None:
    others = task("running", node="1", memory=GIB, nano_cpus=10**9)
    own = task("running", node="1", memory=GIB, nano_cpus=10**9, stamp={"stackctl.project": "inst-9"})
    ended = task("complete", node="1", memory=GIB)
    ending = task("running", node="1", memory=GIB, desired="shutdown")
    found = rooms(NODES.values(), [others, own, ended, ending], own={"inst-9"})
    assert [(one.node, one.memory, one.nano_cpus) for one in found] == [
        ("n1", 3 * GIB, 10**9),
        ("n2", 2 * GIB, 4 * 10**9),
    ]
    budget = cluster_budget(found, 7)
    assert (budget.memory, budget.nano_cpus, budget.tasks) == (5 * GIB, 5 * 10**9, 7)


def test_a_task_that_fits_on_no_single_node_is_told_which_has_most() -> None:
    found = rooms(NODES.values(), [])
    assert node_misfit("t", Demand(memory=4 * GIB, nano_cpus=2 * 10**9), found) == ("", "")
    message, hint = node_misfit("t", Demand(memory=4 * GIB, nano_cpus=4 * 10**9), found)
    assert "node n1 has most, 4 GiB of memory and 2 cpus" in message
    assert "node n2 most processors, 2 GiB of memory and 4 cpus" in message
    assert hint
    assert "no node" in node_misfit("t", Demand(), ())[0]
