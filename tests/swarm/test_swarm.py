"""`myenv` on three nodes: within its limits, through a failed change and a lost node, and gone again."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator

import pytest
from commandline import Cli

from stackctl.engine.docker import DockerEngine
from swarm.cluster import NODES, Cluster, wait_for
from swarm.swarmed import Swarmed

pytestmark = [pytest.mark.engine, pytest.mark.slow]

STACK = """
template: webapp
engine: swarm
variables: {image: "busybox:1.35", command: "httpd -f -p 8000 -h /tmp"}
sidecars:
  db: {template: postgres, variables: {version: "15", database: myenv}}
  cache: {template: redis}
limits: {memory: 256m, cpus: 0.5, pids: 100, lifetime: 1h}
services:
  web: {replicas: 3, limits: {memory: 64m, pids: 32}}
  db: {placement: ["node.hostname == n2"]}
  proxy: {placement: ["node.hostname == n3"], publish: host}
tasks: {look: {image: "busybox:1.35"}}
allow: {proxy: [public-ports]}
"""
ROWS = ("db", "psql", "-h", "127.0.0.1", "-U", "app", "-tA", "myenv", "-c")


@pytest.fixture(scope="module")
def myenv(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarmed]:
    """The environment, up once for all of these tests, which stand in the order of its life."""
    folder = tmp_path_factory.mktemp("swarm")
    (folder / "checkout" / ".git").mkdir(parents=True)
    cli = Cli(home=folder / "home", checkout=folder / "checkout")
    cli.stack("myenv", STACK)
    found = Swarmed(cli, cluster, "myenv")
    found.project = found("up", "myenv", "--json").ok().data["project"]
    yield found
    found("purge", "myenv", "--yes")


def test_services_are_spread_and_pinned_and_within_their_limits_on_every_node(myenv: Swarmed) -> None:
    status = myenv.status()
    assert status["healthy"]
    assert status["orchestrator"] == "swarm"
    assert "read back in the containers on n1, n2, n3" in status["limits_verified"]
    assert myenv.nodes_of("web") == list(NODES)
    assert myenv.nodes_of("db") == ["n2"]
    for node in NODES:
        for one in myenv.cluster.inspect(node, myenv.project):
            asked = status["services"][one["Config"]["Labels"]["com.docker.swarm.service.name"].split("_")[1]]
            limits, host = asked["limits"], one["HostConfig"]
            assert host["Memory"] == limits["memory_bytes"]
            assert host["PidsLimit"] == limits["pids"]
            assert host["NanoCpus"] == limits["cpus"] * 1e9
    for kind in ("service", "network", "config", "secret"):
        label = f"label=stackctl.generation={status['generation']}"
        assert myenv.cluster.docker("n1", kind, "ls", "-q", "--filter", label), kind


def test_lists_too_long_for_one_answer_are_the_same_in_parts(
    myenv: Swarmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = DockerEngine({**os.environ, **myenv.cluster.environment()})
    mine, asked = {"stackctl.project": myenv.project}, []
    swarm = engine.swarm()
    read = swarm._read
    monkeypatch.setattr(swarm, "_read", lambda target, **how: asked.append(target) or read(target, **how))
    lists = (swarm.single_services, swarm.tasks, swarm.loose_things)
    whole = [sorted(one(mine), key=str) for one in lists]
    assert len(asked) == 5
    monkeypatch.setattr("stackctl.engine.swarm_api.PART", 1)
    parts = [sorted(one(mine), key=str) for one in lists]
    assert len(asked) == 5 + 5 * (1 + 36)
    assert whole == parts
    assert {one.kind for one in whole[2]} == {"network", "config", "secret"}
    swarm.close()
    engine.close()


def test_exec_goes_to_the_node_and_the_url_answers(myenv: Swarmed) -> None:
    myenv("exec", "myenv", *ROWS, "create table kept as select 42 as answer").ok()
    assert "@n2" in myenv("logs", "myenv", "db", "--tail", "1").ok().err
    url = myenv("url", "myenv", "proxy").ok().out.strip()
    with urllib.request.urlopen(f"{url}/-/proxy", timeout=10) as answer:
        assert answer.status == 204


def test_what_one_engine_alone_can_do_is_refused(myenv: Swarmed) -> None:
    refused = (("restart", "myenv"), ("up", "myenv", "--engine", "local"), ("with", "myenv", "--", "true"))
    moved = ("move", "myenv", "--instance", "two", "--from", myenv.project)
    for words in (*refused, moved):
        done = myenv(*words)
        assert done.code == 5, words
        assert "hint: " in done.err
    inside = myenv("run", "--in", "myenv", "look")
    assert inside.code == 125
    assert "is a Swarm's" in inside.err
    assert "`stackctl exec`" in inside.err


def test_a_failed_change_says_why_and_what_ran_goes_on(myenv: Swarmed) -> None:
    done = myenv(
        "up", "myenv", "--set", "command=sh -c 'echo no luck today; exit 3'", "--wait-timeout", "60s"
    )
    assert done.code == 1
    assert "non-zero exit (3)" in done.err
    assert "no luck today" in done.err
    wait_for(lambda: myenv.nodes_of("web") == list(NODES), myenv.status)
    assert myenv.status()["healthy"]


def test_the_loss_of_a_node_moves_replicas_and_keeps_the_data(myenv: Swarmed) -> None:
    myenv.cluster.script("stop", "n2")
    try:
        wait_for(lambda: len(_elsewhere(myenv)) == 3, myenv.status)
        wait_for(lambda: "n2, which is down" in str(_why(myenv, "db")), myenv.status)
        assert myenv("status", "myenv").code == 1
    finally:
        myenv.cluster.script("start", "n2")
    wait_for(lambda: myenv.nodes_of("db") == ["n2"], myenv.status)
    wait_for(lambda: myenv.status()["healthy"], myenv.status)
    assert myenv("url", "myenv", "proxy").ok().out
    assert myenv("exec", "myenv", *ROWS, "select answer from kept").ok().out.strip() == "42"


def test_a_drained_node_gives_its_replicas_away_and_keeps_its_data(myenv: Swarmed) -> None:
    drain = ("node", "update", "--availability")
    myenv.cluster.docker("n1", *drain, "drain", "n2")
    try:
        wait_for(lambda: len(_elsewhere(myenv)) == 3, myenv.status)
        wait_for(lambda: "n2, which is ready, drain" in str(_why(myenv, "db")), myenv.status)
    finally:
        myenv.cluster.docker("n1", *drain, "active", "n2")
    wait_for(lambda: myenv.nodes_of("db") == ["n2"], myenv.status)
    assert myenv("exec", "myenv", *ROWS, "select answer from kept").ok().out.strip() == "42"


def _elsewhere(myenv: Swarmed) -> list[str]:
    return [node for node in myenv.nodes_of("web") if node != "n2"]


def _why(myenv: Swarmed, service: str) -> list[str]:
    return [one["why"] for one in myenv.status()["tasks"] if one["service"] == service]


def test_down_leaves_the_data_and_nothing_else_and_purge_not_even_that(myenv: Swarmed) -> None:
    cluster, project = myenv.cluster, myenv.project
    myenv("down", "myenv").ok()
    mine = f"label=stackctl.project={project}"
    for kind in ("service", "network", "config", "secret"):
        assert not cluster.docker("n1", kind, "ls", "-q", "--filter", mine), kind
    for node in NODES:
        left = ("ps", "-aq", "--filter", mine)
        wait_for(lambda: not cluster.docker(node, *left), lambda: f"containers on {node}")  # noqa: B023
    assert cluster.folder("n2", project, "db").is_dir()
    assert not cluster.folder("n1", project, "db").exists()
    myenv("purge", "myenv", "--yes").ok()
    assert not cluster.folder("n2", project, "db").exists()
    labels = cluster.docker("n1", "node", "inspect", *NODES, "--format", "{{json .Spec.Labels}}")
    assert project not in labels
