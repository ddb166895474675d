"""The agents of three nodes: violations ended where they are, lifetimes ended by whoever leads, once each."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
from batches import results, shell, write
from commandline import Cli

from swarm.cluster import NODES, Cluster, agent_on, began, logs, wait_for
from swarm.harm import BOMB, HOG, harm, told, web_on
from swarm.swarmed import Swarmed, bare_stack, left

pytestmark = [
    *(pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("agents")),
    pytest.mark.timeout(900),  # the first builds the agents' image, and loads it on each node
]


@pytest.fixture(scope="module")
def watched(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarmed]:
    """One web server on each node."""
    folder = tmp_path_factory.mktemp("agents")
    checkout = folder / "checkout"
    (checkout / ".git").mkdir(parents=True)
    cli = Cli(home=folder / "home", checkout=checkout)
    bare_stack(cli, "watched")
    without_contexts = replace(cluster, config=folder)
    found = Swarmed(cli, without_contexts, "watched")
    found.project = found("up", "watched", "--json").ok().data["project"]
    yield found
    found("purge", "watched", "--yes")


def test_limits_are_proven_on_every_node_and_the_agents_bound_the_swap(watched: Swarmed) -> None:
    proof = watched.status()["limits_verified"]
    assert "read back in the containers on n1, by the kernel's word to the agents on n2, n3" in proof
    for node in NODES:
        (container,) = watched.cluster.inspect(node, watched.project)
        assert container["HostConfig"]["MemorySwap"] == container["HostConfig"]["Memory"] == 64 << 20
        said = watched.cluster.docker(node, "logs", agent_on(watched.cluster, node))
        assert f'"container": "{container["Id"]}", "pids": 60, "memory": 67108864, "swap": 67108864' in said


@pytest.mark.parametrize(("script", "rule"), [(BOMB, "over_pids"), (HOG, "over_memory")], ids=["bomb", "hog"])
def test_a_bomb_and_a_hog_on_each_node_are_ended_by_its_agent(
    watched: Swarmed, script: str, rule: str
) -> None:
    harmed = {harm(watched, node, script): node for node in NODES}
    wait_for(lambda: harmed.keys() <= told(watched, rule), watched.incidents)
    mine = [one for one in watched.incidents() if one["rule"] == rule and one["container"] in harmed]
    assert {one["container"]: one["node"] for one in mine} == harmed
    assert Counter(one["container"] for one in mine) == dict.fromkeys(harmed, 1)
    assert {one["result"] for one in mine} == {"done"}
    if rule == "over_pids":
        assert {one["groups"][0]["command"] for one in mine} == {"sleep 60"}
    wait_for(lambda: len(watched.nodes_of("web")) == 3, watched.status)
    assert not harmed.keys() & {web_on(watched, node) for node in NODES}


def test_an_agent_that_is_killed_is_replaced_and_changes_nothing_elsewhere(watched: Swarmed) -> None:
    cluster = watched.cluster
    before = {node: agent_on(cluster, node) for node in NODES}
    known = {one["id"] for one in watched.incidents()}
    containers = {node: web_on(watched, node) for node in NODES}
    for node in ("n2", "n3"):
        cluster.docker(node, "kill", "--signal", "KILL", before[node])
    for node in ("n2", "n3"):
        wait_for(lambda: agent_on(cluster, node) not in ("", before[node]), lambda: node)  # noqa: B023
        wait_for(
            partial(began, cluster, node), lambda: cluster.docker("n1", "stack", "ps", "stackctl-agents")
        )
    assert agent_on(cluster, "n1") == before["n1"]
    assert {node: web_on(watched, node) for node in NODES} == containers
    assert known <= {one["id"] for one in watched.incidents()}, "what the killed ones wrote is not lost"
    container = harm(watched, "n3", BOMB)
    wait_for(lambda: container in told(watched, "over_pids"), watched.incidents)
    assert len([one for one in watched.incidents() if one["container"] == container]) == 1


def test_on_a_node_that_is_cut_off_its_agent_goes_on(watched: Swarmed) -> None:
    """The node is the leader, so that the managers elect another one, for which `status` waits."""
    cluster = watched.cluster
    node = _leader(cluster, "n1")
    watched.asked = next(one for one in NODES if one != node)
    wait_for(lambda: bool(web_on(watched, node)), watched.status)
    cluster.script("cut", node)
    try:
        container = harm(watched, node, BOMB)
        wait_for(lambda: container not in cluster.running(node, "stackctl.watch"), lambda: container)
        wait_for(lambda: watched.nodes_of("web") and node not in watched.nodes_of("web"), watched.status)
    finally:
        cluster.script("mend", node)
    wait_for(lambda: container in told(watched, "over_pids"), watched.incidents)


def test_a_service_that_swarm_starts_no_more_is_started_by_up(watched: Swarmed) -> None:
    wait_for(partial(_worn_out, watched), watched.status)
    assert watched("status", "watched").code == 1
    watched("up", "watched").ok()
    assert len(watched.nodes_of("web")) == 3


def _worn_out(watched: Swarmed) -> bool:
    """Whether Swarm gives a service up by now, each container of which is killed as soon as it is there."""
    for node in NODES:
        if container := web_on(watched, node):
            with suppress(subprocess.CalledProcessError):  # it has just ended
                watched.cluster.docker(node, "kill", "--signal", "KILL", container)
    found: str = watched.status()["services"]["web"]["standing"]
    return found == "failed"


def test_a_task_of_a_batch_is_ended_by_the_agent_of_its_node(watched: Swarmed) -> None:
    bounded = {"memory": "64m", "cpus": 0.25, "pids": 60}
    many = BOMB.replace("120", "56")  # over its mark, and below its limit, where a shell gives up by itself
    file = write(watched.cli.checkout / "bombs.jsonl", [shell(many, key="bomb") | {"limits": bounded}])
    assert watched("batch", str(file), "--engine", "swarm").code == 1
    (found,) = results(file.with_name("bombs.jsonl.results.jsonl"))
    assert found["phase"] == "killed"
    assert "urgent threshold" in watched("why", found["id"]).ok().out


def test_a_lifetime_is_ended_once_although_the_leader_is_lost(watched: Swarmed) -> None:
    cluster = watched.cluster
    leader = _leader(cluster, "n1")
    watched.asked = next(node for node in NODES if node != leader)
    watched("extend", "watched", "12s").ok()
    cluster.script("stop", leader)
    try:
        wait_for(lambda: _phase(watched) == "expired", lambda: _phase(watched))
        wait_for(lambda: not left(watched), lambda: left(watched))
        assert _leader(cluster, watched.asked) != leader
    finally:
        cluster.script("start", leader)
    for node in NODES:
        wait_for(lambda: not web_on(watched, node), lambda: node)  # noqa: B023
    (ended,) = [one for one in watched.incidents() if one["rule"] == "expired"]
    assert (ended["result"], ended["phase"]) == ("done", "expired")
    assert ended["node"] != leader
    assert sum(_ended_lines(cluster, node, watched.project) for node in NODES) == 1
    assert "its lifetime of 12s is over" in watched("why", "watched").ok().out


def _ended_lines(cluster: Cluster, node: str, project: str) -> int:
    """How often the agents of a node say in their logs that they ended an environment."""
    label = "label=com.docker.swarm.service.name=stackctl-agents_agent"
    every = cluster.docker(node, "ps", "-aq", "--filter", label).split()
    lines = [line for one in every for line in logs(cluster, node, one).splitlines()]
    words = ('"event": "done"', '"rule": "expired"', project)
    return sum(all(word in line for word in words) for line in lines)


def _phase(watched: Swarmed) -> str:
    """The phase that `status` tells; empty while managers elect a leader and answer nothing."""
    found = json.loads(watched("status", watched.name, "--json").out)
    return str((found.get("data") or {}).get("phase", ""))


def _leader(cluster: Cluster, asked: str) -> str:
    """The node that leads; an election takes some seconds."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(subprocess.CalledProcessError):  # there is none at this moment
            found = cluster.docker(asked, "node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}")
            leaders = [line.partition(" ")[0] for line in found.splitlines() if line.endswith(" Leader")]
            if leaders:
                return leaders[0]
        time.sleep(0.5)
    raise AssertionError("nobody leads")
